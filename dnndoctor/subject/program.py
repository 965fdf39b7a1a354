"""What the user named on the command line, found on disk: a script, a folder, a module or a function. Runs nothing."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import os
import sys
import sysconfig
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from dnndoctor.workspace import BadInput, check_script

if TYPE_CHECKING:
    from collections.abc import Iterator


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """How a training program is started.

    ``start``: "file" (``python train.py``), "folder" (``python folder``), "module" (``python -m package.train``) or
    "function" (``package.train:main``, as a console script calls it). ``path``: the file that holds it, from the
    working directory where it lies below that. ``first``: what Python puts at ``sys.path[0]``; ``argv0``: at
    ``sys.argv[0]``. ``note``: what a reader should know about the choice.
    """

    start: str
    path: str
    first: str
    argv0: str
    module: str = ""
    function: str = ""
    note: str | None = None

    @property
    def kind(self) -> str:
        """The word for it in reports."""
        return "script" if self.start in ("file", "folder") else self.start


def script(path: str) -> Program:
    """A file, run as ``python path``."""
    return Program(start="file", path=path, first=os.path.dirname(os.path.realpath(path)), argv0=path)


def locate(target: str, *, as_module: bool = False, root: Path | None = None) -> Program:
    """Find the target, seen from the working directory ``root``.

    Raises BadInput with one line for people where there is nothing that could be started.
    """
    root = (root or Path()).resolve()
    if as_module:
        return _module(target, root) or _no_module(target)
    path = Path(target)
    if path.is_dir():
        return _folder(target)
    if path.exists():
        check_script(path)
        return _inside_package(path, root) or script(target)
    found = _function(target, root) or _console_script(target, root) or _module(target, root)
    if found is None:
        check_script(path)  # says that there is none, and what comes near
        raise AssertionError
    return found


def _folder(target: str) -> Program:
    main = Path(target, "__main__.py")
    if not main.exists():
        raise BadInput(f"{target}: is a directory without __main__.py; name the training script in it")
    check_script(main)
    return Program(start="folder", path=str(main), first=os.path.abspath(target), argv0=target)


def _inside_package(path: Path, root: Path) -> Program | None:
    """A file with relative imports is part of a package: Python starts it by its module name only."""
    level = _relative_level(path)
    if not level:
        return None
    full = path.resolve()
    top = full.parents[level]
    while (top / "__init__.py").exists() and top != top.parent:
        top = top.parent
    parts = full.relative_to(top).with_suffix("").parts
    if any("." in each for each in parts):
        return None  # no module can be named so
    name = ".".join(parts)
    note = f"{path} has relative imports, so it was run as a module: python -m {name}, in {_shown(top, root)}"
    return Program(start="module", path=str(path), first=str(top), argv0=str(full), module=name, note=note)


def _relative_level(path: Path) -> int:
    """The most dots of an import that runs as the file is started; 0 where there is none, or a way around it."""

    def running(nodes: list[ast.stmt]) -> Iterator[ast.stmt]:
        for node in nodes:
            if isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.dump(node.test):
                yield from running([*node.body, *node.orelse])
            elif isinstance(node, ast.With):
                yield from running(node.body)
            else:
                yield node

    tree = ast.parse(path.read_bytes())
    return max((node.level for node in running(tree.body) if isinstance(node, ast.ImportFrom)), default=0)


def _module(name: str, root: Path) -> Program | None:
    spec = _spec(name, root)
    if spec is not None and spec.submodule_search_locations is not None:
        name += ".__main__"
        if _spec(name, root) is None:
            package = name.removesuffix(".__main__")
            raise BadInput(f"{package}: is a package without __main__; name a module in it: {package}.train")
        spec = _spec(name, root)
    if spec is None or not spec.has_location or spec.origin is None:
        return None
    _check_source(spec.origin)
    path = _shown(Path(spec.origin), root)
    return Program(start="module", path=path, first=str(root), argv0=spec.origin, module=name)


def _no_module(name: str) -> Program:
    raise BadInput(f"{name}: no such module; -m takes a name as python -m does, with dots and without .py")


def _function(target: str, root: Path) -> Program | None:
    """``package.train:main``, and ``train.py:main`` too."""
    holder, _, name = target.rpartition(":")
    if not holder or not all(each.isidentifier() for each in name.split(".")):
        return None
    file = Path(holder)
    if file.suffix == ".py" and file.exists():
        check_script(file)
        first = str(file.resolve().parent)
        return Program(start="function", path=holder, first=first, argv0=name, module=file.stem, function=name)
    spec = _spec(holder, root)
    if spec is None or spec.origin is None:
        raise BadInput(f"{target}: no module {holder} is found from here; a target is a script, or module:function")
    _check_source(spec.origin)
    path, argv0 = _shown(Path(spec.origin), root), _console_path(f"{holder}:{name}") or name
    return Program(start="function", path=path, first=str(root), argv0=argv0, module=holder, function=name)


def _console_script(name: str, root: Path) -> Program | None:
    """An installed command by its name, such as ``train-mnist``."""
    found = [each for each in importlib.metadata.entry_points(group="console_scripts") if each.name == name]
    return _function(f"{found[0].module}:{found[0].attr}", root) if found else None


def _console_path(value: str) -> str | None:
    """Where the script lies that an installation made for this function."""
    for each in importlib.metadata.entry_points(group="console_scripts"):
        if each.value.replace(" ", "") == value:
            return os.path.join(sysconfig.get_path("scripts"), each.name)
    return None


def _spec(name: str, root: Path) -> ModuleSpec | None:
    """The module's spec, found without importing its packages."""
    parts = name.split(".")
    if not all(parts) or "/" in name:
        return None
    path: list[str] | None = [str(root), *sys.path]
    spec = None
    for position in range(len(parts)):
        spec = PathFinder.find_spec(".".join(parts[: position + 1]), path)
        if spec is None and position == 0:
            spec = _otherwise(parts[0])
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or ())
    return spec


def _otherwise(name: str) -> ModuleSpec | None:
    """By the finders of editable installs."""
    try:
        return importlib.util.find_spec(name)
    except ValueError:
        return None


def _check_source(origin: str) -> None:
    if origin.endswith(".py"):
        check_script(Path(origin))


def _shown(path: Path, root: Path) -> str:
    path = path.resolve()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
