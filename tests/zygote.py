"""Examinations without the price of imports: one process has torch imported, and forks for each of them.

The fork runs the real command line; where that starts its child, the child is a fork as well, which then runs the very
bootstrap that it was to be started with: same session, descriptors, environment, folder, flags, parent. What is spared
is two starts of Python and the imports of torch and scikit-learn. Before a fork no hook is set, no thread started and
no random number drawn; ``test_the_zygote_is_pristine`` holds that.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parent.parent
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
PRELOADED = (
    "torch.utils.data",
    "torch.func",
    "torch._dynamo",  # the first step of any optimizer imports it, which takes longer than most scripts
    "sklearn.datasets",
    "sklearn.model_selection",
    "dnndoctor.cli",
    "dnndoctor.examination",
    "dnndoctor.subject.child",
    "dnndoctor.subject.hooks",
    "dnndoctor.subject.model_file",
    "dnndoctor.registry",
)
LONGEST = 1 << 20


class Zygote:
    """The tests' end of the link; its methods are as ``subprocess.run`` with the output captured."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-P", str(Path(__file__)), str(theirs.fileno())]
        environment = {**os.environ, **ENVIRONMENT}
        self._server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment, pass_fds=(theirs.fileno(),)
        )
        theirs.close()

    def run(self, *args: str, cwd: Path, timeout: float, **environment: str) -> subprocess.CompletedProcess[str]:
        """``dnndoctor ARGS`` in that folder."""
        return self._run("dnndoctor", args, cwd, timeout, environment)

    def script(self, *args: str, cwd: Path, timeout: float, **environment: str) -> subprocess.CompletedProcess[str]:
        """``python ARGS`` in that folder."""
        return self._run("script", args, cwd, timeout, environment)

    def facts(self) -> dict[str, Any]:
        """What must be so before a fork."""
        done = self._run("facts", (), ROOT, 60.0, {})
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def _run(
        self, kind: str, args: Sequence[str], cwd: Path, timeout: float, environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        order = {
            "kind": kind,
            "args": args,
            "cwd": str(cwd),
            "environment": {**os.environ, **ENVIRONMENT, **environment},
        }
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            socket.send_fds(self._ours, [json.dumps(order).encode()], [out.fileno(), err.fileno()])
            pid = int(self._ours.recv(LONGEST))
            if not select.select([self._ours], [], [], timeout)[0]:
                os.killpg(pid, signal.SIGKILL)
                self._ours.recv(LONGEST)
                raise subprocess.TimeoutExpired(list(args), timeout, _text(out), _text(err))
            code = int(self._ours.recv(LONGEST))
            return subprocess.CompletedProcess(list(args), code, _text(out), _text(err))

    def close(self) -> None:
        """The server ends as its socket does."""
        self._ours.close()
        self._server.wait(10)


def _text(file: Any) -> str:
    file.seek(0)
    text: str = file.read().decode("utf-8", "replace")
    return text


def serve(link: socket.socket) -> None:
    """Fork for every order, until the other end is closed."""
    for name in PRELOADED:
        __import__(name)

    gc.collect()
    gc.freeze()
    while True:
        order, descriptors, _, _ = socket.recv_fds(link, LONGEST, 2)
        if not order:
            return
        pid = os.fork()
        if not pid:
            link.close()
            _become(json.loads(order), descriptors)
        for each in descriptors:
            os.close(each)
        link.send(str(pid).encode())
        _, status = os.waitpid(pid, 0)
        link.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(order: dict[str, Any], descriptors: list[int]) -> NoReturn:
    os.setpgid(0, 0)
    for number, each in enumerate(descriptors, start=1):
        os.dup2(each, number)
        os.close(each)
    _enter(order["cwd"], order["environment"])
    sys.argv = [order["kind"], *order["args"]]
    _leave({"dnndoctor": _check, "script": _script, "facts": _facts}[order["kind"]])


def _enter(cwd: str, environment: Mapping[str, str]) -> None:
    """What a new process would begin with."""
    import multiprocessing.process

    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    tempfile.tempdir = None
    multiprocessing.process.ORIGINAL_DIR = cwd  # type: ignore[attr-defined]


def _leave(work: Callable[[], None]) -> NoReturn:
    code = 1
    try:
        work()
        code = 0
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _check() -> None:
    from dnndoctor import cli
    from dnndoctor.subject import process

    started = process.start

    def start(command: Sequence[str], **how: Any) -> Any:
        ours = list(command[1:3]) == ["-P", "-c"]
        return Forked(command, **how) if ours else started(command, **how)

    process.start = start
    cli.main()


def _script() -> None:
    del sys.argv[0]
    sys.path.insert(0, os.path.dirname(os.path.abspath(sys.argv[0])))
    runpy.run_path(sys.argv[0], run_name="__main__")


def _facts() -> None:
    import torch

    first = float(torch.rand(()))
    hooks = sys.modules["torch.nn.modules.module"]
    facts = {
        "threads": len(os.listdir("/proc/self/task")),
        "torch threads": torch.get_num_threads(),
        "first random number": first
        == float(torch.rand((), generator=torch.Generator().manual_seed(torch.initial_seed()))),
        "module hooks": len(hooks._global_forward_hooks) + len(hooks._global_forward_pre_hooks),
        "backward": torch.Tensor.backward.__module__,
    }
    print(json.dumps(facts))


class Forked:
    """A child of this process, as ``subprocess.Popen`` would have given it."""

    def __init__(
        self, command: Sequence[str], *, cwd: str, environment: Mapping[str, str], reading: int, output: int
    ) -> None:
        self.returncode: int | None = None
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid:
            return
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number, source in enumerate((reading, output, output)):
            os.dup2(source, number)
        os.closerange(3, 256)
        _enter(cwd, environment)
        sys.argv = ["-c", *command[4:]]
        _leave(lambda: exec(command[3], {"__name__": "__main__"}))

    def poll(self) -> int | None:
        """The exit code, or None as long as it runs."""
        if self.returncode is None:
            with contextlib.suppress(ChildProcessError):
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Until it has ended."""
        until = time.monotonic() + timeout if timeout is not None else None
        while self.poll() is None:
            if until is not None and time.monotonic() > until:
                raise subprocess.TimeoutExpired("fork", timeout or 0.0)
            time.sleep(0.01)
        assert self.returncode is not None
        return self.returncode


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
