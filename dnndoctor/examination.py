"""One examination from end to end: run the subject, read its recording, judge, diagnose."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import tokenize
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dnndoctor.config import Settings
from dnndoctor.diagnosis import Diagnosis, Outcome, RunFacts, Target, diagnose, judge
from dnndoctor.fixes.files import Files
from dnndoctor.fixes.plan import with_diffs
from dnndoctor.measurements import Course, TrainingLoop
from dnndoctor.measurements.missing import Missing
from dnndoctor.placeholders import with_own_names
from dnndoctor.policy import under_policy
from dnndoctor.recording.assemble import assemble
from dnndoctor.recording.flight import steps_made
from dnndoctor.recording.launches import Launch, flights_at, launches, together
from dnndoctor.recording.logged import is_flight, is_log
from dnndoctor.recording.reader import Rows, read
from dnndoctor.registry import load_rules
from dnndoctor.select import chosen
from dnndoctor.subject.given import Given
from dnndoctor.subject.parent import NOTHING_GIVEN, SubjectResult, run_subject
from dnndoctor.subject.program import Program
from dnndoctor.suppress import suppress_results
from dnndoctor.workspace import new_recording

OnProgress = Callable[[str, int, int, float], None]


def examine(
    program: Program,
    args: Sequence[str],
    settings: Settings,
    *,
    on_progress: OnProgress | None = None,
    given: Given = NOTHING_GIVEN,
    seed_shift: int = 0,
) -> Diagnosis:
    """Run the program in a child process for as long as the budget allows, and judge what was recorded until then.

    ``seed_shift``: how much higher than asked for all seeds are set, for an examination with other random numbers.
    """
    root = Path(settings.root).resolve()
    with tempfile.TemporaryDirectory(prefix="dnndoctor-", ignore_cleanup_errors=True) as scratch:
        written = Path(scratch, "recording.dnnrec")
        result = run_subject(
            program,
            tuple(args),
            cwd=str(root),
            scratch=scratch,
            recording=str(written),
            budget=settings.budget,
            steps=settings.steps,
            probes=settings.probes,
            only_probes=settings.only_probes,
            seed=settings.seed,
            seed_shift=seed_shift,
            family=settings.family,
            keep_files=settings.keep_files,
            given=given,
            on_progress=on_progress,
        )
        recording = _keep(Path(result.recording), root, program.path)
        log = _keep_log(Path(result.log), recording)
    target = Target(program.path, tuple(args), program.kind, result.outcome, result.reason)
    if recording is None:
        reason = result.reason or "nothing was recorded"
        return _diagnosis(target, Rows({}), settings, None, _notes(result), Missing(reason))
    return _diagnosis(target, read(recording), settings, recording, _notes(result), None, log)


def rediagnose(
    recording: Path,
    settings: Settings,
    *,
    facts: Mapping[str, Any] | None = None,
    checkpoints: Sequence[Mapping[str, Any]] = (),
) -> Diagnosis:
    """Judge a recording again.

    ``facts`` of the run, and rows of ``checkpoints``, that are known from elsewhere and stand above its own.

    Raises ValueError with one line for people if it is unreadable or foreign.
    """
    rows = read(recording)
    rows.run.update(facts or {})
    rows.tables.setdefault("checkpoint", []).extend(map(dict, checkpoints))
    args = tuple(rows.run.get("args") or ())
    seen = rows["step"] or (is_flight(rows) and steps_made(rows))
    outcome = Outcome(rows.run.get("outcome") or (Outcome.EXAMINED if seen else Outcome.NOT))
    target = Target(rows.run.get("script") or str(recording), args, "script", outcome, rows.run.get("reason"))
    return _diagnosis(target, rows, settings, recording, (), None)


def examine_logs(paths: Sequence[Path], settings: Settings) -> Diagnosis:
    """Judge a run by what its logs and checkpoints tell; nothing is run, and nothing of a checkpoint is executed.

    Raises ValueError with one line for people if nothing there can be read.
    """
    from dnndoctor.postmortem.kept import dated, in_order
    from dnndoctor.postmortem.log import Unreadable
    from dnndoctor.postmortem.merge import merge
    from dnndoctor.postmortem.record import record
    from dnndoctor.postmortem.search import search
    from dnndoctor.postmortem.weights.ask import weights_of

    flown = launches(flights_at(paths))
    if flown:
        return _examine_flight(flown, paths, settings)
    root = Path(settings.root).resolve()
    found = search(paths)
    merged = merge(found.logs)
    last = max((float(each.step[-1]) for _, each, _ in merged.series), default=None)
    checkpoints = in_order(found.checkpoints, merged.unit)
    told, problems = weights_of(checkpoints) if checkpoints else ([], [])
    if not merged.series and not told:
        raise Unreadable(problems[0] if problems else "nothing there can be read")
    merged.notes += [*found.notes, *problems]
    with tempfile.TemporaryDirectory(prefix="dnndoctor-", ignore_cleanup_errors=True) as scratch:
        written = Path(scratch, "recording.dnnrec")
        record(merged, dated(checkpoints, told, merged.unit, last), written, " ".join(map(str, paths)))
        kept = new_recording(root, paths[0].resolve().name or "run")
        shutil.copyfile(written, kept)
    return rediagnose(kept, settings)


def _examine_flight(flown: Sequence[Launch], paths: Sequence[Path], settings: Settings) -> Diagnosis:
    """The newest run that was recorded, all of its ranks together, with the checkpoints that lie there."""
    from dnndoctor.postmortem.kept import dated, in_order
    from dnndoctor.postmortem.log import Unreadable
    from dnndoctor.postmortem.record import checkpoint_facts
    from dnndoctor.postmortem.search import checkpoints_at
    from dnndoctor.postmortem.weights.ask import weights_of

    missing = next((each for each in paths if not each.exists()), None)
    if missing is not None:
        raise Unreadable(f"{missing}: no such file or folder")
    chosen = flown[-1]
    facts = together(chosen)
    notes = [*(facts.get("notes") or chosen.lead.run.get("notes") or ())]
    if len(flown) > 1:
        notes.append(f"{len(flown)} recorded runs were found; the newest, {chosen.lead.path}, is told of")
    kept = in_order(checkpoints_at(paths), "step")
    told_of = {flight.path.resolve() for launch in flown for flight in launch.flights} | {
        each.resolve() for each in kept
    }
    beside = [str(each) for each in paths if each.is_file() and each.resolve() not in told_of]
    if beside:
        notes.append(f"not read, as the recording tells of the whole run: {', '.join(beside)}")
    told, problems = weights_of(kept) if kept else ([], [])
    weights = list(dated(kept, told, "step", float(chosen.lead.run.get("steps") or 0) - 1))
    run, rows = checkpoint_facts(weights)
    return rediagnose(chosen.lead.path, settings, facts=facts | {"notes": notes + problems, **run}, checkpoints=rows)


def _diagnosis(
    target: Target,
    rows: Rows,
    settings: Settings,
    recording: Path | None,
    notes: tuple[str, ...],
    missing: Missing | None,
    log: Path | None = None,
) -> Diagnosis:
    root = Path(settings.root).resolve()
    measurements = assemble(rows, settings.family)
    if missing is not None:
        measurements = dict.fromkeys(measurements, missing)
    results = judge(measurements, chosen(settings, load_rules().values()), settings.thresholds)
    loop = found if isinstance(found := measurements.get(TrainingLoop), TrainingLoop) else None
    results = with_own_names(results, loop)
    target = replace(target, path=_shown(target.path, root), kind=rows.run.get("kind") or target.kind)
    notes = (*notes, *(rows.run.get("notes") or ()), *_boxes(rows))
    results, left_out = under_policy(results, settings)
    if left_out:
        notes = (*notes, f"{left_out} left out by the settings for their file or module")
    kept = suppress_results(results, lambda file: None if is_log(rows) else _source(root / file), target=target.path)
    if kept.count:
        notes = (*notes, f"{kept.count} silenced by comments in the source")
    run = RunFacts(
        device=str(rows.run.get("device") or ("unknown" if is_log(rows) else "cpu")),
        steps_observed=steps_made(rows) if is_flight(rows) else len(rows["step"]),
        wall_seconds=float(rows.run.get("wall_seconds") or 0.0),
        recording=_relative(recording, root),
        phases=rows.run.get("phases") or {},
        notes=(*notes, *kept.unused),
        loop=loop,
        course=course if isinstance(course := measurements.get(Course), Course) else None,
        log=_relative(log, root),
        seed=rows.run.get("seed"),
        sources=rows.run.get("sources") or {},
        overhead=(rows.run.get("overhead") or {}).get("spent"),
        ended_by=rows.run.get("ended_by"),
    )
    files = Files(lambda name: (root / name).read_bytes(), run.sources)
    return diagnose(target, run, measurements, with_diffs(kept.results, files))


def _boxes(rows: Rows) -> list[str]:
    """The black boxes that were written beside the recording."""
    told = [(each["step"], each["facts"]) for each in rows["event"] if each["kind"] == "black box"]
    return [f"black box of step {step}, as {facts['reason']}: {facts['path']}" for step, facts in told]


def _notes(result: SubjectResult) -> tuple[str, ...]:
    return tuple(result.notes)


def _keep(written: Path, root: Path, script: str) -> Path | None:
    """Fold a killed child's write-ahead log into the file, and keep that under ``.dnndoctor/``."""
    if not written.exists():
        return None
    database = sqlite3.connect(written)
    try:
        database.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.DatabaseError:
        return None
    finally:
        database.close()
    kept = new_recording(root, script)
    shutil.copyfile(written, kept)
    return kept


def _keep_log(written: Path, recording: Path | None) -> Path | None:
    """What the program printed, beside its recording."""
    if recording is None or not written.exists() or not written.stat().st_size:
        return None
    kept = recording.with_suffix(".log")
    shutil.copyfile(written, kept)
    return kept


def _source(path: Path) -> str | None:
    try:
        with tokenize.open(path) as file:  # in the encoding that it declares
            return file.read()
    except (OSError, UnicodeDecodeError, SyntaxError):
        return None


def _shown(script: str, root: Path) -> str:
    """The target as findings name it: from the working directory, if it lies below that."""
    full = (root / script).resolve()
    return str(full.relative_to(root)) if full.is_relative_to(root) else script


def _relative(path: Path | None, root: Path) -> str | None:
    if path is None:
        return None
    full = path.resolve()
    return str(full.relative_to(root)) if full.is_relative_to(root) else str(path)
