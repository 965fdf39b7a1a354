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
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader

from dnndoctor.observe import inventory
from dnndoctor.observe.loaders import iterating
from dnndoctor.observe.source import caller, is_user_class
from dnndoctor.observe.transforms import readable, transformed
from dnndoctor.observe.watch import Watch
from dnndoctor.probes.conductor import Conductor
from dnndoctor.subject.installed import Installed, Switch


def install(watch: Watch, conductor: Conductor) -> Installed:
    """Install every hook and wrapper; whoever holds what is returned can take them away again."""
    installed = Installed()
    _note_construction(installed, watch)
    _hook_modules(installed, watch, conductor)
    _hook_steps(installed, watch, conductor)
    _hook_calls(installed, conductor)
    _wrap_backward(installed, watch, conductor)
    _wrap_helpers(installed, watch)
    for window in watch.windows.all:
        window.install(_Border(installed, watch))
    serve = iterating(watch.loaders, DataLoader.__iter__, conductor.serve, lambda: conductor.probing)
    installed.patch(DataLoader, "__iter__", serve)
    installed.on_removal(watch.forward.release)
    return installed


class _Border:
    """Where windows put wrappers of their own."""

    def __init__(self, installed: Installed, watch: Watch) -> None:
        self.patch = installed.patch
        self._watch = watch

    def shielded(self, look: Callable[..., Any]) -> Callable[..., Any]:
        """Raises nothing."""
        return _shielded(self._watch, look)


def _shielded(watch: Watch, look: Callable[..., Any]) -> Callable[..., Any]:
    """A bug of ours must not become an exception of the user's; what ends the script on purpose is no Exception."""

    @functools.wraps(look)
    def call(*args: Any, **kwargs: Any) -> Any:
        if watch.failure is None:
            try:
                with torch._C.DisableTorchFunction():  # a mode of the user's shall not see what looking calls
                    return look(*args, **kwargs)
            except Exception as bug:  # noqa: BLE001 - it is told in the report
                watch.fail(bug)
        return None

    return call


def _after_init(installed: Installed, watch: Watch, cls: Any, look: Callable[[Any], None]) -> None:
    original, note = cls.__init__, _shielded(watch, look)

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - it takes that method's place
        original(self, *args, **kwargs)
        note(self)

    __init__.__wrapped__ = original  # type: ignore[attr-defined]
    __init__.__doc__ = original.__doc__
    installed.patch(cls, "__init__", __init__)


def _note_construction(installed: Installed, watch: Watch) -> None:
    def optimizer_built(one: Any) -> None:
        if watch.building_own:
            return
        place = watch.optimizer_built[one] = caller(one)
        watch.windows.tell("optimizer_built", one, place)
        watch.built_at_step[one] = watch.step
        if watch.observing and not watch.step:
            watch.forward.engage(watch.deep)
            watch.name_loose([p for group in one.param_groups for p in group["params"]])

    def loader_built(one: Any) -> None:
        place = caller(one)
        watch.loaders.note(one, place)
        watch.windows.tell("loader_built", one, place)

    def scheduler_built(one: Any) -> None:
        watch.schedulers.setdefault(one, None)
        watch.windows.tell("scheduler_built", one, caller(one))

    def module_built(one: nn.Module) -> None:
        inside_library = bool(watch.stack) and not is_user_class(type(watch.stack[-1]))  # built anew in every pass
        place = watch.modules.location(watch.stack[-1]) if inside_library else caller(one)
        watch.modules.note(one, place)
        watch.windows.tell("module_built", one, place)

    _after_init(installed, watch, nn.Module, module_built)
    _after_init(installed, watch, Optimizer, optimizer_built)
    _after_init(installed, watch, LRScheduler, scheduler_built)
    _after_init(installed, watch, torch.amp.GradScaler, lambda one: watch.scalers.setdefault(one, None))
    _after_init(installed, watch, DataLoader, loader_built)


def _hook_modules(installed: Installed, watch: Watch, conductor: Conductor) -> None:
    def before(module: nn.Module, args: tuple[Any, ...]) -> None:
        if not watch.observing and not conductor.wants_pass:
            return
        if threading.get_ident() != watch.thread and not conductor.adopt_thread():
            return
        forward = watch.forward
        was, forward.active = forward.active, False
        if not watch.stack and not watch.inside_backward:
            if torch.is_grad_enabled():
                conductor.begin_pass()
                was = watch.deep and watch.observing and not watch.evaluated_already
                if watch.observing and not watch.step:
                    watch.inventory.note_initial(list(module.parameters()), anew=not watch.backward_seen)
            else:
                conductor.note_evaluation()
        if watch.observing or watch.passes_in_trials > 0:
            watch.enter(module, args, pending.pop(id(module), {}))
        if was:
            forward.engage()

    def after(module: nn.Module, _args: tuple[Any, ...], output: Any) -> None:
        if not watch.stack or threading.get_ident() != watch.thread:
            return
        forward = watch.forward
        was, forward.active = forward.active, False
        watch.leave(module, output)
        forward.active = was

    pending: dict[int, dict[str, Any]] = {}
    original = nn.Module._call_impl

    def call(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if kwargs and watch.observing and not watch.stack:
            pending[id(self)] = kwargs  # global hooks are given positional arguments only
        return original(self, *args, **kwargs)  # type: ignore[no-untyped-call]

    def outside_of_transforms(look: Callable[..., None]) -> Callable[..., None]:
        return lambda *args: None if transformed() else look(*args)

    look_before = outside_of_transforms(_shielded(watch, before))
    look_after = outside_of_transforms(_shielded(watch, after))

    def hang() -> Installed:
        hung = Installed()
        hung.patch(nn.Module, "_call_impl", call)
        hung.hold(register_module_forward_pre_hook(look_before))
        hung.hold(register_module_forward_hook(look_after, always_call=True))
        return hung

    conductor.module_hooks = Switch(hang)
    conductor.module_hooks.on()
    installed.hold(conductor.module_hooks)


def _hook_calls(installed: Installed, conductor: Conductor) -> None:
    """Model calls that are other than usual; ``__call__`` itself, as a hook on all modules is given no keywords."""
    original = nn.Module.__call__
    make = conductor.trials.model_call.make

    def call(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return make(original, self, args, kwargs)

    def hang() -> Installed:
        hung = Installed()
        hung.patch(nn.Module, "__call__", functools.wraps(original)(call))
        return hung

    conductor.trials.call_hooks = Switch(hang)
    installed.hold(conductor.trials.call_hooks)


def _hook_steps(installed: Installed, watch: Watch, conductor: Conductor) -> None:
    def before(optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if threading.get_ident() != watch.thread and not conductor.adopt_thread(stepping=True):
            return None
        closure = kwargs.get("closure") or next((each for each in args[1:] if callable(each)), None)
        watch.forward.release()  # what a snapshot calls is not looked at
        conductor.open_step(optimizer)
        if closure is None:
            conductor.before_step(optimizer)
            return None
        wrapped = _watched_closure(closure, watch, ready, optimizer)
        if "closure" in kwargs:
            return args, {**kwargs, "closure": wrapped}
        return tuple(wrapped if each is closure else each for each in args), kwargs

    def after(optimizer: Optimizer, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
        if threading.get_ident() != watch.thread:
            return
        conductor.after_step(optimizer)
        watch.forward.engage(watch.observing and watch.deep)

    def after_or_stop(optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        shielded(optimizer, args, kwargs)
        conductor.stop_if_failed()

    ready, shielded = _shielded(watch, conductor.before_step), _shielded(watch, after)
    installed.hold(register_optimizer_step_pre_hook(_shielded(watch, before)))
    installed.hold(register_optimizer_step_post_hook(after_or_stop))


def _watched_closure(
    closure: Callable[..., Any], watch: Watch, ready: Callable[[Optimizer], None], optimizer: Optimizer
) -> Callable[..., Any]:
    """The user's closure with the watch on inside; its first evaluation leaves the gradients of the step."""
    evaluations = 0

    @functools.wraps(closure)
    def evaluate(*args: Any, **kwargs: Any) -> Any:
        nonlocal evaluations
        evaluations += 1
        first = evaluations == 1
        watch.evaluated_already = not first
        watch.forward.engage(first and watch.deep and watch.observing)
        try:
            result = closure(*args, **kwargs)
        finally:
            watch.evaluated_already = False
            watch.forward.release()
        if first:
            ready(optimizer)
        else:
            watch.note_evaluation_of(optimizer)
        return result

    return evaluate


def _wrap_backward(installed: Installed, watch: Watch, conductor: Conductor) -> None:
    tensor_backward, autograd_backward, autograd_grad = (
        torch.Tensor.backward,
        torch.autograd.backward,
        torch.autograd.grad,
    )

    def run(tensors: list[torch.Tensor], go: Callable[[], Any]) -> Any:
        # Under a TorchFunctionMode Tensor.backward dispatches to itself.
        if watch.inside_backward or transformed():
            return go()
        if threading.get_ident() != watch.thread and not conductor.adopt_thread():
            return go()
        watch.inside_backward = True
        forward = watch.forward
        was = forward.active
        forward.release()
        try:
            before(tensors)
            result = go()
            after(tensors)
            return result
        finally:
            watch.inside_backward = False
            forward.engage(was or (watch.by_hand.pending and watch.deep and watch.observing))

    def look(tensors: list[torch.Tensor]) -> None:
        scalars = [t for t in tensors if readable(t) and t.numel() == 1]
        conductor.on_backward([watch.unscaled.get(id(t), t).detach() for t in scalars])
        watch.before_backward(tensors)

    before, after = _shielded(watch, look), _shielded(watch, conductor.after_backward)
    taken = _shielded(watch, conductor.hand.after_gradients)

    def backward(self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        return run([self], lambda: tensor_backward(self, *args, **kwargs))  # type: ignore[no-untyped-call]

    def function(tensors: Any, *args: Any, **kwargs: Any) -> Any:
        listed = [tensors] if isinstance(tensors, torch.Tensor) else list(tensors)
        return run(listed, lambda: autograd_backward(tensors if len(listed) == 1 else listed, *args, **kwargs))

    inside_grad = False

    def grad(outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal inside_grad
        if inside_grad:  # under a TorchFunctionMode it dispatches to itself
            return autograd_grad(outputs, inputs, *args, **kwargs)
        inside_grad = True
        try:
            result = autograd_grad(outputs, inputs, *args, **kwargs)
        finally:
            inside_grad = False
        if training_here() and not transformed() and not kwargs.get("create_graph"):
            values, leaves = _listed(outputs), _listed(inputs)
            if len(values) == 1 and values[0].numel() == 1 and all(each.is_leaf for each in leaves):
                taken(values[0], leaves, list(result))
        return result

    def training_here() -> bool:
        return watch.may_be_by_hand and not watch.inside_backward and threading.get_ident() == watch.thread

    def functional(make: Callable[..., Any], with_value: bool) -> Callable[..., Any]:
        """``torch.func.grad`` and ``grad_and_value``: what they make hands out gradients of its first argument."""

        @functools.wraps(make)
        def made(func: Any, argnums: Any = 0, has_aux: bool = False) -> Any:
            inner = make(func, argnums, has_aux)

            @functools.wraps(inner)
            def call(*args: Any, **kwargs: Any) -> Any:
                outermost = not transformed()
                result = inner(*args, **kwargs)
                if outermost and isinstance(argnums, int) and argnums < len(args) and training_here():
                    gradients = result[0] if with_value or has_aux else result
                    values = _tensors(result[1])[:1] if with_value else []
                    taken(values[0] if values else None, _tensors(args[argnums]), _tensors(gradients))
                return result

            return call

        return made

    installed.patch(torch.Tensor, "backward", functools.wraps(tensor_backward)(backward))
    installed.patch(torch.autograd, "backward", functools.wraps(autograd_backward)(function))
    installed.patch(torch.autograd, "grad", functools.wraps(autograd_grad)(grad))
    for name in ("grad", "grad_and_value"):
        installed.patch(torch.func, name, functional(getattr(torch.func, name), name == "grad_and_value"))


def _listed(tensors: Any) -> list[torch.Tensor]:
    return [tensors] if isinstance(tensors, torch.Tensor) else [each for each in tensors or () if each is not None]


def _tensors(tree: Any) -> list[Any]:
    return [each for each in tree_leaves(tree) if isinstance(each, torch.Tensor)]


def _wrap_helpers(installed: Installed, watch: Watch) -> None:
    load_state_dict, scale = nn.Module.load_state_dict, torch.amp.GradScaler.scale

    def load(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        before = None if watch.step else inventory.fingerprint(self)
        result = load_state_dict(self, *args, **kwargs)
        if before is not None:
            note_loaded(self, before)
        return result

    def scaled(self: Any, outputs: Any) -> Any:
        result = scale(self, outputs)
        if isinstance(outputs, torch.Tensor):
            watch.unscaled[id(result)] = outputs
        return result

    note_loaded = _shielded(watch, watch.note_loaded)
    installed.patch(nn.Module, "load_state_dict", functools.wraps(load_state_dict)(load))
    installed.patch(torch.amp.GradScaler, "scale", functools.wraps(scale)(scaled))
    for name in ("clip_grad_norm_", "clip_grad_value_"):
        installed.patch(nn.utils, name, _noting_clip(watch, getattr(nn.utils, name)))
    zero_grad = Optimizer.zero_grad

    def zero(self: Optimizer, *args: Any, **kwargs: Any) -> None:
        if watch.zero_location is None and watch.observing:
            watch.zero_location = caller()
        zero_grad(self, *args, **kwargs)

    installed.patch(Optimizer, "zero_grad", functools.wraps(zero_grad)(zero))


def _noting_clip(watch: Watch, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def clip(*args: Any, **kwargs: Any) -> Any:
        watch.clipped = True
        return original(*args, **kwargs)

    return clip
