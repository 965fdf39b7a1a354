"""Every window that an examination looks through."""

from __future__ import annotations

from dnndoctor.observe.attention import AttentionLogits
from dnndoctor.observe.built_in_forward import BuiltInForward
from dnndoctor.observe.layer_settings import LayerSettings
from dnndoctor.observe.pretraining import Pretraining
from dnndoctor.observe.unregistered import Unregistered
from dnndoctor.observe.window import Window

WINDOWS: tuple[type[Window], ...] = (
    AttentionLogits,
    BuiltInForward,
    LayerSettings,
    Pretraining,
    Unregistered,
)
