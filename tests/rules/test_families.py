"""A family silences the rules that it makes senseless, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dnndoctor.findings import Finding, NotApplicable, Severity
from dnndoctor.measurements import LearningRateSweep, Missing, Optimizers, Run
from dnndoctor.registry import load_rules
from dnndoctor.rule import State, rule

# What no rule may judge in a family, whatever else its rules leave out.
SILENT = {
    "gan": {"INI106", "LRN101", "LRN102", "REG103", "REG104"},
    "reinforcement": {"GRD101", "INI106", "LRN101", "LRN102", "REG103", "SHU101"},
    "contrastive": {"ACT106", "INI106"},
    "variational": {"INI106"},
    "diffusion": {"INI106"},
}


def silenced(family: str) -> set[str]:
    return {code for code, each in load_rules().items() if family in each.not_for}


def run(family: str) -> Run:
    return Run("cpu", None, 50, family=family)


@pytest.mark.parametrize(("family", "codes"), SILENT.items())
def test_what_each_family_silences(family: str, codes: set[str]) -> None:
    assert silenced(family) >= codes


def test_plain_supervised_training_is_judged_by_every_rule() -> None:
    assert not silenced("supervised")


def test_a_family_comes_before_a_missing_measurement() -> None:
    measured: dict[type, Any] = {LearningRateSweep: Missing("no sweep"), Optimizers: Missing("none"), Run: run("gan")}
    result = load_rules()["LRN101"].evaluate(measured)
    assert result.state is State.NOT_APPLICABLE
    assert result.reason is not None
    assert "in adversarial training the loss need not fall" in result.reason
    other = load_rules()["LRN101"].evaluate({**measured, Run: run("diffusion")})
    assert (other.state, other.reason) == (State.NOT_EXAMINED, "no sweep")


def test_a_finding_in_a_family_that_the_rule_is_not_for_is_none() -> None:
    @rule("XYZ101", Severity.ERROR, practice="loss", not_for={"gan": "a gan"})
    def fault(run: Run) -> Iterator[Finding]:
        """A fault."""
        yield Finding(f"in {run.family}")

    assert fault.evaluate({Run: run("supervised")}).state is State.FINDING
    silenced = fault.evaluate({Run: run("gan")})
    assert (silenced.state, silenced.reason, silenced.findings) == (State.NOT_APPLICABLE, "a gan", ())


def test_the_rule_s_own_reason_tells_more() -> None:
    @rule("XYZ102", Severity.ERROR, practice="loss", not_for={"gan": "a gan"})
    def fault(run: Run) -> Iterator[Finding]:
        """A fault."""
        if run.family:
            raise NotApplicable("no sigmoid in this model")
        yield Finding("never")

    assert fault.evaluate({Run: run("gan")}).reason == "no sigmoid in this model"


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(ValueError, match="XYZ103: no family of training is called gna"):
        rule("XYZ103", Severity.ERROR, practice="loss", not_for={"gna": "a typo"})
