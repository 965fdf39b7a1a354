"""The child process: runs the user's program as ``__main__``, watched, and tells the parent how it ended."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import sys
import threading
import time
import traceback
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from dnndoctor.subject import start, world
from dnndoctor.subject.protocol import Ending, Job
from dnndoctor.subject.reporter import Reporter, keep_descriptors

if TYPE_CHECKING:
    from dnndoctor.subject.examined import Examined


def main(job_file: str, bare: Collection[str] = ()) -> None:
    """Do the job and leave; never returns. ``bare``: the modules that an interpreter has without us."""
    job = msgspec.json.decode(Path(job_file).read_bytes(), type=Job)
    os.environ["DNNDOCTOR_CWD"] = job.cwd
    report = Reporter(job.progress)
    report("start")
    _guard_disk(job)
    keep_descriptors(job.scratch)
    _examine(job, report, job_file, bare)


def _guard_disk(job: Job) -> None:
    from dnndoctor.subject import disk, overlay, trackers

    folders = _named_folders(job)
    if not job.keep_files:
        overlay.enter_overlay(job.cwd, folders, job.scratch)
    overlay.share(job.scratch)
    disk.Guard(job.scratch, (job.cwd, *folders), job.keep_files).install()
    trackers.install(job.scratch)


def _named_folders(job: Job) -> tuple[str, ...]:
    """Folders outside of the working directory that the script's arguments name: it may write there too."""
    values = [each.partition("=")[2] or each for each in job.args]
    folders = [os.path.realpath(os.path.join(job.cwd, each)) for each in values if os.path.isabs(each) or ".." in each]
    below = os.path.realpath(job.cwd) + os.sep
    return tuple(each for each in folders if os.path.isdir(each) and not (each + os.sep).startswith(below))


def _examine(job: Job, report: Reporter, job_file: str, bare: Collection[str]) -> None:
    import torch

    from dnndoctor.probes.snapshot import RandomState
    from dnndoctor.recording.writer import Writer
    from dnndoctor.subject import disk, follow
    from dnndoctor.subject.examined import Examined, run_facts

    disk.guard_torch()
    writer = Writer(job.recording)
    writer.run(**run_facts(job))
    writer.commit()
    examined = Examined(job, report, writer, job.script, own=True)
    examined.install()
    launches = follow.lead_the_way(examined, job_file)
    if job.seed is not None:
        torch.manual_seed(job.seed)
    start.uncover(job.program.first, Path(job.program.path).stem, bare)
    random, surroundings = RandomState(), start.Surroundings()
    ending, model = _run(job, examined)
    if ending.kind == "finished" and not examined.watch.step and not examined.led_elsewhere:
        ending = _without_steps(job, examined, ending, model)
    if not examined.watch.step and launches:
        ending = msgspec.structs.replace(ending, launched=launches[-1])
    examined.over = ending
    examined.measure_the_rest()
    conductor = examined.conductor
    while ending.kind == "finished" and examined.leads and conductor.wants_encore:
        random.restore()
        surroundings.restore()
        conductor.begin_encore()
        if _run(job, examined)[0].kind != "finished":
            break
    examined.end(ending)
    examined.out()


def _run(job: Job, examined: Examined) -> tuple[Ending, Any]:
    """Until the program is over, with all that it does not leave behind; and the model, if that is all there is."""
    pid = os.getpid()
    ending, model = _run_program(job, examined.conductor)
    if os.getpid() != pid:
        _end_of_fork(examined, ending)
    watch = examined.watch
    if ending.kind == "finished" and model is None and (not watch.step or watch.thread != threading.get_ident()):
        _wait_for_others(examined)
    stopping = examined.conductor.clock.stopping
    if stopping is not None and ending.kind in ("finished", "exit"):
        return Ending(kind=stopping), None  # it caught our Stop and went on
    return ending, model


def _end_of_fork(examined: Examined, ending: Ending) -> None:
    """A fork of the script's own that came to the script's end: it goes as any other process does."""
    if examined.leads:
        examined.end(ending)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(ending.code)


def _wait_for_others(examined: Examined) -> None:
    """Python ends a program when its threads and processes that are no daemons have ended; one of them may train."""
    while time.monotonic() < examined.job.deadline and examined.conductor.clock.stopping is None:
        threads = [each for each in threading.enumerate() if each is not threading.current_thread()]
        if not any(not each.daemon for each in threads) and not any(
            not each.daemon for each in multiprocessing.active_children()
        ):
            return
        time.sleep(0.05)


def _run_program(job: Job, conductor: Any) -> tuple[Ending, Any]:
    from dnndoctor.probes.clock import Stop

    model = None
    try:
        model = start.run(job.program, job.args)
        ending = Ending(kind="finished")
    except Stop as stop:
        ending = Ending(kind=str(stop))
    except KeyboardInterrupt:
        ending = Ending(kind="interrupted", message="interrupted")
    except SystemExit as leave:
        ending = _left(leave, conductor)
    except BaseException as error:  # noqa: BLE001 - whatever the script raises is an ending
        ending = exception(error, job.script, conductor)
    return ending, model


def _left(leave: SystemExit, conductor: Any) -> Ending:
    code = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
    if conductor.probing and code:
        conductor.trials.fail_trial()
    if conductor.cut or conductor.probing or not code:
        return Ending(kind="finished")
    message = _printable(str(leave.code))[:300] if isinstance(leave.code, str) else f"sys.exit({code})"
    if isinstance(leave.code, str):
        print(leave.code, file=sys.stderr)
    return Ending(kind="exit", message=message, code=code, wants_world=_wants_world(leave, conductor))


def _wants_world(error: BaseException, conductor: Any) -> bool:
    return not conductor.watch.step and world.is_wanted(error)


def _by_hand(ending: Ending) -> Ending:
    message = "backward ran, but no optimizer made a step, and no parameter was seen to change after a backward pass"
    return msgspec.structs.replace(ending, message=message)


def _without_steps(job: Job, examined: Examined, ending: Ending, model: Any) -> Ending:
    """The script made no step: perhaps it only defines a model and its data."""
    if model is not None:
        names = {**vars(sys.modules[job.program.module]), "model": model}
    elif examined.watch.backward_seen:
        return _by_hand(ending)
    else:
        names = vars(sys.modules["__main__"])
    return _train_objects(names, job, examined)


def _train_objects(names: dict[str, Any], job: Job, examined: Examined) -> Ending:
    from dnndoctor.probes.clock import Stop
    from dnndoctor.subject.objects import train_objects

    try:
        return train_objects(names, examined.watch, job.given)
    except Stop as stop:
        return Ending(kind=str(stop))
    except BaseException as error:  # noqa: BLE001 - whatever the model raises is an ending
        return exception(error, job.script, examined.conductor)


def _printable(text: str) -> str:
    return "".join(c for c in re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text) if c.isprintable())


def exception(error: BaseException, script: str, conductor: Any, *, say: bool = True) -> Ending:
    """How a script ended that raised; its trace is printed where the script's output goes."""
    if conductor.clock.stopping:
        return Ending(kind=conductor.clock.stopping)  # raised on the way out, after we had stopped the script
    if conductor.cut:
        return Ending(kind="stopped")  # their epoch was cut short by us; what follows is no fault of theirs
    if conductor.probing:
        if say:
            traceback.print_exception(error)
        conductor.trials.fail_trial()  # at a rate of ours: perhaps it guards against a loss that is not finite
        return Ending(kind="finished")
    from dnndoctor.observe.source import is_user_file, relative

    if say:
        with contextlib.suppress(Exception):  # where the script has closed its own output
            traceback.print_exception(error)
    frames = traceback.extract_tb(error.__traceback__)
    mine = [each for each in frames if is_user_file(each.filename)]
    last = mine[-1] if mine else None
    return Ending(
        kind="exception",
        message=_message(error),
        file=relative(last.filename) if last else relative(script),
        line=last.lineno if last else None,
        code=1,
        wants_world=_wants_world(error, conductor),
    )


def _message(error: BaseException) -> str:
    """One line; of an exception that came out of a process of the script's, that process's own."""
    lines = [each for each in str(error).splitlines() if each.strip()] or [""]
    if lines[0].startswith("-- Process "):
        return _printable(lines[-1])[:300]
    return _printable(f"{type(error).__name__}: {lines[0]}")[:300]
