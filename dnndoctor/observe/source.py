"""Where in the user's source something happens."""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
from functools import cache, lru_cache
from itertools import islice
from types import CodeType, FrameType

from dnndoctor.findings import Location

_HOUSE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def _foreign_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    roots = [*folders, _HOUSE, os.path.join(os.path.dirname(_HOUSE), "rules")]
    return tuple({os.path.realpath(root) + os.sep for root in roots} | {root + os.sep for root in roots})


_FOREIGN = _foreign_folders()


@cache
def is_user_file(filename: str) -> bool:
    """Whether the file is the user's: no library, not the interpreter's, not ours."""
    if filename.startswith("<"):
        return False
    if f"{os.sep}site-packages{os.sep}" in filename or f"{os.sep}dist-packages{os.sep}" in filename:
        return False
    try:
        return not os.path.abspath(filename).startswith(_FOREIGN)
    except OSError:  # a relative name, in a working directory that is gone
        return False


def is_user_class(cls: type) -> bool:
    """Whether the user's code defines it; what has no file was typed in or generated, and counts as theirs."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return file is None or is_user_file(file)


def caller(inside: object | None = None) -> Location | None:
    """The innermost line of the user's that led here.

    ``inside``: an object under construction; frames of its own methods do not count, so that the answer is
    the line that builds it and not the ``super().__init__()`` within.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if is_user_file(code.co_filename) and not _is_method_of(frame, code, inside):
            return _position(code, frame.f_lasti, frame.f_lineno)
        frame = frame.f_back
    return None


def callers() -> list[Location]:
    """The lines of the user's that led here, innermost first."""
    found = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if is_user_file(frame.f_code.co_filename):
            found.append(_position(frame.f_code, frame.f_lasti, frame.f_lineno))
        frame = frame.f_back
    return found


def raised_at(error: BaseException) -> Location | None:
    """The innermost line of the user's from which the exception came."""
    found, step = None, error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        if is_user_file(code.co_filename):
            found = _position(code, step.tb_lasti, step.tb_lineno)
        step = step.tb_next
    return found


def caller_of(frame: FrameType) -> Location | None:
    """The innermost line of the user's that led to this running call."""
    outer = frame.f_back
    while outer is not None:
        if is_user_file(outer.f_code.co_filename):
            return _position(outer.f_code, outer.f_lasti, outer.f_lineno)
        outer = outer.f_back
    return None


def _is_method_of(frame: FrameType, code: CodeType, inside: object | None) -> bool:
    if inside is None or code.co_name != "__init__" or code.co_argcount == 0:
        return False
    return frame.f_locals.get(code.co_varnames[0]) is inside


@lru_cache(maxsize=4096)
def _position(code: CodeType, lasti: int, lineno: int | None) -> Location:
    line, _, column, _ = next(islice(code.co_positions(), lasti // 2, None), (lineno, None, None, None))
    return Location(relative(code.co_filename), line or lineno or 1, (column or 0) + 1)


@cache
def relative(filename: str) -> str:
    """The file as seen from the working directory that the script was started in, if it lies below that."""
    path = os.path.realpath(filename)
    start = _start()
    return os.path.relpath(path, start) if path.startswith(start + os.sep) else path


def absolute(file: str) -> str:
    """The path of a file that ``relative`` named."""
    return os.path.join(_start(), file)


def name_here(value: object) -> str:
    """What the innermost line of the user's calls it: a variable, or an attribute of ``self``; "" if nothing."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not is_user_file(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None:
        return ""
    owner = getattr(frame.f_locals.get("self"), "__dict__", {})
    names = [name for scope in (frame.f_locals, frame.f_globals) for name, held in scope.items() if held is value]
    names += [f"self.{name}" for name, held in owner.items() if held is value]
    return names[0] if names else ""


def variable_names(values: dict[int, object]) -> dict[int, str]:
    """What the calling user code calls these objects, by id; only those that a variable, or a list in one, holds."""
    found: dict[int, str] = {}
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if is_user_file(frame.f_code.co_filename):
            for name, value in {**frame.f_globals, **frame.f_locals}.items():
                if id(value) in values:
                    found.setdefault(id(value), name)
                elif isinstance(value, (list, tuple)) and len(value) < 1000:
                    found.update(
                        {id(v): f"{name}[{i}]" for i, v in enumerate(value) if id(v) in values and id(v) not in found}
                    )
        frame = frame.f_back
    return found


@cache
def digests() -> dict[str, str]:
    """Of every file of the user's that runs as this is first asked, as findings name it."""
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    found = {}
    for file in sorted(each for each in files if isinstance(each, str) and each.endswith(".py") and is_user_file(each)):
        try:
            with open(file, "rb") as source:
                found[relative(file)] = hashlib.sha256(source.read()).hexdigest()
        except OSError:
            continue
    return found


@cache
def _start() -> str:
    return os.path.realpath(os.environ.get("DNNDOCTOR_CWD") or os.getcwd())
