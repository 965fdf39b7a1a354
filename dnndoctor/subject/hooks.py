"""Puts watch and conductor at the borders that PyTorch itself offers. Nothing of the user's is rewritten."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.utils.data import DataLoader

from dnndoctor.observe import inventory
from dnndoctor.observe.loaders import wrap_iter
from dnndoctor.observe.source import caller
from dnndoctor.observe.watch import Watch
from dnndoctor.probes.conductor import Conductor


def install(watch: Watch, conductor: Conductor) -> None:
    """Install every hook and wrapper, once per process."""
    main = threading.get_ident()
    _note_construction(watch)
    _hook_modules(watch, conductor, main)
    _hook_steps(watch, conductor)
    _wrap_backward(watch, conductor)
    _wrap_helpers(watch)
    wrap_iter(watch.loaders, conductor.serve, lambda: conductor.probing)


def _shielded(watch: Watch, look: Callable[..., None]) -> Callable[..., None]:
    """A bug of ours must not become an exception of the user's; what ends the script on purpose is no Exception."""

    @functools.wraps(look)
    def call(*args: Any, **kwargs: Any) -> None:
        if watch.failure is None:
            try:
                look(*args, **kwargs)
            except Exception as bug:  # noqa: BLE001 - it is told in the report
                watch.fail(bug)

    return call


def _after_init(watch: Watch, cls: Any, look: Callable[[Any], None]) -> None:
    original, note = cls.__init__, _shielded(watch, look)

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - it takes that method's place
        original(self, *args, **kwargs)
        note(self)

    __init__.__wrapped__ = original  # type: ignore[attr-defined]
    __init__.__doc__ = original.__doc__
    cls.__init__ = __init__


def _note_construction(watch: Watch) -> None:
    def optimizer_built(one: Any) -> None:
        watch.optimizer_built[one] = caller(one)
        if watch.observing and not watch.step:
            watch.forward.active = watch.deep
            parameters = [p for group in one.param_groups for p in group["params"]]
            inventory.note_initial(parameters)
            watch.name_loose(parameters)

    def loader_built(one: Any) -> None:
        watch.loaders.built.setdefault(one, caller(one))

    _after_init(watch, nn.Module, lambda one: watch.modules.note(one, caller(one)))
    _after_init(watch, Optimizer, optimizer_built)
    _after_init(watch, LRScheduler, lambda one: watch.schedulers.setdefault(one, None))
    _after_init(watch, torch.amp.GradScaler, lambda one: watch.scalers.setdefault(one, None))
    _after_init(watch, DataLoader, loader_built)


def _hook_modules(watch: Watch, conductor: Conductor, main: int) -> None:
    def before(module: nn.Module, args: tuple[Any, ...]) -> None:
        if threading.get_ident() != main or not watch.observing:
            return
        forward = watch.forward
        was, forward.active = forward.active, False
        if not watch.stack:
            if torch.is_grad_enabled():
                was = watch.deep
                if not watch.step:
                    inventory.note_initial(list(module.parameters()))
            else:
                conductor.note_evaluation()
        watch.enter(module, args, _keywords(module))
        forward.active = was

    def after(module: nn.Module, _args: tuple[Any, ...], output: Any) -> None:
        if threading.get_ident() != main or not watch.stack:
            return
        forward = watch.forward
        was, forward.active = forward.active, False
        watch.leave(module, output)
        forward.active = was

    pending: dict[int, dict[str, Any]] = {}

    def _keywords(module: nn.Module) -> dict[str, Any]:
        return pending.pop(id(module), {})

    original = nn.Module._call_impl

    def call(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if kwargs and not watch.stack and watch.observing:
            pending[id(self)] = kwargs  # global hooks are given positional arguments only
        return original(self, *args, **kwargs)  # type: ignore[no-untyped-call]

    nn.Module._call_impl = call  # type: ignore[method-assign]
    register_module_forward_pre_hook(_shielded(watch, before))
    register_module_forward_hook(_shielded(watch, after), always_call=True)


def _hook_steps(watch: Watch, conductor: Conductor) -> None:
    def before(optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        watch.forward.active = False
        conductor.before_step(optimizer)
        if args or kwargs.get("closure") is not None:
            watch.facts_of(optimizer).closure = bool(args and callable(args[0])) or callable(kwargs.get("closure"))

    def after(optimizer: Optimizer, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
        conductor.after_step(optimizer)
        watch.forward.active = watch.observing and watch.deep

    def after_or_stop(optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        shielded(optimizer, args, kwargs)
        conductor.stop_if_failed()

    shielded = _shielded(watch, after)
    register_optimizer_step_pre_hook(_shielded(watch, before))
    register_optimizer_step_post_hook(after_or_stop)


def _wrap_backward(watch: Watch, conductor: Conductor) -> None:
    tensor_backward, autograd_backward = torch.Tensor.backward, torch.autograd.backward
    inside = False  # under a TorchFunctionMode Tensor.backward dispatches to itself

    def run(tensors: list[torch.Tensor], go: Callable[[], Any]) -> Any:
        nonlocal inside
        if inside:
            return go()
        inside = True
        forward = watch.forward
        was, forward.active = forward.active, False
        try:
            before(tensors)
            result = go()
            after()
            return result
        finally:
            inside = False
            forward.active = was

    def look(tensors: list[torch.Tensor]) -> None:
        scalars = [t for t in tensors if t.numel() == 1]
        conductor.on_backward([watch.unscaled.get(id(t), t).detach() for t in scalars])
        watch.before_backward(tensors)

    before, after = _shielded(watch, look), _shielded(watch, watch.after_backward)

    def backward(self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        return run([self], lambda: tensor_backward(self, *args, **kwargs))  # type: ignore[no-untyped-call]

    def function(tensors: Any, *args: Any, **kwargs: Any) -> Any:
        listed = [tensors] if isinstance(tensors, torch.Tensor) else list(tensors)
        return run(listed, lambda: autograd_backward(tensors if len(listed) == 1 else listed, *args, **kwargs))

    torch.Tensor.backward = backward  # type: ignore[method-assign]
    torch.autograd.backward = function


def _wrap_helpers(watch: Watch) -> None:
    load_state_dict, scale = nn.Module.load_state_dict, torch.amp.GradScaler.scale

    def load(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if not watch.step:
            watch.pretrained = True
            inventory.note_loaded(self)
        return load_state_dict(self, *args, **kwargs)

    def scaled(self: Any, outputs: Any) -> Any:
        result = scale(self, outputs)
        if isinstance(outputs, torch.Tensor):
            watch.unscaled[id(result)] = outputs
        return result

    nn.Module.load_state_dict = load  # type: ignore[method-assign]
    torch.amp.GradScaler.scale = scaled  # type: ignore[method-assign]
    for name in ("clip_grad_norm_", "clip_grad_value_"):
        setattr(nn.utils, name, _noting_clip(watch, getattr(nn.utils, name)))
    zero_grad = Optimizer.zero_grad

    def zero(self: Optimizer, *args: Any, **kwargs: Any) -> None:
        if watch.zero_location is None and watch.observing:
            watch.zero_location = caller()
        zero_grad(self, *args, **kwargs)

    Optimizer.zero_grad = zero  # type: ignore[method-assign]


def _noting_clip(watch: Watch, original: Callable[..., Any]) -> Callable[..., Any]:
    def clip(*args: Any, **kwargs: Any) -> Any:
        watch.clipped = True
        return original(*args, **kwargs)

    return clip
