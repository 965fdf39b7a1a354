"""Reads the user's source beside the running program: which loops a line stands in, and how long they are meant to be.

Names are looked up in the running frames. Nothing of the user's is called, and no property is asked.
"""

from __future__ import annotations

import ast
import math
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from dnndoctor.findings import Location
from dnndoctor.observe.source import absolute, is_user_file, relative

MOST_FILES, MOST_BYTES = 60, 400_000  # of one file; and of all files together
MOST_BYTES_IN_ALL = 800_000
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_THROUGH = frozenset(("enumerate", "tqdm", "track", "list", "tuple", "iter", "progress_bar", "reversed", "sorted"))
_NUMBERS: dict[str, Callable[..., Any]] = {
    "int": int,
    "float": float,
    "round": round,
    "ceil": math.ceil,
    "floor": math.floor,
    "min": min,
    "max": max,
}
_SIZED = (list, tuple, dict, range, torch.Tensor, np.ndarray, DataLoader)
UNKNOWN = object()

Loop = ast.For | ast.AsyncFor | ast.While


@dataclass(frozen=True, slots=True)
class LoopAround:
    """A loop that is running: ``kind`` is "range", "loader", "sized", "while" or "other".

    ``length``: of one time through, None where it is not known. ``names``: its variables. ``total``: the length counts
    what the loop inside of it does. ``breaks``: it may be left early. ``literal``: it goes over values written out.
    ``conditional``: what runs in it does so under a condition. ``over``: the function whose result it goes over.
    """

    location: Location
    kind: str
    length: int | None
    names: tuple[str, ...] = ()
    total: bool = False
    breaks: bool = False
    literal: bool = False
    conditional: bool = False
    over: str = ""


def user_frames() -> Iterator[FrameType]:
    """The running frames of the user's own files, the innermost first."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if is_user_file(frame.f_code.co_filename):
            yield frame
        frame = frame.f_back


def held_by_user(thing: object, but: object) -> bool:
    """Whether a variable of the running frames holds the thing, or an object or container in one; not ``but``."""
    for frame in user_frames():
        for each in (*frame.f_locals.values(), *frame.f_globals.values()):
            if each is thing or (each is not but and any(inner is thing for inner in _held_in(each))):
                return True
    return False


def _held_in(holder: object) -> list[object]:
    if isinstance(holder, (list, tuple)):
        return list(holder[:100])
    inside = holder if type(holder) is dict else getattr(holder, "__dict__", None)
    return list(inside.values()) if isinstance(inside, dict) else []


def loops_running() -> list[LoopAround]:
    """The loops of the user's code that are running now, the outermost first."""
    return _loops_of(list(user_frames()))


def _loops_of(frames: list[FrameType], line: int | None = None) -> list[LoopAround]:
    """The loops around where these frames are, the innermost frame first; ``line``: where that one might be."""
    found: list[LoopAround] = []
    for frame in frames:
        around = _around(frame.f_code.co_filename, line or frame.f_lineno)
        found = [_described(node, under, frame) for node, under in around] + found
        line = None
    return found


def calls_on(attribute: str, wanted: Callable[[Any], bool]) -> Iterator[tuple[Any, Location, list[LoopAround]]]:
    """Calls of ``something.attribute(...)`` in the files that are running, where ``wanted`` says so of the something.

    With it come the place of the call and the loops around it.
    """
    frames = list(user_frames())
    for at, frame in enumerate(frames):
        file = relative(frame.f_code.co_filename)
        for node in calls(file, attribute):
            assert isinstance(node.func, ast.Attribute)
            holder = value(node.func.value, frame)
            if holder is not UNKNOWN and wanted(holder):
                place = Location(file, node.lineno, node.col_offset + 1)
                yield holder, place, _loops_of(frames[at:], node.lineno)


@cache
def calls(file: str, attribute: str) -> tuple[ast.Call, ...]:
    """The calls of ``something.attribute(...)`` in a file."""
    every = (node for node in ast.walk(tree(file)) if isinstance(node, ast.Call))
    return tuple(each for each in every if isinstance(each.func, ast.Attribute) and each.func.attr == attribute)


@lru_cache(maxsize=4096)
def _around(filename: str, line: int | None) -> tuple[tuple[Loop, bool], ...]:
    """The loops around a line within its function, the outermost first, and whether a condition lies in between."""
    found: list[tuple[Loop, bool]] = []
    node: ast.AST | None = tree(relative(filename))
    while node is not None and line is not None:
        if isinstance(node, _SCOPES):
            found = []
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.While)) and _within(node.body, line):
            found.append((node, False))
        elif isinstance(node, ast.If) and found and (_within(node.body, line) or _within(node.orelse, line)):
            found[-1] = (found[-1][0], True)
        node = next((each for each in ast.iter_child_nodes(node) if _spans(each, line)), None)
    return tuple(found)


def _spans(node: ast.AST, line: int) -> bool:
    if isinstance(node, ast.ExceptHandler | ast.match_case) or not hasattr(node, "lineno"):
        return any(_spans(each, line) for each in ast.iter_child_nodes(node))
    return bool(node.lineno <= line <= (getattr(node, "end_lineno", None) or node.lineno))


def _within(body: list[ast.stmt], line: int) -> bool:
    return bool(body) and body[0].lineno <= line <= (body[-1].end_lineno or body[-1].lineno)


def _described(node: Loop, conditional: bool, frame: FrameType) -> LoopAround:
    place = Location(relative(frame.f_code.co_filename), node.lineno, node.col_offset + 1)
    breaks = any(isinstance(each, ast.Break) for each in _own(node))
    if isinstance(node, ast.While):
        length, total = _bound(node, frame)
        return LoopAround(place, "while", length, (), total, breaks, conditional=conditional)
    kind, length = span(node.iter, frame)
    total = False
    if length is None:
        length, total = _left_at(node, frame)
    names = tuple(each.id for each in ast.walk(node.target) if isinstance(each, ast.Name))
    over = called(node.iter) if isinstance(node.iter, ast.Call) else ""
    return LoopAround(place, kind, length, names, total, breaks, written_out(node.iter), conditional, over)


def _own(loop: Loop) -> Iterator[ast.AST]:
    """What stands in the loop's body, without loops and functions inside of it."""
    queue: list[ast.AST] = list(loop.body)
    while queue:
        node = queue.pop()
        yield node
        if not isinstance(node, (*_SCOPES, ast.For, ast.AsyncFor, ast.While)):
            queue.extend(ast.iter_child_nodes(node))


def written_out(node: ast.expr) -> bool:
    """Whether two or more values stand there in full."""
    return isinstance(node, (ast.List, ast.Tuple)) and len(node.elts) > 1


def span(node: ast.expr, frame: FrameType) -> tuple[str, int | None]:
    """What kind of thing a ``for`` goes over, and how many items it has."""
    if isinstance(node, ast.Call):
        name = called(node)
        if name in ("range", "trange"):
            bounds = [value(each, frame) for each in node.args]
            whole = bool(bounds) and all(isinstance(each, int) for each in bounds)
            return "range", len(range(*bounds)) if whole else None
        if name in _THROUGH and node.args:
            return span(node.args[0], frame)
        if name == "zip" and node.args:
            spans = [span(each, frame) for each in node.args]
            known = [length for _, length in spans if length is not None]
            kind = "loader" if any(kind == "loader" for kind, _ in spans) else spans[0][0]
            return kind, min(known) if known else None
    if isinstance(node, (ast.List, ast.Tuple)):
        return "sized", len(node.elts)
    thing = value(node, frame)
    return _span_of(thing)


def _span_of(thing: Any) -> tuple[str, int | None]:
    if isinstance(thing, DataLoader):
        return "loader", length_of(thing)
    if type(thing).__name__.startswith("tqdm"):
        inner = vars(thing).get("iterable")
        total = vars(thing).get("total")
        kind, length = _span_of(inner)
        return kind, total if isinstance(total, int) else length
    if isinstance(thing, range):
        return "range", len(thing)
    return ("sized", len(thing)) if isinstance(thing, _SIZED) else ("other", None)


def length_of(loader: Any) -> int | None:
    """Batches in one pass, None where the loader does not know."""
    try:
        return len(loader)
    except Exception:  # noqa: BLE001 - a dataset's own len may raise what it likes
        return None


def _bound(loop: ast.While, frame: FrameType) -> tuple[int | None, bool]:
    """How often a ``while`` runs, and whether that counts what the loops inside of it do."""
    for test in _comparisons(loop.test):
        if isinstance(test.ops[0], (ast.Lt, ast.LtE, ast.NotEq)):
            found = _counted(loop, test, frame)
            if found[0] is not None:
                return found
    return _left_at(loop, frame)


def _left_at(loop: Loop, frame: FrameType) -> tuple[int | None, bool]:
    """As ``_bound``, from ``if step >= most: break``."""
    for node in ast.walk(loop):
        if isinstance(node, ast.If) and any(isinstance(each, (ast.Break, ast.Return)) for each in node.body):
            for test in _comparisons(node.test):
                if isinstance(test.ops[0], (ast.Gt, ast.GtE, ast.Eq)):
                    found = _counted(loop, test, frame)
                    if found[0] is not None:
                        return found
    return None, False


def _comparisons(test: ast.expr) -> list[ast.Compare]:
    return [each for each in ast.walk(test) if isinstance(each, ast.Compare) and len(each.ops) == 1]


def _counted(loop: Loop, test: ast.Compare, frame: FrameType) -> tuple[int | None, bool]:
    most, counter = value(test.comparators[0], frame), ast.unparse(test.left)
    now = value(test.left, frame)
    if not isinstance(most, (int, float)) or not isinstance(now, int):
        return None, False
    raised = [
        each
        for each in ast.walk(loop)
        if isinstance(each, ast.AugAssign)
        and ast.unparse(each.target) == counter
        and isinstance(each.value, ast.Constant)
        and each.value.value == 1
    ]
    if not raised:
        return None, False
    inside = not any(each is one for each in _own(loop) for one in raised)
    return max(int(most - now), 0), inside


def value(node: ast.expr, frame: FrameType) -> Any:
    """What an expression is worth in a running frame; ``UNKNOWN`` where telling would take running the user's code."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        for scope in (frame.f_locals, frame.f_globals):
            if node.id in scope:
                return scope[node.id]
        return UNKNOWN
    if isinstance(node, ast.Attribute):
        return _attribute(value(node.value, frame), node.attr)
    if isinstance(node, ast.Subscript):
        holder, key = value(node.value, frame), value(node.slice, frame)
        plain = type(holder) in (dict, list, tuple) and isinstance(key, (str, int))
        try:
            return holder[key] if plain else UNKNOWN
        except (KeyError, IndexError):
            return UNKNOWN
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = value(node.operand, frame)
        return -inner if isinstance(inner, (int, float)) else UNKNOWN
    if isinstance(node, ast.BinOp):
        return _reckoned(node, value(node.left, frame), value(node.right, frame))
    if isinstance(node, ast.Call) and not node.keywords:
        return _called_value(node, [value(each, frame) for each in node.args])
    return UNKNOWN


def _attribute(holder: Any, name: str) -> Any:
    if holder is UNKNOWN:
        return UNKNOWN
    if isinstance(holder, ModuleType):
        return vars(holder).get(name, UNKNOWN)
    own = getattr(holder, "__dict__", {})
    if name in own:
        return own[name]
    for inner in ("_modules", "_content"):  # a module's children, an omegaconf node
        if isinstance(own.get(inner), dict) and name in own[inner]:
            return own[inner][name]
    if isinstance(holder, dict) and name in holder:
        return dict.__getitem__(holder, name)  # an attribute dictionary
    kind = holder if isinstance(holder, type) else type(holder)
    found = next((vars(each)[name] for each in kind.__mro__ if name in vars(each)), UNKNOWN)
    return found if isinstance(found, (int, float, str, list, tuple, dict)) else UNKNOWN


def _reckoned(node: ast.BinOp, left: Any, right: Any) -> Any:
    if not isinstance(left, (int, float)) or not isinstance(right, (int, float)):
        return UNKNOWN
    try:
        if isinstance(node.op, ast.Add):
            return left + right
        if isinstance(node.op, ast.Sub):
            return left - right
        if isinstance(node.op, ast.Mult):
            return left * right
        if isinstance(node.op, ast.FloorDiv):
            return left // right
        if isinstance(node.op, ast.Div):
            return left / right
        if isinstance(node.op, ast.Pow) and abs(right) < 64:
            return left**right
    except (ArithmeticError, ValueError):
        pass
    return UNKNOWN


def _called_value(node: ast.Call, given: list[Any]) -> Any:
    name = called(node)
    if name == "len" and len(given) == 1 and isinstance(given[0], _SIZED):
        length = length_of(given[0])
        return UNKNOWN if length is None else length
    if name in _NUMBERS and given and all(isinstance(each, (int, float)) for each in given):
        try:
            return _NUMBERS[name](*given)
        except (ArithmeticError, ValueError, TypeError):
            return UNKNOWN
    return UNKNOWN


def called(call: ast.Call) -> str:
    """The last part of the name that is called."""
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def files(script: str, before: frozenset[str] = frozenset()) -> list[str]:
    """The user's files that run: the script, and what it has imported; ``before``: modules that were there already."""
    paths = [absolute(script)] if script else []
    for name, module in list(sys.modules.items()):
        if name in before:
            continue
        path = getattr(module, "__file__", None)
        if isinstance(path, str) and path.endswith(".py") and is_user_file(path):
            paths.append(path)
    found: list[str] = []
    room = MOST_BYTES_IN_ALL
    for path in dict.fromkeys(paths):
        room -= os.path.getsize(path) if os.path.exists(path) else 0
        if room > 0:
            found.append(relative(path))
    return list(dict.fromkeys(found))[:MOST_FILES]


@cache
def tree(file: str) -> ast.Module:
    """The syntax tree of a file as ``relative`` names it; an empty one where it cannot be read."""
    try:
        text = Path(absolute(file)).read_bytes()
        return ast.parse(text) if len(text) < MOST_BYTES else ast.Module([], [])
    except (OSError, SyntaxError, ValueError):
        return ast.Module([], [])
