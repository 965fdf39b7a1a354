"""Hangs a recorder at the borders that PyTorch offers; all of it comes off again."""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch._compile import _disable_dynamo
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.data.dataloader import _BaseDataLoaderIter

from dnndoctor.observe.transforms import readable, transformed
from dnndoctor.recorder.looks import is_compiled
from dnndoctor.recorder.recorder import Recorder
from dnndoctor.subject.installed import Installed


def install(recorder: Recorder) -> Installed:
    """Follow every optimizer's steps, backward passes, loaders and calls of the models that are trained."""
    installed = Installed()
    steps = _Steps(recorder, installed)

    @_disable_dynamo  # an optimizer's step that is compiled would have what its hooks do compiled with it
    def before(optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return steps.before(optimizer, args, kwargs)

    @_disable_dynamo
    def after(optimizer: Optimizer, *_: Any) -> None:
        steps.after(optimizer)

    installed.hold(register_optimizer_step_pre_hook(before))
    installed.hold(register_optimizer_step_post_hook(after))
    _wrap_backward(installed, recorder, steps)
    _wrap_scaler(installed, recorder, steps)
    _wrap_criteria(installed, recorder, steps)
    _wrap_loaders(installed, recorder)
    os.register_at_fork(after_in_child=steps.leave)
    return installed


class StopTraining(KeyboardInterrupt):
    """Ends a training as Ctrl-C does, so that what the program does then (save, clear away) is done."""


class _Steps:
    """The optimizer's border; the thread that makes the first step is the one that trains."""

    def __init__(self, recorder: Recorder, installed: Installed) -> None:
        self._recorder = recorder
        self._installed = installed
        self._thread: int | None = None
        self.ended = 0
        self._rooted: list[nn.Module] = []
        self._wrapped: set[type] = set()

    @property
    def live(self) -> bool:
        """Whether the recorder is to hear of what happens on this thread."""
        mine = self._thread is None or self._thread == threading.get_ident()
        return mine and self._recorder.failure is None and not self._recorder.closed

    def leave(self) -> None:
        """A forked process is not recorded, unless it is the one that begins to train."""
        if self._recorder.lead is not None or self._recorder.closed:
            self._recorder.closed = True
            self._installed.remove()
        self._recorder.adopt()

    def before(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A step begins; gives its arguments anew where a closure among them is to be followed."""
        if self._recorder.deaf:
            return None
        if self._thread is None:
            self._thread = threading.get_ident()
        closure = kwargs.get("closure") or (args[1] if len(args) > 1 else None)
        if closure is not None and self.live:
            followed = self._followed(optimizer, closure)
            return (args, {**kwargs, "closure": followed}) if "closure" in kwargs else ((args[0], followed), kwargs)
        if not self._recorder.asleep and self.live:
            self.pay("steps", lambda: self._recorder.before_step(optimizer))
        return None

    def _followed(self, optimizer: Optimizer, closure: Callable[..., Any]) -> Callable[..., Any]:
        """The program's closure; its first evaluation leaves the gradients of the step."""
        called = False

        @functools.wraps(closure)
        def follow(*args: Any, **kwargs: Any) -> Any:
            nonlocal called
            result = closure(*args, **kwargs)
            if not called and self.live:
                called = True
                self.pay("steps", lambda: self._recorder.closure_called(optimizer))
            return result

        return follow

    def after(self, optimizer: Optimizer, made: bool = True) -> None:
        """A step has ended; ``made``: as of ``Recorder.after_step``."""
        self.ended += 1
        recorder = self._recorder
        if recorder.asleep > 1:
            if optimizer is recorder.lead:
                recorder.sleep()
            elif recorder.follows(optimizer):
                recorder.other_slept(optimizer)
        elif self.live:
            self.pay("steps", lambda: recorder.after_step(optimizer, made))
            if self._rooted != recorder.roots:
                self.pay("start", self._hook_roots)
        if self._recorder.stopping:
            self._recorder.stopping = False
            raise StopTraining("stopped by dnndoctor")

    def pay(self, kind: str, call: Callable[[], None]) -> None:
        """Call the recorder and count what it costs; a bug of ours stays ours."""
        meter = self._recorder.meter
        began = meter.enter()
        try:
            with torch.no_grad(), torch._C.DisableTorchFunction():
                call()
        except Exception as bug:  # noqa: BLE001 - it is told in the report
            self._recorder.fail(bug)
        finally:
            meter.leave(began, kind)

    def _hook_roots(self) -> None:
        """Calls of the models that are trained, but not of what is inside of them.

        Wrapped in their classes: hooks of a module would be copied, saved and scripted together with it.
        """
        for root in self._recorder.roots:
            kind = type(root)
            if kind not in self._wrapped and not is_compiled(root) and not isinstance(root, torch.jit.ScriptModule):
                self._wrapped.add(kind)
                self._installed.patch(kind, "__call__", self._told(vars(kind).get("__call__")))
        self._rooted = list(self._recorder.roots)

    def _told(self, own: Callable[..., Any] | None) -> Callable[..., Any]:
        """``own``: the ``__call__`` of the class itself, if it has one."""

        @functools.wraps(own or nn.Module.__call__)
        def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            if not torch.compiler.is_compiling():
                if torch.is_grad_enabled():
                    self._recorder.evaluations.trained()
                elif not module.training:
                    self._recorder.evaluations.evaluating = True
                if not self._recorder.asleep:
                    self._called(module, args, kwargs)
            return own(module, *args, **kwargs) if own else nn.Module.__call__(module, *args, **kwargs)

        return call

    def _called(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        recorder = self._recorder
        if self.live and any(module is each for each in self._rooted) and not transformed():
            grads = torch.is_grad_enabled()
            self.pay("calls", lambda: recorder.called((*args, *kwargs.values()), grads))


def _wrap_backward(installed: Installed, recorder: Recorder, steps: _Steps) -> None:
    every, function = torch.Tensor.backward, torch.autograd.backward
    inside = False  # Tensor.backward calls the function; that other threads do not mind is ``live``'s part

    def note(tensors: Iterable[Any]) -> None:
        if recorder.asleep:
            recorder.loss(tensors)
        else:
            steps.pay("losses", lambda: recorder.loss(tensors))

    @functools.wraps(every)
    def of_tensor(self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        nonlocal inside
        if recorder.deaf or inside or torch.compiler.is_compiling() or not steps.live:
            return every(self, *args, **kwargs)  # type: ignore[no-untyped-call]
        note((self,))
        inside = True
        try:
            return every(self, *args, **kwargs)  # type: ignore[no-untyped-call]
        finally:
            inside = False

    @functools.wraps(function)
    def of_function(tensors: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal inside
        if recorder.deaf or inside or torch.compiler.is_compiling() or not steps.live:
            return function(tensors, *args, **kwargs)
        listed = (tensors,) if isinstance(tensors, torch.Tensor) else tuple(tensors)
        note(listed)
        inside = True
        try:
            return function(listed, *args, **kwargs)
        finally:
            inside = False

    installed.patch(torch.Tensor, "backward", of_tensor)
    installed.patch(torch.autograd, "backward", of_function)


def _wrap_scaler(installed: Installed, recorder: Recorder, steps: _Steps) -> None:
    scale, step = torch.amp.GradScaler.scale, torch.amp.GradScaler.step

    @functools.wraps(scale)
    def scaled(self: Any, outputs: Any) -> Any:
        result = scale(self, outputs)
        if not recorder.deaf and self.is_enabled() and steps.live:
            recorder.scaled(outputs, result)
        return result

    @functools.wraps(step)
    def stepped(self: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        before = steps.ended
        result = step(self, optimizer, *args, **kwargs)
        if steps.ended == before and isinstance(optimizer, Optimizer):
            steps.after(optimizer, made=False)  # the scaler found gradients that are not finite
        return result

    installed.patch(torch.amp.GradScaler, "scale", scaled)
    installed.patch(torch.amp.GradScaler, "step", stepped)


def _wrap_criteria(installed: Installed, recorder: Recorder, steps: _Steps) -> None:
    """Loss modules, for what they give in evaluations."""

    @functools.wraps(nn.Module.__call__)
    def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        result = nn.Module.__call__(module, *args, **kwargs)
        if (
            recorder.evaluations.evaluating
            and not torch.is_grad_enabled()
            and not torch.compiler.is_compiling()
            and steps.live
            and isinstance(result, torch.Tensor)
            and result.numel() == 1
            and readable(result)
        ):
            steps.pay("evaluations", lambda: recorder.evaluated(result))
        return result

    installed.patch(nn.modules.loss._Loss, "__call__", call)


def _wrap_loaders(installed: Installed, recorder: Recorder) -> None:
    following = _BaseDataLoaderIter.__next__

    @functools.wraps(following)
    def timed(self: Any) -> Any:
        recorder.evaluations.data = id(self._dataset)
        if recorder.asleep:
            return following(self)
        began = time.perf_counter()
        try:
            return following(self)
        finally:
            recorder.waited(time.perf_counter() - began)

    installed.patch(_BaseDataLoaderIter, "__next__", timed)
