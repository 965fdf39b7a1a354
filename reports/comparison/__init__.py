"""Two recordings side by side, in words that all formats share."""

import math
from dataclasses import dataclass

import numpy as np

from dnndoctor.comparison import Change, Comparison, Stayed
from dnndoctor.diagnosis import Diagnosis
from dnndoctor.findings import Finding, Severity
from dnndoctor.measurements import LearningRateSweep, Run, Steps
from dnndoctor.reports.comparison import series
from dnndoctor.reports.comparison.series import taken
from dnndoctor.reports.words import figure, measured, one_line, place, severity


@dataclass(frozen=True, slots=True)
class Fact:
    """A figure of each run; None where it was not measured."""

    name: str
    before: float | None
    after: float | None
    unit: str | None = None


def headline(comparison: Comparison) -> str:
    """What changed, in a sentence; remarks are counted with the faults they stand among."""
    parts = [
        f"{_count(len(comparison.gone))} gone",
        f"{_count(len(comparison.came))} new",
        f"{_count(len(comparison.stayed))} stayed",
    ]
    unseen = len(comparison.unjudged)
    return f"Findings: {', '.join(parts)}{f', {unseen} not looked for again' if unseen else ''}."


def _count(number: int) -> str:
    return str(number) if number else "none"


def caution(comparison: Comparison) -> tuple[str, ...]:
    """Why the two may differ for other reasons than the change that is of interest."""
    before, after = comparison.before, comparison.after
    said = []
    for name, diagnosis in (("first", before), ("second", after)):
        if diagnosis.target.outcome != "examined":
            said.append(f"the {name} was {diagnosis.target.outcome}: {diagnosis.target.reason or 'no reason recorded'}")
    if before.run.device != after.run.device:
        said.append(f"they ran on different devices: {before.run.device} and {after.run.device}")
    a, b = taken(before.measurements, Run), taken(after.measurements, Run)
    if a and b and a.torch_version != b.torch_version:
        said.append(f"they ran with different versions of PyTorch: {a.torch_version} and {b.torch_version}")
    if a and b and a.family != b.family:
        said.append(f"they are different kinds of training: {a.family} and {b.family}")
    if series.unit(before) != series.unit(after):
        said.append(f"one counts by {series.unit(before)}, the other by {series.unit(after)}")
    return tuple(said)


def facts(comparison: Comparison) -> tuple[Fact, ...]:
    """Figures that people compare first."""
    before, after = _figures(comparison.before), _figures(comparison.after)
    nothing: tuple[None, None] = (None, None)
    found = {name: (before.get(name, nothing), after.get(name, nothing)) for name in (*before, *after)}
    return tuple(Fact(name, a[0], b[0], a[1] or b[1]) for name, (a, b) in found.items())


def _figures(diagnosis: Diagnosis) -> dict[str, tuple[float, str | None]]:
    run, steps = taken(diagnosis.measurements, Run), taken(diagnosis.measurements, Steps)
    found: dict[str, tuple[float, str | None]] = {"steps watched": (float(diagnosis.run.steps_observed), None)}
    if run and run.parameters:
        found["parameters"] = (float(run.parameters), None)
    if losses := series.losses(diagnosis):
        found["loss at the first step"] = (losses[1][0], None)
        found["loss over the last steps"] = (series.end(losses), None)
    if held_out := series.held_out(diagnosis):
        found["best loss on held-out samples"] = (float(np.nanmin(held_out[1])), None)
    seconds = float(np.median(steps.data_seconds + steps.compute_seconds)) if steps and len(steps.step) else math.nan
    if math.isfinite(seconds):
        found["time of a step"] = (1000 * seconds, "ms")
    sweep = taken(diagnosis.measurements, LearningRateSweep)
    if sweep is not None:
        found["learning rate"] = (sweep.user_rate, None)
        found["best learning rate tried"] = (sweep.best_rate, None)
    if norms := series.norms(diagnosis):
        found["gradient norm"] = (float(np.nanmedian(norms[1])), None)
    return found


def title(finding: Finding) -> str:
    """ "train.py:14:9 INI102 [error] mis-scaled-weights: ..."."""
    grade = severity(finding)
    return f"{one_line(place(finding))} {finding.rule} [{grade}] {finding.name}: {one_line(finding.message)}"


def note(change: Change, lead: str) -> str:
    """Why the other run says nothing of it; empty where it does."""
    return f"{lead}{one_line(change.reason)}" if change.reason else ""


def moved(stayed: Stayed) -> str:
    """What is different about a finding that stayed: its grade, its first figure; empty where nothing is."""
    said = [f"was {severity(stayed.before)}"] if stayed.regraded else []
    before, after = stayed.before.evidence[:1], stayed.after.evidence[:1]
    if before and after and before[0].name == after[0].name and figure(before[0].value) != figure(after[0].value):
        said.append(f"{measured(before[0]).split(',')[0]} before, {figure(after[0].value)} now")
    return "; ".join(said)


def graver_first(changes: tuple[Change, ...]) -> tuple[Change, ...]:
    """In the order of their report, remarks last."""
    return tuple(sorted(changes, key=lambda each: severity(each.finding) is Severity.INFO))
