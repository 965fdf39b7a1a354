"""What the user's source does around training: evaluate, save, log; and rates that are changed where nobody reads them.

The watch sees the first steps only; what comes at the end of an epoch, the source tells.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch

from dnndoctor.findings import Location
from dnndoctor.observe.idle_rates import idle_rates, wrong_keys
from dnndoctor.observe.reading import files, tree, user_frames, value
from dnndoctor.observe.source import relative
from dnndoctor.observe.window import Window

if TYPE_CHECKING:
    from dnndoctor.observe.watch import Watch

LOOKS = (0, 2, 10)
RATE = ("lr", "learning_rate", "rate")
_EVALUATES = re.compile(
    r"(^|_)(val|valid|validat\w*|test\w*|eval\w*|dev|holdout|held|acc|accuracy|score\w*|metric\w*|f1|auc|mae|rmse|r2|"
    r"no_grad|inference_mode|sample\w*|generate\w*|reward\w*|returns|ppl|perplexity|predict\w*)($|_)",
    re.IGNORECASE,
)
_SAVES = re.compile(
    r"(^|_)(save\w*|checkpoint\w*|ckpt\w*|dump\w*|export\w*|onnx|serialize\w*|pickle|push\w*)($|_)", re.I
)
_LOGS = re.compile(
    r"(^|_)(print\w*|log\w*|info|debug|warning|tqdm|trange|track|progress\w*|pbar|postfix|description|scalar\w*|wandb|"
    r"mlflow|writer?|plot\w*|echo|append|report\w*|display|history|losses|secho|csv|savefig)($|_)",
    re.IGNORECASE,
)
_KEEPS_BEST = re.compile(r"(^|_)(best\w*|patience|early\w*|earlystop\w*)($|_)", re.IGNORECASE)
_SEARCHES = frozenset(("ParameterGrid", "GridSampler", "GridSearchCV", "grid_search"))


_HABITS = {"evaluates": _EVALUATES, "saves": _SAVES, "logs": _LOGS, "keeps_best": _KEEPS_BEST}


class Habits(Window):
    """Read once for every set of files, and looked up in the running frames a few times."""

    name = "habits"

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        # What was there before a script began is none of it; without a script it is all that there is.
        self._before = frozenset(sys.modules) if watch.script else frozenset()
        self._files: list[str] = []
        self._read: dict[str, Any] | None = None
        self._attributes: dict[Location, str] = {}

    def before_step(self, _optimizer: torch.optim.Optimizer) -> None:
        """Which assignments to ``something.lr`` are to an optimizer of torch's."""
        if self.watch.step not in LOOKS:
            return
        for frame in user_frames():
            file = relative(frame.f_code.co_filename)
            for node, target in _rate_attributes(file):
                place = Location(file, node.lineno, node.col_offset + 1)
                if place in self._attributes:
                    continue
                holder = value(target.value, frame)
                if _of_torch(holder) and not _property(holder, target.attr):
                    self._attributes[place] = ast.unparse(target)

    def files(self) -> list[str]:
        """The user's files, as ``relative`` names them."""
        return files(self.watch.script, self._before)

    def facts(self) -> dict[str, Any] | None:
        """What the files say."""
        if not self.watch.step:
            return None
        now = self.files()
        if self._read is None or now != self._files:
            self._files, self._read = now, read(now)
        return {**self._read, "rate_attributes": [[name, place] for place, name in self._attributes.items()]}


def _of_torch(holder: object) -> bool:
    return isinstance(holder, torch.optim.Optimizer) and type(holder).__module__.startswith("torch.optim")


def _property(holder: object, name: str) -> bool:
    return any(name in vars(each) for each in type(holder).__mro__)


def _rate_attributes(file: str) -> list[tuple[ast.Assign, ast.Attribute]]:
    return [
        (node, target)
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Attribute) and target.attr in RATE
    ]


def read(names: list[str]) -> dict[str, Any]:
    """What the files do, each with the first place."""
    found: dict[str, Any] = {"files": len(names), "lines": 0, "evaluates": None, "saves": None, "logs": None}
    found |= {
        "keeps_best": None,
        "searches": None,
        "writes_rate": None,
        "saved": [],
        "idle_rates": [],
        "wrong_keys": [],
    }
    for file in names:
        root = tree(file)
        found["lines"] += getattr(root.body[-1], "end_lineno", 0) if root.body else 0
        for word, node in _words(root):
            for key, known in _HABITS.items():
                if found[key] is None and known.search(word):
                    found[key] = _place(file, node)
            if found["writes_rate"] is None and word in ("param_groups", "lr_scheduler", "scheduler", "sched"):
                found["writes_rate"] = _place(file, node)
            if found["searches"] is None and word in _SEARCHES:
                found["searches"] = _place(file, node)
        found["saved"] += _saved(file, root)
        found["idle_rates"] += [[name, place] for name, place in idle_rates(file, root)]
        found["wrong_keys"] += [[name, place] for name, place in wrong_keys(file, root)]
    return found


def _place(file: str, node: ast.AST) -> Location:
    return Location(file, getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1)


def _words(root: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Every name that the code uses or defines; imports are no use."""
    for node in ast.walk(root):
        if isinstance(node, ast.Name):
            yield node.id, node
        elif isinstance(node, ast.Attribute):
            yield node.attr, node
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node
        elif isinstance(node, ast.arg):
            yield node.arg, node
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg, node.value


def _saved(file: str, root: ast.Module) -> list[dict[str, Any]]:
    """Every ``torch.save``: what is saved, whether in a loop, and whether under a condition."""
    found = []
    for node, loops, conditions in _nested(root, 0, 0):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.save" and node.args:
            what = ast.unparse(node.args[0])[:300]
            row = {"what": what, "in_loop": loops > 0, "conditional": conditions > 0, "location": _place(file, node)}
            found.append(row)
    return found


def _nested(node: ast.AST, loops: int, conditions: int) -> Iterator[tuple[ast.AST, int, int]]:
    """Every node, with the loops and conditions around it within its function."""
    yield node, loops, conditions
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield from _nested(child, 0, 0)
        else:
            loop = isinstance(node, (ast.For, ast.While)) and child in node.body
            yield from _nested(child, loops + loop, conditions + isinstance(node, ast.If))
