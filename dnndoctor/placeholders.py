"""Code that a fix shows, with the script's own names: rules write ``model`` and know no variable."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any

from dnndoctor.changes import Change, FirstOf
from dnndoctor.findings import Finding
from dnndoctor.measurements.found import FoundModel, TrainingLoop
from dnndoctor.rule import Result

PLACEHOLDER = "model"
CODE = ("value", "template", "code", "header", "arguments")  # of changes
_EXPRESSION = re.compile(r"[A-Za-z_][\w.]*(\[[^\]]+\])*")


def with_own_names(results: Iterable[Result], loop: TrainingLoop | None) -> tuple[Result, ...]:
    """The results with ``model`` in their code replaced by the variable that holds the model."""
    models = [each for each in loop.models if _EXPRESSION.fullmatch(each.name)] if loop else []
    tensors = [name for each in (loop.models if loop else ()) for name in each.tensors]
    if not models and not tensors:
        return tuple(results)
    return tuple(replace(each, findings=tuple(_named(f, models, tensors) for f in each.findings)) for each in results)


def _named(finding: Finding, models: list[FoundModel], tensors: list[str]) -> Finding:
    if finding.fix is None:
        return finding
    code, changes = finding.fix.code, tuple(_change(each, models, tensors) for each in finding.fix.changes)
    code = _code(code, models, tensors) if code is not None else None
    return replace(finding, fix=replace(finding.fix, code=code, changes=changes))


def _change(change: Change, models: list[FoundModel], tensors: list[str]) -> Change:
    """The same in all code that a change holds."""
    if isinstance(change, FirstOf):
        options = tuple(tuple(_change(each, models, tensors) for each in option) for option in change.options)
        return replace(change, options=options)
    held = {each.name: getattr(change, each.name) for each in fields(change) if each.name in CODE}
    named: dict[str, Any] = {name: _code(code, models, tensors) for name, code in held.items()}
    return replace(change, **named)


def _code(code: str, models: list[FoundModel], tensors: list[str]) -> str:
    for name in tensors:  # a tensor has no bias beside it
        code = re.sub(rf".*\b{PLACEHOLDER}\.{re.escape(name)}\.bias\b.*\n?", "", code).rstrip("\n")
        code = _replaced(rf"\b{PLACEHOLDER}\.{re.escape(name)}\.weight\b", name, code)
    for each in sorted(models, key=lambda each: -len(each.prefix)):
        if each.prefix:
            code = _replaced(rf"\b{PLACEHOLDER}\.{re.escape(each.prefix)}(?=[.\[])", each.name, code)
    trained = [each for each in models if each.trainable and not each.tensors]
    if len(trained) == 1 and all(each.name != PLACEHOLDER for each in models):  # else it is no placeholder
        code = _replaced(rf"(?<![\w.]){PLACEHOLDER}(?=[.\[])", trained[0].name, code)
    return code


def _replaced(pattern: str, name: str, code: str) -> str:
    return re.sub(pattern, lambda _: name, code)  # a name may hold what re.sub takes for a reference
