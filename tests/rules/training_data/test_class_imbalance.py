from __future__ import annotations

from typing import Any

from dnndoctor.findings import Severity
from dnndoctor.measurements import Loader, Loaders
from dnndoctor.rule import State
from dnndoctor.rules.training_data.class_imbalance import class_imbalance
from tests.rules.scans import HERE, THERE, judge, labels, loss_targets, samples, scan


def drawn_by(sampler: str) -> Loaders:
    facts: dict[str, Any] = dict.fromkeys(("sequential", "iterable", "pin_memory", "drop_last"), False)
    one = Loader(HERE, "training", 32, sampler, workers=0, dataset="TensorDataset", length=1000, **facts)
    return Loaders((one,), 32, 1000)


def imbalanced(most: int, least: int, **changes: Any) -> Any:
    return scan(samples(targets=labels(most, least)), loss_targets=(loss_targets(most // 2, least // 2, **changes),))


def test_thirty_to_one_is_a_warning_at_the_loss() -> None:
    [found] = judge(class_imbalance, imbalanced(900, 30), drawn_by("RandomSampler")).findings
    assert (found.severity, found.location) == (Severity.WARNING, THERE)
    assert "30 to 1" in found.message


def test_fifteen_to_one_is_a_remark() -> None:
    [found] = judge(class_imbalance, imbalanced(900, 60)).findings
    assert found.severity is Severity.INFO


def test_ten_to_one_is_sound() -> None:
    assert judge(class_imbalance, imbalanced(900, 90)).state is State.PASS


def test_one_rare_class_of_many_is_a_remark() -> None:
    counts = [100] * 29 + [2]
    found = scan(samples(targets=labels(*counts)), loss_targets=(loss_targets(*counts),))
    assert judge(class_imbalance, found).findings[0].severity is Severity.INFO


def test_weights_samplers_and_balanced_batches_make_up_for_it() -> None:
    assert judge(class_imbalance, imbalanced(900, 30, weighted=True)).state is State.NOT_APPLICABLE
    drawn = judge(class_imbalance, imbalanced(900, 30), drawn_by("WeightedRandomSampler"))
    assert drawn.state is State.NOT_APPLICABLE
    even = scan(samples(targets=labels(900, 30)), loss_targets=(loss_targets(200, 190),))
    assert judge(class_imbalance, even).state is State.NOT_APPLICABLE


def test_tokens_and_regression_have_no_classes() -> None:
    assert judge(class_imbalance, imbalanced(900, 30, per_sample=False)).state is State.NOT_APPLICABLE
    assert judge(class_imbalance, imbalanced(900, 30, function="mse_loss")).state is State.NOT_APPLICABLE


def test_labels_that_the_loss_does_not_get_are_not_judged() -> None:
    mapped = scan(samples(targets=labels(900, 30, start=1)), loss_targets=(loss_targets(450, 15),))
    assert judge(class_imbalance, mapped).state is State.NOT_EXAMINED


def test_few_labels_are_not_judged() -> None:
    assert judge(class_imbalance, imbalanced(190, 6)).state is State.NOT_EXAMINED
