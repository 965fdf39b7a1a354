"""Where a value that a call is given is written as a literal."""

from __future__ import annotations

import ast

from dnndoctor.fixes.source import FUNCTIONS, Source


def literal(code: str) -> bool:
    """Whether code is a number, a text or a tuple of such."""
    try:
        ast.literal_eval(code)
    except (ValueError, SyntaxError):
        return False
    return True


def origin(source: Source, value: ast.expr) -> ast.expr:
    """The literal behind a plain name or a command-line option; else the value itself."""
    found: ast.expr | None = None
    if isinstance(value, ast.Name):
        found = _assigned(source, value) or _parameter(source, value)
    elif isinstance(value, ast.Attribute) and isinstance(value.value, ast.Name):
        found = _option(source, value.attr)
    return found if found is not None and literal(source.code(found)) else value


def _assigned(source: Source, name: ast.Name) -> ast.expr | None:
    stores = [n for n in ast.walk(source.tree) if isinstance(n, ast.Name) and n.id == name.id and _stored(n)]
    if len(stores) != 1 or _is_parameter(source, name):
        return None
    statement = source.parent(stores[0])
    plain = isinstance(statement, ast.AnnAssign) or (isinstance(statement, ast.Assign) and len(statement.targets) == 1)
    return statement.value if plain and isinstance(statement, (ast.Assign, ast.AnnAssign)) else None


def _stored(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def _is_parameter(source: Source, name: ast.Name) -> bool:
    return any(
        isinstance(each, FUNCTIONS) and name.id in [a.arg for a in (*each.args.args, *each.args.kwonlyargs)]
        for each in source.parents(name)
    )


def _parameter(source: Source, name: ast.Name) -> ast.expr | None:
    """What the only call of the function gives for it, else its default."""
    function = next((each for each in source.parents(name) if isinstance(each, ast.FunctionDef)), None)
    if function is None or any(isinstance(each, ast.ClassDef) for each in source.parents(function)):
        return None
    order = [each.arg for each in function.args.args]
    if name.id not in order:
        return None
    at = order.index(name.id)
    calls = [
        each
        for each in ast.walk(source.tree)
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id == function.name
    ]
    given = [_given(each, name.id, at) for each in calls]
    if len(calls) == 1 and given[0] is not None:
        return given[0]
    from_end = at - len(order) + len(function.args.defaults)
    return function.args.defaults[from_end] if from_end >= 0 and not any(given) else None


def _given(call: ast.Call, name: str, at: int) -> ast.expr | None:
    by_name = next((each.value for each in call.keywords if each.arg == name), None)
    return by_name or (call.args[at] if at < len(call.args) else None)


def _option(source: Source, name: str) -> ast.expr | None:
    """The default of ``add_argument("--name", default=...)``, if there is one such option."""
    found = [
        keyword.value
        for each in ast.walk(source.tree)
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr == "add_argument"
        if any(_dashes(argument) == name for argument in each.args)
        for keyword in each.keywords
        if keyword.arg == "default"
    ]
    return found[0] if len(found) == 1 else None


def _dashes(node: ast.expr) -> str:
    text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
    return text.lstrip("-").replace("-", "_")
