"""The child process: runs the user's script as ``__main__``, watched, and tells the parent how it ended."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
import time
import traceback
import types
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import msgspec

from dnndoctor.subject.protocol import Ending, Job, Progress


class Reporter:
    """Progress lines to the parent; one that cannot be written is not missed."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._last = ("", 0.0)

    def __call__(self, phase: str, step: int = 0, total: int = 0) -> None:
        """At most fifty lines a second of one phase."""
        now = time.monotonic()
        if phase == self._last[0] and now - self._last[1] < 0.02 and step != total:
            return
        self._last = (phase, now)
        self._send(Progress(phase=phase, step=step, total=total))

    def end(self, ending: Ending) -> None:
        """The last line."""
        self._send(Progress(phase="end", ending=ending))

    def _send(self, progress: Progress) -> None:
        try:
            os.write(self._fd, msgspec.json.encode(progress) + b"\n")
        except OSError:
            self._fd = -1


def main(job_file: str) -> None:
    """Do the job and leave; never returns."""
    job = msgspec.json.decode(Path(job_file).read_bytes(), type=Job)
    os.environ["DNNDOCTOR_CWD"] = job.cwd
    report = Reporter(job.progress_fd)
    report("start")
    _guard_disk(job)
    ending = _examine(job, report)
    report.end(ending)
    sys.stdout.flush()
    sys.stderr.flush()
    _end_workers()
    os._exit(0)  # threads and exit handlers of a script that was stopped half-way have nothing left to do


def _end_workers(seconds: float = 2.0) -> None:
    """Let multiprocessing clear away its own folders and semaphores, if it does so in time."""
    util, tracker = sys.modules.get("multiprocessing.util"), sys.modules.get("multiprocessing.resource_tracker")
    limit = threading.Timer(seconds, os._exit, (0,))
    limit.daemon = True
    limit.start()
    with contextlib.suppress(Exception):  # private doors, which may move between versions
        if util is not None:
            util._exit_function()
        if tracker is not None:
            tracker._resource_tracker._stop()


def _guard_disk(job: Job) -> None:
    from dnndoctor.subject import disk, overlay, trackers

    folders = _named_folders(job)
    if not job.keep_files:
        overlay.enter_overlay(job.cwd, folders, job.scratch)
    disk.Guard(job.scratch, (job.cwd, *folders), job.keep_files).install()
    trackers.install(job.scratch)


def _named_folders(job: Job) -> tuple[str, ...]:
    """Folders outside of the working directory that the script's arguments name: it may write there too."""
    values = [each.partition("=")[2] or each for each in job.args]
    folders = [os.path.realpath(os.path.join(job.cwd, each)) for each in values if os.path.isabs(each) or ".." in each]
    below = os.path.realpath(job.cwd) + os.sep
    return tuple(each for each in folders if os.path.isdir(each) and not (each + os.sep).startswith(below))


def _examine(job: Job, report: Reporter) -> Ending:
    began = time.monotonic()
    import torch

    from dnndoctor.observe import device
    from dnndoctor.observe.source import relative
    from dnndoctor.observe.watch import Watch
    from dnndoctor.probes.conductor import Conductor
    from dnndoctor.probes.snapshot import RandomState
    from dnndoctor.recording.writer import Writer
    from dnndoctor.subject import disk
    from dnndoctor.subject.hooks import install

    disk.guard_torch()
    writer = Writer(job.recording)
    writer.run(
        script=job.script,
        args=list(job.args),
        torch_version=str(torch.__version__),
        python_version=sys.version.split()[0],
        accelerator=device.name(),
        family=job.family,
        probes=job.probes,
    )
    writer.commit()
    watch = Watch(writer, relative(os.path.abspath(job.script)))
    conductor = Conductor(watch, steps=job.steps, probes=job.probes, deadline=job.deadline - 1.0, report=report)
    install(watch, conductor)
    if hasattr(torch.compiler, "set_stance"):
        torch.compiler.set_stance("force_eager")
    if job.seed is not None:
        torch.manual_seed(job.seed)
    os.register_at_fork(after_in_child=lambda: setattr(watch.forward, "active", False))
    with watch.forward:
        random = RandomState()
        ending = _run_script(job, conductor)
        if ending.kind == "finished" and not watch.step:
            ending = _by_hand(ending) if watch.backward_seen else _train_model_file(conductor, writer)
        watch.forward.active = False
        watch.observing = False
        _measure_the_rest(watch, conductor)
        while ending.kind == "finished" and conductor.wants_encore:
            random.restore()
            os.chdir(job.cwd)
            conductor.begin_encore()
            if _run_script(job, conductor).kind != "finished":
                break
        conductor.end_encores()
        return _close(ending, watch, conductor, began)


def _measure_the_rest(watch: Any, conductor: Any) -> None:
    """What needs no running script."""
    from dnndoctor.probes import order

    if watch.failure is not None or not watch.step:
        return
    try:
        watch.passes.step()
        conductor.finish()
        order.scan(watch)
        watch.flush()
    except Exception as bug:  # noqa: BLE001 - it is told in the report
        watch.fail(bug)


def _close(ending: Ending, watch: Any, conductor: Any, began: float) -> Ending:
    watch.writer.run(wall_seconds=time.monotonic() - began, phases=conductor.phases, ending=ending.kind)
    watch.writer.close()
    if watch.failure is not None:
        ending = Ending(kind="failed", message=watch.failure)
    return msgspec.structs.replace(ending, steps=watch.step)


def _run_script(job: Job, conductor: Any) -> Ending:
    from dnndoctor.probes.conductor import Stop

    script = os.path.abspath(job.script)
    sys.argv = [job.script, *job.args]
    sys.path.insert(0, os.path.dirname(os.path.realpath(script)))
    module = types.ModuleType("__main__")
    module.__file__ = script
    module.__loader__ = SourceFileLoader("__main__", script)
    module.__spec__ = None
    module.__dict__["__builtins__"] = __builtins__
    module.__dict__["__cached__"] = None
    sys.modules["__main__"] = module
    try:
        code = compile(Path(script).read_bytes(), script, "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102 - running the user's script is what we are for
    except Stop as stop:
        return Ending(kind=str(stop))
    except KeyboardInterrupt:
        return Ending(kind="interrupted", message="interrupted")
    except SystemExit as leave:
        code_ = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
        if conductor.cut or not code_:
            return Ending(kind="finished", code=code_)
        message = str(leave.code) if isinstance(leave.code, str) else f"sys.exit({code_})"
        return Ending(kind="exit", message=message, code=code_)
    except BaseException as error:  # noqa: BLE001 - whatever the script raises is an ending
        return _exception(error, script, conductor)
    return Ending(kind="finished")


def _by_hand(ending: Ending) -> Ending:
    message = "backward ran, but no torch.optim optimizer made a step: updates made by hand cannot be examined yet"
    return msgspec.structs.replace(ending, message=message)


def _train_model_file(conductor: Any, writer: Any) -> Ending:
    """The script made no step: perhaps it only defines a model and its data."""
    from dnndoctor.probes.conductor import Stop
    from dnndoctor.subject.model_file import ModelFile

    module = sys.modules["__main__"]
    try:
        found = ModelFile(vars(module))
        if not found.complete:
            return Ending(kind="finished")
        writer.run(kind="model", notes=found.chosen)
        found.train()
    except Stop as stop:
        writer.run(notes=found.chosen)
        return Ending(kind=str(stop))
    except BaseException as error:  # noqa: BLE001 - whatever the model raises is an ending
        return _exception(error, str(module.__file__), conductor)
    return Ending(kind="finished")


def _printable(text: str) -> str:
    return "".join(c for c in re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text) if c.isprintable())


def _exception(error: BaseException, script: str, conductor: Any) -> Ending:
    if conductor.stopping:
        return Ending(kind=conductor.stopping)  # raised on the way out, after we had stopped the script
    if conductor.cut:
        return Ending(kind="stopped")  # their epoch was cut short by us; what follows is no fault of theirs
    from dnndoctor.observe.source import is_user_file, relative

    traceback.print_exception(error)
    frames = traceback.extract_tb(error.__traceback__)
    mine = [each for each in frames if is_user_file(each.filename)]
    last = mine[-1] if mine else None
    message = _printable(f"{type(error).__name__}: {error}".splitlines()[0])[:300]
    return Ending(
        kind="exception",
        message=message,
        file=relative(last.filename) if last else relative(script),
        line=last.lineno if last else None,
        code=1,
    )
