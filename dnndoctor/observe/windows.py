"""Every window that an examination looks through."""

from __future__ import annotations

from dnndoctor.observe.built_in_forward import BuiltInForward
from dnndoctor.observe.groups import Groups
from dnndoctor.observe.habits import Habits
from dnndoctor.observe.layer_settings import LayerSettings
from dnndoctor.observe.plan import Plan
from dnndoctor.observe.pretraining import Pretraining
from dnndoctor.observe.schedulers import Schedulers
from dnndoctor.observe.unregistered import Unregistered
from dnndoctor.observe.window import Window

WINDOWS: tuple[type[Window], ...] = (
    BuiltInForward,
    Groups,
    Habits,
    LayerSettings,
    Plan,
    Pretraining,
    Schedulers,
    Unregistered,
)
