"""What a file that defines a model offers to train: its names, or those that the user gives instead.

``model`` (else the one model that can be built without arguments), ``train_loader`` (else ``train_data``, a dataset),
``val_loader``, ``loss_fn``, ``optimizer``, ``scheduler``: each an object, or a function or class that gives one.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import torch
from torch import nn

from dnndoctor.subject.given import Given
from dnndoctor.subject.plain_loop import BadTarget

USUAL = {
    "train": ("train_loader", "train_data"),
    "val": ("val_loader",),
    "loss": ("loss_fn",),
    "optimizer": ("optimizer",),
}


@dataclass
class Offer:
    """What was found, still as the user has it: objects, functions or classes. ``notes``: what was chosen among it."""

    model: nn.Module
    train: Any = None
    train_name: str | None = None
    val: Any = None
    loss: Any = None
    optimizer: Any = None
    scheduler: Any = None
    notes: list[str] = field(default_factory=list)


def gather(names: Mapping[str, Any], given: Given) -> Offer | None:
    """What the names offer, or None where no model is among them and none was asked for. Raises BadTarget."""
    notes: list[str] = []
    model = _model(names, given, notes)
    if model is None:
        return None
    values = {role: _value(names, role, getattr(given, role)) for role in USUAL}
    (train_name, train), (_, val), (_, loss), (_, optimizer) = (values[role] for role in USUAL)
    return Offer(model, train, train_name, val, loss, optimizer, names.get("scheduler"), notes)


def resolve(names: Mapping[str, Any], spec: str, option: str) -> Any:
    """The object that ``name`` or ``pkg.module:name`` means. Raises BadTarget."""
    module_name, colon, path = spec.rpartition(":")
    held: Any = names
    if colon:
        try:
            held = importlib.import_module(module_name)
        except ImportError as why:
            raise BadTarget(f"{option} {spec}: {module_name} cannot be imported: {why}") from None
    for part in path.split("."):
        known = held if isinstance(held, Mapping) else dict.fromkeys(dir(held))
        if part not in known:
            near = get_close_matches(part, [n for n in known if not n.startswith("_")], n=1)
            where = module_name if colon else "the file"
            raise BadTarget(f"{option} {spec}: there is no {part} in {where}{f'; nearest: {near[0]}' if near else ''}")
        held = held[part] if isinstance(held, Mapping) else getattr(held, part)
    return held


def _value(names: Mapping[str, Any], role: str, spec: str | None) -> tuple[str | None, Any]:
    if spec is not None:
        return spec, resolve(names, spec, f"--{role}")
    return next(((name, names[name]) for name in USUAL[role] if names.get(name) is not None), (None, None))


def _model(names: Mapping[str, Any], given: Given, notes: list[str]) -> nn.Module | None:
    if given.model is not None:
        return built(resolve(names, given.model, "--model"), f"--model {given.model}")
    own = names.get("model")
    if own is not None and not inspect.ismodule(own):
        return built(own, "model")
    candidates = _candidates(names)
    if not candidates:
        if given.anything:
            raise BadTarget("no model was found in the file: say --model NAME or --model pkg.module:NAME")
        return None
    if len(candidates) > 1:
        raise BadTarget(f"several models could be meant, {', '.join(candidates)}: say which with --model NAME")
    [(name, value)] = candidates.items()
    notes.append(f"model: {name}, the only one in the file" if isinstance(value, nn.Module) else f"model: {name}()")
    return built(value, name)


def built(value: Any, name: str) -> nn.Module:
    """The model itself; what is no model yet is called. Raises BadTarget, in one line, for what cannot be trained."""
    if not isinstance(value, nn.Module):
        missing = _asked(value) if callable(value) else None
        if missing is None:
            raise BadTarget(
                f"{name} is {_article(type(value).__name__)} and no nn.Module, nor a function that gives one"
            )
        if missing:
            call = f"{getattr(value, '__name__', name)}({', '.join(f'{each}=...' for each in missing)})"
            raise BadTarget(f"{name} needs arguments to be built: define model = {call} in the file")
        value = value()
        if not isinstance(value, nn.Module):
            raise BadTarget(f"{name}() gives {_article(type(value).__name__)} and no nn.Module")
    check_trainable(value)
    return value


def check_trainable(model: nn.Module) -> None:
    """Raises BadTarget for a model that has nothing to train, or no values yet."""
    name = type(model).__name__
    if isinstance(model, torch.jit.ScriptModule) and not list(model.parameters()):
        raise BadTarget(f"{name} is frozen: it has no parameters to train")
    parameters = dict(model.named_parameters())
    if not parameters:
        raise BadTarget(f"{name} has no parameters: there is nothing to train")
    meta = [each for each, p in parameters.items() if p.is_meta]
    if meta:
        raise BadTarget(
            f"{name} is on the meta device, where parameters have no values ({meta[0]}): call "
            'model.to_empty(device="cpu") and initialise it first'
        )
    if not any(p.requires_grad for p in parameters.values()):
        raise BadTarget(f"all parameters of {name} are frozen (requires_grad is False): there is nothing to train")


def lazy_layers(model: nn.Module) -> list[str]:
    """Layers that get their sizes from the first batch, by path."""
    lazy = torch.nn.parameter.is_lazy
    return [
        path or type(m).__name__ for path, m in model.named_modules() if any(lazy(p) for p in m._parameters.values())
    ]


def _article(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def _asked(value: Callable[..., Any]) -> list[str] | None:
    """The arguments that calling it needs; None where that is not known and it is no class."""
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return [] if isinstance(value, type) else None
    return [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def _candidates(names: Mapping[str, Any]) -> dict[str, Any]:
    """Models that the file may mean: objects, else classes that no other one uses, else functions that build one."""
    objects = {n: v for n, v in names.items() if isinstance(v, nn.Module) and not n.startswith("_") and not _is_loss(v)}
    inner = {id(child) for each in objects.values() for child in list(each.modules())[1:]}
    objects = {n: v for n, v in objects.items() if id(v) not in inner and any(True for _ in v.parameters())}
    if objects:
        return _once(objects)
    home = names.get("__name__")
    classes = {
        n: v for n, v in names.items() if isinstance(v, type) and issubclass(v, nn.Module) and v.__module__ == home
    }
    classes = _once({n: v for n, v in classes.items() if not issubclass(v, nn.modules.loss._Loss)})
    used = set[str]().union(*(_mentioned(v) - {n} for n, v in classes.items()))
    used |= {base.__name__ for v in classes.values() for base in v.__mro__[1:]}
    outer = {n: v for n, v in classes.items() if n not in used} or classes
    free = {n: v for n, v in outer.items() if not _asked(v)}
    makers = {n: v for n, v in names.items() if inspect.isfunction(v) and v.__module__ == home and _makes(v, classes)}
    if len(free) == 1 or (free and not makers):
        return free
    return makers or outer if not free else {**free, **makers}


def _once(values: Mapping[str, Any]) -> dict[str, Any]:
    """Each object under its first name only."""
    seen: dict[int, str] = {}
    for name, value in values.items():
        seen.setdefault(id(value), name)
    return {name: values[name] for name in seen.values()}


def _is_loss(value: nn.Module) -> bool:
    return isinstance(value, nn.modules.loss._Loss)


def _tree(value: Any) -> ast.AST | None:
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(value)))
    except (OSError, TypeError, SyntaxError, IndentationError):
        return None


def _mentioned(value: Any) -> set[str]:
    """All names in the source of a class: a model that uses a block names it."""
    tree = _tree(value)
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} if tree is not None else set()


def _makes(value: Any, classes: Mapping[str, Any]) -> bool:
    """A function that can be called as it is and returns a new model of the file."""
    tree = _tree(value)
    if tree is None or _asked(value):
        return False
    returned = [node.value for node in ast.walk(tree) if isinstance(node, ast.Return)]
    made = {
        n.targets[0].id: n.value
        for n in ast.walk(tree)
        if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name)
    }
    calls = [made.get(each.id) if isinstance(each, ast.Name) else each for each in returned]
    return any(isinstance(c, ast.Call) and isinstance(c.func, ast.Name) and c.func.id in classes for c in calls)


def main_names() -> Mapping[str, Any]:
    """The names of the file that was run."""
    return vars(sys.modules["__main__"])
