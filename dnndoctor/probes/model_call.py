"""The model's call in a trial: with other inputs than the loop gives it, or in evaluation mode."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from dnndoctor.observe.transforms import transformed
from dnndoctor.observe.watch import Watch
from dnndoctor.probes.experiment import Setting


class ModelCall:
    """What every outermost call of a model goes through while it is switched on."""

    def __init__(self, watch: Watch, setting: Callable[[], Setting | None]) -> None:
        self._watch = watch
        self._setting = setting
        self._inside = False

    def make(self, original: Callable[..., Any], module: nn.Module, args: tuple[Any, ...], kwargs: Any) -> Any:
        """Call the module as the trial has it."""
        setting = self._setting()
        if setting is None or self._inside or not self._counts(module):
            return original(module, *args, **kwargs)
        if setting.inputs is not None:
            with torch._C.DisableTorchFunction(), torch.no_grad():
                args, kwargs = setting.inputs((args, kwargs))
        modes = [each for each in module.modules() if each.training] if setting.evaluating else []
        self._inside = True
        try:
            for each in modes:
                each.training = False
            return original(module, *args, **kwargs)
        finally:
            self._inside = False
            for each in modes:
                each.training = True

    def _counts(self, module: nn.Module) -> bool:
        if threading.get_ident() != self._watch.thread or not torch.is_grad_enabled() or transformed():
            return False
        return not self._watch.inside_backward and next(module.parameters(), None) is not None
