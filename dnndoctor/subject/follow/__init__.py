"""Into the processes that the script starts: forked, spawned by multiprocessing, or Python programs of their own.

A fork takes the watch along. Every other Python reads ``PYTHONPATH``, and there finds our ``sitecustomize``, which
begins to watch once torch is imported. Workers that load data stay as they are.
"""

from __future__ import annotations

import atexit
import functools
import os
import shlex
import sys
from collections.abc import Callable
from multiprocessing import popen_spawn_posix
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from dnndoctor.subject.protocol import LEAD, Ending, Job

if TYPE_CHECKING:
    from dnndoctor.subject.examined import Examined

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))


def lead_the_way(examined: Examined, job_file: str) -> list[str]:
    """Let what this process starts be followed; gives the Python programs among it, as command lines."""
    path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = HERE + (os.pathsep + path if path else "")
    os.environ.update(DNNDOCTOR_JOB=job_file, DNNDOCTOR_ROOT=ROOT)
    _hold_processes(examined)
    return _launches()


def begin() -> None:
    """In a Python that the script started: watch it, unless another process is examined already."""
    from dnndoctor.subject import disk, overlay, trackers
    from dnndoctor.subject.examined import Examined, run_facts
    from dnndoctor.subject.recorder import LateWriter
    from dnndoctor.subject.reporter import Reporter, keep_descriptors

    job = msgspec.json.decode(Path(os.environ["DNNDOCTOR_JOB"]).read_bytes(), type=Job)
    if os.path.exists(os.path.join(job.scratch, LEAD)):
        return
    overlay.inherit(job.scratch)
    disk.Guard(job.scratch, (job.cwd,), job.keep_files).install()
    trackers.install(job.scratch)
    keep_descriptors(job.scratch)
    disk.guard_torch()
    writer = LateWriter(os.path.join(job.scratch, f"recording-{os.getpid()}.dnnrec"), run_facts(job))
    script = getattr(sys.modules.get("__main__"), "__file__", None) or job.script
    examined = Examined(job, Reporter(job.progress), writer, script, own=False)
    examined.install()
    _hold_processes(examined)
    _tell_at_exit(examined)


def _hold_processes(examined: Examined) -> None:
    """The training function of a process of multiprocessing's ends here, and not in its launcher."""
    wrap_targets(lambda run: functools.partial(_run, examined, run))
    spare_loading_workers()


def wrap_targets(wrapped: Callable[[Callable[[], None]], Callable[[], None]]) -> None:
    """Call what processes of multiprocessing run by way of ours."""
    process_class: Any = BaseProcess
    bootstrap = process_class._bootstrap

    def _bootstrap(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.run = wrapped(self.run)
        return bootstrap(self, *args, **kwargs)

    process_class._bootstrap = _bootstrap


def spare_loading_workers() -> None:
    """Processes that are spawned to load data are started as they would be without us."""
    spawner: Any = popen_spawn_posix.Popen
    launch = spawner._launch

    def _launch(self: Any, process: Any) -> None:
        target = getattr(process, "_target", None)
        if getattr(target, "__module__", "") != "torch.utils.data._utils.worker":
            launch(self, process)
            return
        os.environ["DNNDOCTOR_FOLLOW"] = "0"
        try:
            launch(self, process)
        finally:
            del os.environ["DNNDOCTOR_FOLLOW"]

    spawner._launch = _launch


def _run(examined: Examined, run: Callable[[], None]) -> None:
    from dnndoctor.probes.clock import Stop
    from dnndoctor.subject.child import exception

    try:
        run()
    except Stop as stop:
        examined.leave(str(stop))
    except SystemExit as leave:
        if examined.speaks and leave.code in (None, 0):
            examined.end(Ending(kind="finished"))
        raise
    except BaseException as error:
        if examined.speaks:
            examined.end(exception(error, examined.job.script, examined.conductor))
        raise
    if examined.speaks:
        examined.end(Ending(kind="finished"))


def _tell_at_exit(examined: Examined) -> None:
    """A program of its own tells how it ended as the interpreter goes."""
    from dnndoctor.subject.child import exception

    hook = sys.excepthook
    ended = [Ending(kind="finished")]

    def note(kind: Any, error: Any, trace: Any) -> None:
        ended[0] = exception(error, examined.job.script, examined.conductor, say=False)
        hook(kind, error, trace)

    def tell() -> None:
        if examined.speaks:
            examined.end(ended[0])

    sys.excepthook = note
    atexit.register(tell)


def _launches() -> list[str]:
    found: list[str] = []

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen" and isinstance(args[1], list | tuple):
            words = [os.fsdecode(each) for each in args[1]]
            name = os.path.basename(words[0]) if words else ""
            if name.startswith(("python", "torchrun", "accelerate", "deepspeed")):
                found.append(shlex.join([name, *words[1:]])[:200])

    sys.addaudithook(hook)
    return found
