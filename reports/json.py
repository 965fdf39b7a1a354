"""The diagnosis for other programs: JSON, version 1."""

import math
from typing import Any, cast

import msgspec

from dnndoctor import __version__, diagnosis, findings
from dnndoctor.measurements import Course, TrainingLoop
from dnndoctor.reports import schema as v1
from dnndoctor.reports.words import severity

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def render(report: diagnosis.Diagnosis) -> str:
    """The report as indented JSON."""
    whole = v1.Report(
        schema_version=1,
        tool=v1.Tool("dnndoctor", __version__),
        target=target(report.target),
        run=_run(report.run),
        practices=[v1.Practice(each.id, each.title, each.verdict.value, each.reason) for each in report.practices],
        rules=[v1.Rule(each.rule.code, each.state.value, each.reason) for each in report.results],
        findings=[finding(each) for each in report.findings],
        summary=summary(report),
    )
    return written(whole)


def written(whole: msgspec.Struct) -> str:
    """The text of a whole document."""
    return msgspec.json.format(msgspec.json.encode(_writable(msgspec.to_builtins(whole))), indent=2).decode() + "\n"


def summary(report: diagnosis.Diagnosis) -> v1.Summary:
    """Findings by severity."""
    grades = [severity(each) for each in report.findings]
    return v1.Summary(*(grades.count(each) for each in findings.Severity))


def schema() -> dict[str, Any]:
    """The JSON Schema that every report satisfies."""
    made = msgspec.json.schema(v1.Report)
    return {"$schema": DIALECT, "title": "dnndoctor report, version 1", **made}


def target(of: diagnosis.Target) -> v1.Target:
    """What was examined."""
    return v1.Target(of.path, list(of.args), of.kind, of.outcome.value, of.reason)


def _run(run: diagnosis.RunFacts) -> v1.Run:
    loop = _loop(run.loop) if run.loop else None
    repeats, course = _repeats(run.repeats), _course(run.course) if run.course else None
    seconds = number(run.wall_seconds)
    return v1.Run(run.device, run.steps_observed, seconds, run.recording, run.log, loop, repeats, course)


def _course(course: Course) -> v1.Course:
    turn = course.worst
    wrong = kept = None
    if turn is not None:
        figures = (turn.step, turn.before, turn.after, turn.end)
        wrong = v1.WentWrong(cast("Any", turn.kind), *(number(each) for each in figures))
        kept = course.resume(turn.step)
    moved = [
        v1.Moved(each.name, each.role, number(each.step), number(each.before), number(each.after))
        for each in course.moved
    ]
    go_on = v1.Checkpoint(kept.path, number(kept.step)) if kept else None
    return v1.Course(cast("Any", course.unit), number(course.last_step), wrong, moved, go_on)


def _repeats(repeats: diagnosis.Repeats | None) -> v1.Repeats | None:
    if repeats is None:
        return None
    flips = [v1.Flip(each.rule, each.found, each.judged, each.stands, list(each.grades)) for each in repeats.flips]
    return v1.Repeats(repeats.runs, repeats.planned, flips, list(repeats.recordings))


def _loop(loop: TrainingLoop) -> v1.Loop:
    return v1.Loop(
        family=cast("Any", loop.family),
        family_reason=loop.family_reason,
        models=[
            v1.Model(
                name=each.name,
                class_name=each.class_name,
                parameters=each.parameters,
                trainable=each.trainable,
                location=_location(each.location),
            )
            for each in loop.models
        ],
        optimizers=[
            v1.Optimizer(each.name, number(each.learning_rate), each.steps, list(each.models), _location(each.location))
            for each in loop.optimizers
        ],
        loaders=[
            v1.Loader(each.name, cast("Any", each.role), each.batch_size, each.workers, _location(each.location))
            for each in loop.loaders
        ],
        losses=[v1.Loss(each.name, _location(each.location)) for each in loop.losses],
    )


def _location(at: findings.Location | None) -> v1.Location | None:
    return v1.Location(at.file, max(at.line, 1), max(at.column, 1)) if at else None


def finding(found: findings.Finding) -> v1.Finding:
    """One finding."""
    return v1.Finding(
        rule=found.rule,
        name=found.name,
        practice=found.practice,
        severity=severity(found).value,
        message=found.message,
        location=_location(found.location),
        subject=found.subject,
        evidence=[_evidence(each) for each in found.evidence],
        caused_by=found.caused_by,
        fix=_fix(found.fix) if found.fix else None,
    )


def _evidence(one: findings.Evidence) -> v1.Evidence:
    expected = None if one.expected is None else number(one.expected)
    return v1.Evidence(one.name, number(one.value), expected, one.unit)


def _fix(fix: findings.Fix) -> v1.Fix:
    # Version 1 has no place for code without a diff.
    parts = [fix.explanation, fix.code if fix.diff is None else None]
    return v1.Fix(fix.summary, "\n\n".join(part for part in parts if part), fix.diff, fix.verified)


def number(value: float) -> v1.Number:
    """A figure; one that is not finite is spelled out."""
    value = float(value)  # a numpy scalar would not be written
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value


def _writable(value: Any) -> Any:
    """A file name that is no UTF-8 holds lone surrogates, which JSON cannot; they are spelled out."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {key: _writable(each) for key, each in value.items()}
    return [_writable(each) for each in value] if isinstance(value, list) else value
