from collections.abc import Callable
from typing import Any

import pytest

from dnndoctor.findings import Severity
from dnndoctor.measurements import Activation, Activations
from dnndoctor.rule import Result, State
from dnndoctor.rules.activation_functions.dead_units import dead_units

Site = Callable[..., Activation]


def judge(*sites: Activation, transformer: bool = False, **thresholds: Any) -> Result:
    return dead_units.evaluate({Activations: Activations(sites, transformer=transformer)}, thresholds)


def test_most_units_dead(site: Site) -> None:
    [found] = judge(site(dead_share=0.6, zero_share=0.8)).findings
    assert found.severity is Severity.WARNING
    assert "60%" in found.message
    assert found.fix is not None
    assert "kaiming_normal_(model.layers[0].weight" in str(found.fix.code)


@pytest.mark.parametrize(("share", "state"), [(0.20, State.PASS), (0.50, State.PASS), (0.51, State.FINDING)])
def test_the_threshold(site: Site, share: float, state: State) -> None:
    assert judge(site(dead_share=share)).state is state


def test_a_growing_share_counts_earlier(site: Site) -> None:
    assert judge(site(dead_share=[0.0, 0.1, 0.2, 0.45, 0.45, 0.45])).state is State.FINDING
    assert judge(site(dead_share=[0.45] * 6)).state is State.PASS


def test_a_sound_variational_autoencoder_is_silent(site: Site) -> None:
    assert judge(site(dead_share=[0.0, 0.1, 0.2, 0.31, 0.32, 0.32])).state is State.PASS
    assert judge(site(dead_share=[0.22, 0.22, 0.25, 0.25, 0.3, 0.3])).state is State.PASS


def test_the_step_before_has_to_confirm(site: Site) -> None:
    assert judge(site(dead_share=[0.3, 0.3, 0.3, 0.3, 0.3, 0.6])).state is State.PASS


def test_a_wholly_dead_layer_is_an_error(site: Site) -> None:
    assert judge(site(dead_share=1.0)).findings[0].severity is Severity.ERROR


def test_a_layer_that_died_while_watched_is_an_error(site: Site) -> None:
    [found] = judge(site(dead_share=0.0, zero_share=[0.4, 1.0, 1.0, 1.0, 1.0, 1.0])).findings
    assert found.severity is Severity.ERROR
    assert judge(site(dead_share=0.0, zero_share=[0.4, 0.4, 1.0, 1.0, 1.0, 1.0])).state is State.PASS


def test_a_few_units_are_silent_by_chance(site: Site) -> None:
    assert judge(site(units=2, zero_share=1.0)).state is State.PASS


def test_too_few_samples(site: Site) -> None:
    result = judge(site(dead_share=0.6, pooled=299))
    assert result.state is State.NOT_EXAMINED
    assert "299 samples" in str(result.reason)


def test_one_step_is_too_little(site: Site) -> None:
    assert judge(site(dead_share=[0.9])).state is State.NOT_EXAMINED


def test_sparse_transformers_pass_unless_a_whole_layer_is_dead(site: Site) -> None:
    assert judge(site(dead_share=0.7), transformer=True).state is State.PASS
    assert judge(site(dead_share=1.0), transformer=True).state is State.FINDING


@pytest.mark.parametrize(
    ("function", "role"), [("gelu", "hidden"), ("silu", "hidden"), ("elu", "hidden"), ("relu", "output")]
)
def test_functions_that_do_not_die(site: Site, function: str, role: str) -> None:
    assert judge(site(function, role=role, dead_share=1.0)).state is State.NOT_APPLICABLE


def test_one_finding_per_line_names_the_worst(site: Site) -> None:
    [found] = judge(site(layer="a", dead_share=0.6), site(layer="b", dead_share=0.7)).findings
    assert found.subject == "b"
    assert "worst of 2" in found.message


def test_a_whole_layer_needs_as_many_samples_as_a_unit(site: Site) -> None:
    assert judge(site(dead_share=1.0, zero_share=0.9, pooled=299)).state is State.NOT_EXAMINED
    assert judge(site(dead_share=1.0, zero_share=0.9, pooled=300)).state is State.FINDING


def test_two_silent_batches_may_be_chance(site: Site) -> None:
    assert judge(site(dead_share=0.0, zero_share=[1.0, 1.0])).state is State.PASS
    assert judge(site(dead_share=0.0, zero_share=[1.0, 1.0, 1.0])).state is State.FINDING


def test_each_layer_needs_samples_of_its_own(site: Site) -> None:
    seldom = site(line=11, layer="expert", dead_share=0.9, pooled=40)
    assert judge(site(dead_share=0.1), seldom).state is State.PASS
    assert judge(site(dead_share=[0.9, 0.9, 0.9, 0.9, 0.1, 0.1], pooled=[9, 9, 9, 9, 500, 500])).state is State.PASS
