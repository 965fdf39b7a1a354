"""Every window that an examination looks through."""

from __future__ import annotations

from dnndoctor.observe.pretraining import Pretraining
from dnndoctor.observe.window import Window

WINDOWS: tuple[type[Window], ...] = (Pretraining,)
