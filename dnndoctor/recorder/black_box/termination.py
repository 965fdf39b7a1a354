"""A last act before SIGTERM ends the process, as it does by itself where the program has no handler of its own."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from typing import Any

from dnndoctor.subject.installed import Installed


def on_termination(act: Callable[[], None], installed: Installed) -> None:
    """Call ``act``, and then end as without us; nothing is done where the program handles the signal, or ignores it."""
    owner = os.getpid()

    def handle(number: int, _frame: Any) -> None:
        signal.signal(number, signal.SIG_DFL)
        if os.getpid() == owner:
            with contextlib.suppress(Exception):  # whatever was interrupted
                act()
        os.kill(os.getpid(), number)

    def leave() -> None:
        with contextlib.suppress(ValueError):
            if signal.getsignal(signal.SIGTERM) is handle:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)

    with contextlib.suppress(ValueError):  # in another thread, where signals are somebody else's
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, handle)
            installed.on_removal(leave)
            os.register_at_fork(after_in_child=leave)  # workers are ended by this signal, and at once
