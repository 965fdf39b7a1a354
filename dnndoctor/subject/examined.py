"""What watches one process, from its first hook to its ending: watch, conductor, recording, and who may speak."""

from __future__ import annotations

import _thread
import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec
import torch

from dnndoctor.observe.source import relative
from dnndoctor.observe.watch import Watch
from dnndoctor.probes.conductor import Conductor
from dnndoctor.subject import company, hooks, seed_shift
from dnndoctor.subject.protocol import LEAD, Ending, Job, Lead
from dnndoctor.subject.recorder import copied

if TYPE_CHECKING:
    from dnndoctor.recording.writer import Writer
    from dnndoctor.subject.installed import Installed
    from dnndoctor.subject.reporter import Reporter

SWALLOWED_SECONDS = 2.0  # after our Stop was raised: what has not come out by then was caught
LATE_SECONDS = 1.5  # after the deadline: the step that runs now will not end in time


class Examined:
    """One process of the script's, examined if it is the first whose optimizer makes a step.

    ``own``: it is the process that we started ourselves; only there is our Stop raised through the script. A process
    that the script started is left at once when all is done, as whatever launched it there would swallow the Stop.
    """

    def __init__(self, job: Job, tell: Reporter, writer: Writer, script: str, *, own: bool) -> None:
        self.job = job
        self.began = time.monotonic()
        self.own = own
        self.leads = False
        self.pid = os.getpid()
        self.watch = Watch(writer, relative(os.path.abspath(script)))
        self.watch.scratch = job.scratch
        self.conductor = Conductor(
            self.watch,
            steps=job.steps,
            probes=job.probes,
            only_probes=job.only_probes,
            deadline=job.deadline - 1.0,
            report=self._report,
        )
        self._tell = tell
        self._installed: Installed | None = None
        self._retired = False
        self.over: Ending | None = None  # the script itself has ended so; what runs now is ours, or an encore
        self._leaving = threading.Lock()
        self._exit = os._exit

    def install(self) -> None:
        """Begin to watch."""
        seed_shift.install(self.job.seed_shift)
        self._installed = hooks.install(self.watch, self.conductor)
        self.conductor.clock.leave = self.leave
        self.conductor.clock.leaves_at_once = not self.own
        if hasattr(torch.compiler, "set_stance"):
            torch.compiler.set_stance("force_eager")
        enter: Callable[[], object] = self.watch.forward.__enter__
        enter()
        os._exit = self._on_exit  # type: ignore[assignment]
        os.register_at_fork(before=self._before_fork, after_in_child=self._after_fork)
        self._guard_time()

    @property
    def led_elsewhere(self) -> bool:
        """Another process is the examined one."""
        return not self.leads and os.path.exists(os.path.join(self.job.scratch, LEAD))

    @property
    def speaks(self) -> bool:
        """This process is the examined one and has not told yet how it ended."""
        return self.leads and os.getpid() == self.pid and not self._leaving.locked()

    # who is examined

    def _report(self, phase: str, step: int = 0, total: int = 0) -> None:
        if self._retired:
            return
        if not self.leads and phase == "observe" and step:
            self._claim()
        if self.leads or (self.own and not self.led_elsewhere):
            self._tell(phase, step, total)

    def _claim(self) -> None:
        """The first process that makes a step is the examined one; the others run on, unwatched."""
        company_ = company.of(self.watch)
        recording = getattr(self.watch.writer, "_path", self.job.recording)
        lead = Lead(pid=os.getpid(), recording=recording, own=self.own, company=company_)
        place = os.path.join(self.job.scratch, LEAD)
        draft = f"{place}.{os.getpid()}"
        with open(draft, "wb") as file:
            file.write(msgspec.json.encode(lead))
        try:
            os.link(draft, place)
        except FileExistsError:
            self.retire()
            return
        finally:
            os.unlink(draft)
        self.leads = True
        if company_:
            self.conductor.watch_only(company_)

    def retire(self) -> None:
        """This process is not the examined one: leave torch as it was."""
        self._retired = True
        self.conductor.watch_only("another process is examined")
        self.watch.observing = self.watch.deep = self.watch.forward.active = False
        if self._installed is not None:
            self._installed.remove()

    def _before_fork(self) -> None:
        if not self._retired and os.getpid() == self.pid and not self.watch.step:
            with contextlib.suppress(Exception):
                self.watch.writer.commit()

    def _after_fork(self) -> None:
        if self._retired:
            return
        parent, self.pid, self.own = self.pid, os.getpid(), False
        self._leaving = threading.Lock()
        if self.leads or self.watch.step or self.led_elsewhere or company.loads_data():
            self.leads = False
            self.retire()
            return
        self._kept = self.watch.writer  # its connection is the parent's: neither used nor closed here
        recording = getattr(self._kept, "_path", self.job.recording)
        path = os.path.join(self.job.scratch, f"recording-{parent}-{self.pid}.dnnrec")
        self.watch.writer = copied(recording, path, run_facts(self.job))
        self.conductor.clock.leaves_at_once = True
        self._guard_time()

    # how it ends

    def end(self, ending: Ending) -> None:
        """Finish the recording and tell the parent, once: whoever comes second waits for the end of the process."""
        if not self._leaving.acquire(blocking=False):
            threading.Event().wait()
        if self.over is None:
            self.measure_the_rest()
        self.conductor.end_encores()
        self._tell.end(self.close(ending))

    def leave(self, kind: str) -> NoReturn:
        """End this process in the middle of the script."""
        if self._retired:
            self._exit(0)
        self.end(Ending(kind=kind))
        self.out()

    def measure_the_rest(self) -> None:
        """What needs no running script."""
        self.watch.forward.active = False
        self.watch.observing = False
        if self.watch.failure is not None or not self.watch.step or self._retired:
            return
        try:
            self.watch.passes.step()
            self.conductor.finish()
            self.watch.flush()
        except Exception as bug:  # noqa: BLE001 - it is told in the report
            self.watch.fail(bug)

    def close(self, ending: Ending) -> Ending:
        """Close the recording; gives the ending with what is known here."""
        watch = self.watch
        if ending.kind == "exception" and watch.refused is not None and watch.failure is None:
            watch.writer.run(refused=watch.refused)
            ending = msgspec.structs.replace(ending, explained=True)
        watch.writer.run(
            wall_seconds=time.monotonic() - self.began, phases=self.conductor.clock.phases, ending=ending.kind
        )
        watch.writer.close()
        if watch.failure is not None:
            ending = Ending(kind="failed", message=watch.failure)
        return msgspec.structs.replace(ending, steps=watch.step)

    def _on_exit(self, code: int) -> NoReturn:
        """``os._exit``, also of a script that has trained: what was recorded until then is kept."""
        if os.getpid() == self.pid and not self._retired and (self.leads or self.own) and not self._leaving.locked():
            ended = Ending(kind="exit", message=f"os._exit({code})", code=code) if code else Ending(kind="finished")
            self.end(ended)
        self._exit(code)

    def out(self) -> NoReturn:
        """End the process; threads and exit handlers of a script that was stopped half-way have nothing left to do."""
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        self._end_workers()
        self._exit(0)

    def _end_workers(self, seconds: float = 2.0) -> None:
        """Let multiprocessing clear away its own folders and semaphores, if it does so in time."""
        util = sys.modules.get("multiprocessing.util")
        tracker = sys.modules.get("multiprocessing.resource_tracker")
        limit = threading.Timer(seconds, self._exit, (0,))
        limit.daemon = True
        limit.start()
        with contextlib.suppress(Exception):  # private doors, which may move between versions
            if util is not None and self.own:
                util._exit_function()
            if tracker is not None and self.own:
                tracker._resource_tracker._stop()

    def _guard_time(self) -> None:
        """A thread that ends what does not end: a script that caught our Stop, or that is in a step for too long."""
        _thread.start_new_thread(self._watch_time, ())  # the script's own threading does not see it

    def _watch_time(self) -> None:
        stopped = 0.0
        while True:
            time.sleep(0.1)
            now = time.monotonic()
            if not _alive(self.job.parent):
                self._exit(1)  # nobody is left to put the disk back after what we would do now
            if self._retired or self._leaving.locked():
                continue
            if self.conductor.clock.stopping is not None and self.over is None:
                stopped = stopped or now
                if now > stopped + SWALLOWED_SECONDS and (self.leads or self.own):
                    self.leave(self.conductor.clock.stopping)
            elif now > self.job.deadline + LATE_SECONDS and (self.leads or (self.own and not self.led_elsewhere)):
                self._leave_late()

    def _leave_late(self) -> NoReturn:
        """The time is up and the script's own thread is somewhere deep: keep what there is."""
        if not self._leaving.acquire(blocking=False):
            threading.Event().wait()
        ending = self.over or Ending(kind="budget")
        with contextlib.suppress(Exception):
            if self.over is not None:
                self.conductor.end_encores()
            self.watch.flush()
        with contextlib.suppress(Exception):
            wall = time.monotonic() - self.began
            self.watch.writer.run(wall_seconds=wall, phases=self.conductor.clock.phases, ending=ending.kind)
            self.watch.writer.commit()
        self._tell.end(msgspec.structs.replace(ending, steps=self.watch.step))
        self._exit(0)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it may have become somebody else's
        return True
    return True


def run_facts(job: Job) -> dict[str, Any]:
    """What a recording begins with."""
    from dnndoctor.observe import device

    return {
        "script": job.script,
        "args": list(job.args),
        "kind": job.program.kind,
        "torch_version": str(torch.__version__),
        "python_version": sys.version.split()[0],
        "accelerator": device.name(),
        "family": job.family,
        "probes": job.probes,
        "seed": job.seed,
        "seed_shift": job.seed_shift,
    }
