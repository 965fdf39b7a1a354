"""Changes to modules that may be imported later or never: applied right after their import, at once if it is past."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

Patch = Callable[[ModuleType], None]


class AfterImport(MetaPathFinder):
    """Finds nothing itself: it lets the other finders find, and runs ``patches[name]`` once a module is there."""

    def __init__(self, patches: dict[str, Patch]) -> None:
        self._patches = dict(patches)
        self._sought: set[str] = set()

    def install(self) -> None:
        """Stand in front of the other finders."""
        self.apply_loaded()
        sys.meta_path.insert(0, self)

    def apply_loaded(self) -> None:
        """Patch what has been imported already."""
        for name in [each for each in self._patches if each in sys.modules]:
            self._apply(name, sys.modules[name])

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that the other finders give, with our turn after the module's execution."""
        if fullname not in self._patches or fullname in self._sought:
            return None  # sought already: another finder of this kind asks the others, too
        self._sought.add(fullname)
        try:
            others = (each.find_spec(fullname, path, target) for each in sys.meta_path if each is not self)
            spec = next((each for each in others if each is not None), None)
        finally:
            self._sought.discard(fullname)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            self._follow(fullname, spec)
        return spec

    def _follow(self, name: str, spec: ModuleSpec) -> None:
        loader = spec.loader
        assert loader is not None
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            self._apply(name, module)

        loader.exec_module = exec_module  # type: ignore[method-assign]

    def _apply(self, name: str, module: ModuleType) -> None:
        patch = self._patches.pop(name, None)
        if patch is not None:
            patch(module)
