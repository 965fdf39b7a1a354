"""Changes of a call and its arguments."""

from __future__ import annotations

import ast

from dnndoctor.changes import InsertItem, RemoveArgument, Rename, Rewrite, SetArgument
from dnndoctor.findings import Location
from dnndoctor.fixes import names, values
from dnndoctor.fixes.places import arguments, find, receives, starts
from dnndoctor.fixes.source import Edit, Refused, Source
from dnndoctor.fixes.templates import fill, fitted, used

Item = ast.expr | ast.keyword


def set_argument(source: Source, change: SetArgument, place: Location, new: list[str]) -> list[Edit]:
    """The argument's value, or the literal that it comes from; or a new argument at the end."""
    call, value = _argument(source, change, place)
    if any(each.arg in change.unless and not _none(each.value) for each in call.keywords):
        raise Refused("another argument of the call stands against it")
    code, edits = names.spelled(source, fill(source, change.value, arguments(source, call, change.method), call, None))
    names.require(source, code, source.statement(call), new)
    if value is None:
        if any(each.arg is None for each in call.keywords) or any(isinstance(e, ast.Starred) for e in call.args):
            raise Refused("the call takes arguments from elsewhere")
        return [*edits, _appended(source, call, f"{change.name}={code}")]
    if source.code(value) == code:
        raise Refused("it is so already")
    origin = values.origin(source, value) if values.literal(code) else value
    if source.code(origin) == code:
        raise Refused("it is so already")
    return [*edits, Edit(source.start(origin), source.end(origin), code)]


def _argument(source: Source, change: SetArgument, place: Location) -> tuple[ast.Call, ast.expr | None]:
    if not change.of:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.keyword) and node.arg and starts(node) == (place.line, place.column):
                call = source.parent(node)
                if isinstance(call, ast.Call):
                    return call, node.value
            if isinstance(node, ast.expr) and starts(node) == (place.line, place.column):
                call = source.parent(node)
                if isinstance(call, ast.Call) and node in call.args and not isinstance(node, ast.Call):
                    return call, node
    call = find(source, place, change)
    if not isinstance(call, ast.Call):
        raise Refused("there is no call at the place")
    given = next((each.value for each in call.keywords if each.arg == change.name), None)
    by_place = arguments(source, call, change.method)
    if given is None and change.position is not None and change.position < len(by_place):
        given = by_place[change.position]
    return call, given


def _none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def items(call: ast.Call | ast.List | ast.Tuple) -> list[Item]:
    """Its arguments or elements in their order."""
    if not isinstance(call, ast.Call):
        return list(call.elts)
    return sorted([*call.args, *call.keywords], key=lambda each: (each.lineno, each.col_offset))


def _appended(source: Source, call: ast.Call, code: str) -> Edit:
    given = items(call)
    if not given:
        at = source.end(call) - 1
        return Edit(at, at, code)
    last, end = given[-1], source.end(given[-1])
    comma = source.text[end : source.end(call)].lstrip().startswith(",")
    if comma:
        end += source.text[end:].index(",") + 1
    if source.first_on_line(last) and last.lineno > call.lineno:
        indent = source.indent(source.statement(call)) if not last.col_offset else " " * last.col_offset
        return Edit(end, end, f"{'' if comma else ','}{source.newline}{indent}{code}{',' if comma else ''}")
    return Edit(end, end, f"{'' if comma else ','} {code}")


def remove_argument(source: Source, change: RemoveArgument, place: Location) -> list[Edit]:
    """Nothing where it is not given."""
    call = find(source, place, change)
    if not isinstance(call, ast.Call):
        raise Refused("there is no call at the place")
    item: Item | None = next((each for each in call.keywords if each.arg == change.name), None)
    by_place = arguments(source, call, change.method)
    if item is None and change.position is not None and change.position < len(by_place):
        if change.position != len(by_place) - 1:
            raise Refused("arguments stand behind it")
        item = by_place[-1]
    return [taken_out(source, call, item)] if item is not None else []


def taken_out(source: Source, holder: ast.Call | ast.List | ast.Tuple, item: Item) -> Edit:
    """One item less, with its comma."""
    given = items(holder)
    at = given.index(item)
    if at + 1 < len(given):
        return Edit(source.start(item), source.start(given[at + 1]), "")
    if at:
        return Edit(source.end(given[at - 1]), source.end(item), "")
    end = source.end(item)
    rest = source.text[end : source.end(holder) - 1]
    return Edit(source.start(item), end + (len(rest) if rest.strip() in ("", ",") else 0), "")


def rename(source: Source, change: Rename, place: Location) -> list[Edit]:
    """The last name of what is called; a name that was imported by itself gets an import."""
    call = find(source, place, change)
    function = getattr(call, "func", None)
    if isinstance(function, ast.Attribute):
        end = source.end(function)
        return [Edit(end - len(function.attr), end, change.to)]
    if not isinstance(function, ast.Name):
        raise Refused("what is called has no name")
    edits = [Edit(source.start(function), source.end(function), change.to)]
    module = next((k for k, v in names.imported(source).items() if v == function.id), None)
    if module is None:
        raise Refused(f"{function.id} is not imported")
    if change.to in names.imported(source).values():
        return edits
    uses = [n for n in ast.walk(source.tree) if isinstance(n, ast.Name) and n.id == function.id]
    for node in source.tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == module.rpartition(".")[0]:
            alias = next(each for each in node.names if (each.asname or each.name) == function.id)
            if len(uses) == 1:
                return [*edits, Edit(source.start(alias), source.end(alias), change.to)]
            return [*edits, Edit(source.end(alias), source.end(alias), f", {change.to}")]
    raise Refused(f"{function.id} is not imported from a module")


def rewrite(source: Source, change: Rewrite, place: Location) -> list[Edit]:
    """The expression, or one of its arguments, by the template."""
    node = find(source, place, change, change.argument)
    given = arguments(source, node, change.method)
    callee = getattr(node, "func", None)
    target: ast.AST = node
    if change.argument is not None:
        if change.argument >= len(given):
            raise Refused("the call has fewer arguments")
        target = given[change.argument]
    elif isinstance(node, ast.Call) and "it" not in used(change.template):
        _mentioned(source, node, change)
    empty = source.code(target) in ("[]", "{}", "()") and change.argument is None
    template = change.template.replace("({it})", "()") if empty else change.template
    code, edits = names.spelled(source, fill(source, template, given, target, callee))
    stood = [each.id for each in ast.walk(node) if isinstance(each, ast.Name)]
    names.require(source, code, source.statement(node), new=[*_targets(code), *stood])
    return [*edits, Edit(source.start(target), source.end(target), fitted(source, target, code))]


def _targets(code: str) -> list[str]:
    return [n.id for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]


def _mentioned(source: Source, call: ast.Call, change: Rewrite) -> None:
    """Every argument has its place in the template, or may go."""
    slots, before = used(change.template), receives(source, call, change.method)
    for number, each in enumerate(call.args, start=before):
        lost = str(number) not in slots and str(number) not in change.dropping
        if lost or isinstance(each, ast.Starred):
            raise Refused("the call has arguments that would be lost")
    for keyword in call.keywords:
        if keyword.arg is None or keyword.arg not in change.dropping:
            raise Refused(f"the call's argument {keyword.arg} would be lost")


def insert_item(source: Source, change: InsertItem, place: Location) -> list[Edit]:
    """Beside an item of a list or call, on a line of its own where the others have one."""
    node = find(source, place, change)
    holder = source.parent(node)
    if not isinstance(holder, (ast.Call, ast.List, ast.Tuple)) or node not in items(holder):
        raise Refused("it is no item of a list")
    code, edits = names.spelled(source, change.code)
    names.require(source, code, source.statement(node))
    own_line = source.first_on_line(node) and len(items(holder)) > 1
    gap = f",{source.newline}{' ' * node.col_offset}" if own_line else ", "
    at = source.end(node) if change.after else source.start(node)
    return [*edits, Edit(at, at, f"{gap}{code}" if change.after else f"{code}{gap}")]
