from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dnndoctor.changes import InsertAfter
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Finiteness, Gradients, Layer, Layers, NonFinite, Run, Steps
from dnndoctor.rule import Result, State
from dnndoctor.rules.gradients.exploding_gradient import exploding_gradient
from tests.rules.said import changes, only

Make = Callable[..., Gradients]


def judge(gradients: Gradients, *more: Any) -> Result:
    return exploding_gradient.evaluate({type(each): each for each in (gradients, *more)})


def layers(*grad_std: float, **changes: Any) -> Layers:
    """In forward order: the first figure is the one next to the input."""
    made = [
        Layer(
            f"fc{at}", "linear", f"fc{at}.weight", Location("train.py", at + 1), 64, 64, 64, 64, grad_std=std, **changes
        )
        for at, std in enumerate(grad_std)
    ]
    return Layers("Net", tuple(made))


def spiked(size: float, at: int = 15) -> list[float]:
    norm = [1.0] * 20
    norm[at] = size
    return norm


def test_a_spike(gradients: Make) -> None:
    [found] = judge(gradients(norm=spiked(250.0))).findings
    assert found.severity is Severity.WARNING
    assert "250 times" in found.message
    assert "step 15" in found.message
    assert found.fix is not None
    assert "max_norm=1)" in str(found.fix.code)


@pytest.mark.parametrize(("size", "state"), [(100.0, State.PASS), (101.0, State.FINDING)])
def test_the_threshold_of_the_spike(gradients: Make, size: float, state: State) -> None:
    assert judge(gradients(norm=spiked(size)), layers(1, 1, 1, 1)).state is state


def test_large_norms_at_the_start_pass(gradients: Make) -> None:
    assert judge(gradients(norm=[80.0, 500.0, 90.0, *[5.0] * 20]), layers(1, 1, 1, 1)).state is State.PASS


def test_a_late_bump_over_tiny_norms_passes(gradients: Make) -> None:
    norm = [*[1.0] * 10, *[1e-6] * 30, 1e-2, 1e-6]
    assert judge(gradients(norm=norm)).state is State.PASS


def test_a_steady_rise_passes(gradients: Make) -> None:
    assert judge(gradients(norm=list(np.geomspace(1e-3, 10.0, 50)))).state is State.PASS


def test_ten_steps_are_needed(gradients: Make) -> None:
    assert judge(gradients(norm=[*[1.0] * 9, 1e6])).state is State.NOT_EXAMINED


@pytest.mark.parametrize("facts", [{"scaled": True}, {"clipped": True}])
def test_scaled_and_clipped_gradients_are_not_judged_for_spikes(gradients: Make, facts: dict[str, bool]) -> None:
    assert judge(gradients(norm=spiked(1e6), **facts)).state is State.NOT_APPLICABLE


@pytest.mark.parametrize("family", ["gan", "reinforcement"])
def test_restless_families_are_not_judged_for_spikes(gradients: Make, family: str) -> None:
    assert judge(gradients(norm=spiked(1e6)), Run("cpu", None, 20, family=family)).state is State.NOT_APPLICABLE


def test_growth_towards_the_input(gradients: Make) -> None:
    [found] = judge(gradients(), layers(8000.0, 400.0, 20.0, 1.0)).findings
    assert found.severity is Severity.WARNING
    assert found.subject == "fc0"
    assert found.location == Location("train.py", 1)
    assert "20 times per layer" in found.message


@pytest.mark.parametrize(("times", "state"), [(10.0, State.PASS), (10.1, State.FINDING)])
def test_the_threshold_of_the_growth(gradients: Make, times: float, state: State) -> None:
    assert judge(gradients(), layers(times**3, times**2, times, 1.0)).state is state


def test_two_steep_layers_in_a_row_pass(gradients: Make) -> None:
    assert judge(gradients(), layers(400.0, 400.0, 20.0, 1.0)).state is State.PASS


def test_layers_before_a_norm_are_left_out(gradients: Make) -> None:
    assert judge(gradients(), layers(8000.0, 400.0, 20.0, 1.0, normalized=True)).state is State.PASS


def test_growth_is_judged_under_a_scaler_too(gradients: Make) -> None:
    assert judge(gradients(scaled=True), layers(8000.0, 400.0, 20.0, 1.0)).state is State.FINDING


@pytest.mark.parametrize(("skipped", "severity"), [(False, Severity.ERROR), (True, Severity.WARNING)])
def test_non_finite_values_after_it_make_it_an_error(gradients: Make, skipped: bool, severity: Severity) -> None:
    first = NonFinite(16, "backward", "mul", "fc0", "inf", None, scaler_skipped=skipped)
    [found] = judge(gradients(norm=spiked(np.inf)), Finiteness(20, first)).findings
    assert found.severity is severity


def backward() -> Steps:
    none = np.zeros(20)
    return Steps(np.arange(20), none, none, none, none, Location("train.py", 30, 9))


def test_the_norm_is_clipped_behind_the_backward_pass(gradients: Make) -> None:
    change = only(judge(gradients(norm=spiked(250.0)), backward()))
    assert isinstance(change, InsertAfter)
    assert change.at == Location("train.py", 30, 9)
    assert change.code == "torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1)"
    steep = layers(1e-1, 1e-3, 1e-5, 1e-7, 1e-9)
    assert changes(judge(gradients(clipped=True), steep, backward())) == ()


def test_a_norm_that_only_grows_gives_no_limit(gradients: Make) -> None:
    change = only(judge(gradients(norm=[1.0] * 10 + [3000.0**at for at in range(1, 11)]), backward()))
    assert isinstance(change, InsertAfter)
    assert "max_norm=10)" in change.code
