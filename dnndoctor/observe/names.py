"""What things are called: operations by their function, modules by their path, and where they were built."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any
from weakref import ref

import torch
from torch import nn
from torch.utils.weak import WeakIdKeyDictionary

from dnndoctor.findings import Location
from dnndoctor.observe.variables import class_name, names_of, unwrapped

SIGN_SAFE = {"special_expit": "sigmoid", "expit": "sigmoid", "absolute": "abs", "divide": "div", "multiply": "mul"}
_REFLECTED = frozenset("radd rsub rmul rdiv rtruediv rpow rmatmul iadd isub imul idiv itruediv ipow imatmul".split())


def operation_name(function: Callable[..., Any]) -> str:
    """The field's name of a torch function: ``Tensor.__iadd__`` is "add", ``relu_`` is "relu"."""
    name = getattr(function, "__name__", "") or type(function).__name__
    if name in ("__get__", "__set__"):
        name = getattr(getattr(function, "__self__", None), "__name__", name)
    name = name.strip("_")
    if name in _REFLECTED:
        name = name[1:]
    return SIGN_SAFE.get(name, "div" if name == "truediv" else name)


class Modules:
    """Every module that was built, its path in the model and the line that built it."""

    def __init__(self) -> None:
        self._built: MutableMapping[nn.Module, Location | None] = WeakIdKeyDictionary()
        self._order: list[ref[nn.Module]] = []
        self._path: MutableMapping[nn.Module, str] = WeakIdKeyDictionary()
        self._top: MutableMapping[nn.Module, ref[nn.Module]] = WeakIdKeyDictionary()
        self._owner: dict[int, ref[nn.Module]] = {}
        self.tops: list[nn.Module] = []
        self.stale = True  # modules were built since the last index

    def note(self, module: nn.Module, location: Location | None) -> None:
        """Remember where a module was built."""
        if module not in self._built:
            self._order.append(ref(module))
        self._built[module] = location
        self.stale = True

    def path(self, module: nn.Module) -> str:
        """The dotted path below the model; with several models, the model's class name comes first."""
        if module not in self._path:
            self.index(module)
        return self._path[module]

    def top(self, module: nn.Module) -> nn.Module:
        """The outermost module that holds this one."""
        if module not in self._top:
            self.index(module)
        found = self._top[module]()
        return module if found is None else found  # a module's truth is its length, which some do not have

    def location(self, module: nn.Module) -> Location | None:
        """The line that built it; of a copy, the line that built what holds it."""
        found = self._built.get(module)
        if found is not None:
            return found
        top = self.top(module)
        path = self.path(module)
        holders = [each for name, each in top.named_modules() if name and path.endswith(name)]
        return self._built.get(top) if not holders else self._built.get(holders[0]) or self._built.get(top)

    def living(self) -> list[nn.Module]:
        """Every module that was built and is still there."""
        return [module for each in self._order if (module := each()) is not None]

    def index(self, *roots: nn.Module) -> None:
        """Find the models among all living modules, and give every module its path."""
        # Held as one of these, a loss that is built anew in every step would live for ever.
        self.tops = [each for each in self.tops if next(each.parameters(), None) is not None]
        self._order = [each for each in self._order if each() is not None]
        for each in roots:
            if each not in self._built:
                self.note(each, None)  # a copy: nobody saw it built
        living = self.living()
        inner = {id(child) for module in living for child in module.children()}
        self.tops = [module for module in living if id(module) not in inner]
        several = sum(any(True for _ in top.parameters()) for top in self.tops) > 1
        for top in self.tops:
            prefix = self._prefix(top) if several else ""
            for name, module in top.named_modules():
                if module not in self._path:
                    known = [part for part in (prefix, *name.split(".")) if part and part != "_orig_mod"]
                    self._path[module] = ".".join(known)  # what torch.compile wraps keeps its name
                    self._top[module] = ref(top)
        for each in roots:
            self._path.setdefault(each, type(each).__name__)
            self._top.setdefault(each, ref(each))
        self.stale = False

    def owner(self, parameter: torch.Tensor) -> nn.Module | None:
        """The module that holds the parameter, as far as ``named_parameters`` met it."""
        found = self._owner.get(id(parameter))
        return found() if found is not None else None

    def _prefix(self, top: nn.Module) -> str:
        """The model's class; of several instances of one class, the variable that holds this one."""
        name = class_name(unwrapped(top))
        alike = [each for each in self.tops if class_name(unwrapped(each)) == name]
        if len(alike) < 2:
            return name
        held = names_of([inner for each in alike for inner in (each, unwrapped(each))])
        number = next(i for i, each in enumerate(alike, start=1) if each is top)
        return held.get(id(top)) or held.get(id(unwrapped(top))) or f"{name}#{number}"

    def named_parameters(self) -> Iterator[tuple[str, str, nn.Module, torch.nn.Parameter]]:
        """(name, short name, owner, parameter) of every model, shared ones once."""
        seen: set[int] = set()
        for top in self.tops:
            for module in top.modules():
                for short, parameter in module.named_parameters(recurse=False):
                    if id(parameter) not in seen:
                        seen.add(id(parameter))
                        self._owner[id(parameter)] = ref(module)
                        yield ".".join(part for part in (self.path(module), short) if part), short, module, parameter
