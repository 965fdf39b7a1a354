"""One probe outside of the loop, run after a loop that was watched in this process."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dnndoctor.probes import outside
from dnndoctor.probes.clock import Clock
from dnndoctor.recording.reader import Row, Rows
from tests.observe.watching import watching


def probed(
    path: Path, name: str, loop: Callable[[], Any], seconds: float = 1000.0, after: Callable[[], object] = dict
) -> tuple[Row, Rows]:
    """What the probe found, and all rows; ``after`` is called once the probe is through."""
    with watching(path) as examination:
        kept = loop()
        probe = next(each for each in outside.PROBES if each.name == name)
        outside._run_one(probe, examination.watch, Clock(math.inf, lambda *_: None), seconds)
        after()
        del kept
    facts = examination.rows.facts("probe", "name", name)
    assert facts is not None
    return facts, examination.rows
