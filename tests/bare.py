"""Runs a script under plain Python, with a tap on backward and nothing else of ours: the bare run to compare with.

Written out as JSON is what happened in order: ``["backward", "0x1.8p+1"]`` for each scalar that backward ran on,
``["gradient", ...]`` for each that ``torch.autograd.grad`` or ``torch.func.grad_and_value`` was taken of, and
``["step", n]`` as the n-th optimizer stepped, or ``["closure", n]`` as it did so with a closure. It ends after enough
steps of the first optimizer.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import runpy
import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

STEPS = 60
GRADIENTS = 400  # where no optimizer ever steps


class Tap:
    """What happened."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._events: list[tuple[str, str | int]] = []
        self._unscaled: dict[int, torch.Tensor] = {}
        self._inside = False
        self._optimizers: list[int] = []
        self._pid = os.getpid()
        self._left = STEPS
        self._gradients = 0

    def install(self) -> None:
        """From now on."""
        backward, every, scale = torch.autograd.backward, torch.Tensor.backward, torch.amp.GradScaler.scale
        grad, grad_and_value = torch.autograd.grad, torch.func.grad_and_value

        def tensor(one: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            with self.noting("backward", [one]):
                return every(one, *args, **kwargs)  # type: ignore[no-untyped-call]

        def function(tensors: Any, *args: Any, **kwargs: Any) -> Any:
            with self.noting("backward", tensors):
                return backward(tensors, *args, **kwargs)

        def taken(outputs: Any, *args: Any, **kwargs: Any) -> Any:
            with self.noting("gradient", outputs):
                return grad(outputs, *args, **kwargs)

        def scaled(scaler: Any, outputs: Any) -> Any:
            result = scale(scaler, outputs)
            if isinstance(result, torch.Tensor):
                self._unscaled[id(result)] = outputs
            return result

        def functional(*args: Any, **kwargs: Any) -> Any:
            made = grad_and_value(*args, **kwargs)

            def call(*args: Any, **kwargs: Any) -> Any:
                gradients, value = made(*args, **kwargs)
                with self.noting("gradient", value if isinstance(value, torch.Tensor) else value[0]):
                    return gradients, value

            return call

        for owner, name, wrapper in (
            (torch.Tensor, "backward", tensor),
            (torch.autograd, "backward", function),
            (torch.autograd, "grad", taken),
            (torch.func, "grad_and_value", functional),
            (torch.amp.GradScaler, "scale", scaled),
        ):
            setattr(owner, name, wrapper)
        register_optimizer_step_post_hook(self._step)
        atexit.register(self._write)

    @contextlib.contextmanager
    def noting(self, kind: str, tensors: Any) -> Iterator[None]:
        """Note the scalars among them, once where one function of torch's calls the other."""
        if self._inside:
            yield
            return
        for each in [tensors] if isinstance(tensors, torch.Tensor) else list(tensors):
            if each.numel() == 1 and not torch._C._functorch.is_functorch_wrapped_tensor(each):
                value = float(self._unscaled.get(id(each), each).detach())
                self._events.append((kind, value.hex()))
        self._gradients += 1
        self._inside = True
        try:
            yield
        finally:
            self._inside = False
        if not self._optimizers and self._gradients >= GRADIENTS:
            self._end()

    def _step(self, optimizer: torch.optim.Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if id(optimizer) not in self._optimizers:
            self._optimizers.append(id(optimizer))
        number = self._optimizers.index(id(optimizer))
        with_closure = any(callable(each) for each in (*args[1:], kwargs.get("closure")))
        self._events.append(("closure" if with_closure else "step", number))
        self._left -= number == 0
        self._unscaled.clear()
        if not self._left:
            self._end()

    def _end(self) -> None:
        self._write()
        sys.stdout.flush()
        os._exit(0)

    def _write(self) -> None:
        if os.getpid() == self._pid:
            with open(self._path, "w", encoding="utf-8") as file:
                json.dump(self._events, file)


if __name__ == "__main__":
    tap = Tap(sys.argv[1])
    tap.install()
    del sys.argv[:2]
    sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        tap._write()
