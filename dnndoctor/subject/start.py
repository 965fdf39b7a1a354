"""Starting the user's program inside this process, in the world that Python would have given it."""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import os
import sys
import types
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from dnndoctor.subject.program import Program

# What holds the watch up must be one thing for the script and for us, whatever lies beside the script.
OURS = frozenset({"dnndoctor", "torch", "numpy", "msgspec"})


class Surroundings:
    """What a program changes around it and a second run of it must not find changed."""

    def __init__(self) -> None:
        self._cwd, self._path, self._argv = os.getcwd(), list(sys.path), list(sys.argv)
        self._streams = sys.stdin, sys.stdout, sys.stderr

    def restore(self) -> None:
        """As they were."""
        os.chdir(self._cwd)
        sys.path[:], sys.argv[:] = self._path, self._argv
        sys.stdin, sys.stdout, sys.stderr = self._streams


def run(program: Program, args: Sequence[str]) -> Any:
    """Run it to its end as ``__main__``; whatever it raises comes out.

    Gives the model that a function target stands for or builds: there is no program to run in that case.
    """
    sys.argv = [program.argv0, *args]
    sys.path.insert(0, program.first)
    if program.start == "function":
        return _call(program)
    module = _main_module(program.argv0 if program.start == "module" else os.path.abspath(program.path))
    if program.start == "module":
        code = _of_module(module, program.module)
    elif program.start == "folder":
        code = _of_spec(module, importlib.util.spec_from_file_location("__main__", str(module.__file__)))
        module.__package__ = ""
    else:
        source = str(module.__file__)
        code = compile(Path(source).read_bytes(), source, "exec", dont_inherit=True)
    exec(code, module.__dict__)  # noqa: S102 - running the user's program is what we are for
    return None


def _found(program: Program) -> Any:
    value: Any = importlib.import_module(program.module)
    for name in program.function.split("."):
        value = getattr(value, name)
    return value


def _call(program: Program) -> Any:
    """As the script does that an installation makes for a console entry point; a model is not called."""
    main = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = main
    value = _found(program)
    result = value if _is_model(value) else value()
    if _is_model(result):
        return result
    sys.exit(result)


def _is_model(value: Any) -> bool:
    modules = sys.modules.get("torch.nn")
    if modules is None:
        return False
    return isinstance(value, modules.Module) or (isinstance(value, type) and issubclass(value, modules.Module))


def _main_module(file: str) -> types.ModuleType:
    module = types.ModuleType("__main__")
    module.__file__ = file
    module.__loader__ = SourceFileLoader("__main__", file)
    module.__spec__ = None
    module.__dict__["__builtins__"] = builtins
    module.__dict__["__cached__"] = None
    if "__annotations__" in vars(sys.modules["__main__"]):  # from Python 3.14 on there is none until it is asked for
        module.__annotations__ = {}
    sys.modules["__main__"] = module
    return module


def _of_module(main: types.ModuleType, name: str) -> types.CodeType:
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return _of_spec(main, spec)


def _of_spec(main: types.ModuleType, spec: ModuleSpec | None) -> types.CodeType:
    assert spec is not None
    loader: Any = spec.loader
    main.__spec__, main.__package__, main.__loader__ = spec, spec.parent, loader
    main.__dict__["__cached__"] = spec.cached
    code = loader.get_code(spec.name)
    assert isinstance(code, types.CodeType)
    return code


def uncover(folder: str, own: str, bare: Collection[str]) -> None:
    """Let the modules beside the script win over ones that only we have imported, as they would without us.

    ``own``: the script's own module name. ``bare``: the modules that an interpreter has imported by itself.
    """
    for name in _modules_in(folder) - OURS - set(bare) - {own}:
        loaded = sys.modules.get(name)
        file = getattr(loaded, "__file__", None)
        if loaded is not None and not (file and os.path.realpath(file).startswith(os.path.realpath(folder) + os.sep)):
            for each in [key for key in sys.modules if key == name or key.startswith(name + ".")]:
                del sys.modules[each]


def _modules_in(folder: str) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {_module_name(each) for each in entries} - {""}
    except OSError:
        return set()


def _module_name(entry: os.DirEntry[str]) -> str:
    if entry.name.endswith(".py"):
        return entry.name.removesuffix(".py")
    return entry.name if os.path.exists(os.path.join(entry.path, "__init__.py")) else ""
