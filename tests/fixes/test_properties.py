"""Whatever the source and the change: refused, or a text that parses and is the same outside of the change."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path
from shutil import which

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from dnndoctor.changes import (
    Change,
    Enclose,
    InsertAfter,
    InsertBefore,
    RemoveArgument,
    RemoveStatement,
    Rename,
    Rewrite,
    SetArgument,
    Unwrap,
)
from dnndoctor.findings import Location
from dnndoctor.fixes.files import Files
from dnndoctor.fixes.plan import plan, unified
from dnndoctor.fixes.source import Refused
from tests.fixes.mended import FILE, finding, mended
from tests.fixture_scripts import FIXTURES

SCRIPTS = tuple(each.read_text(encoding="utf-8") for each in sorted(FIXTURES.glob("sick/*.py"))[:24])
ODD = (
    'x = f("ü", g(1))  # größer\nif x:\n\ty = -x\n',
    "class A:\n  def f(s): return s.g(s.h(1), 2)\n",
    "z = (a\n     + b)\nw = [f(x) for x in y if g(x)]\n",
    'print(f"{f(x)!r:>{g(1)}}")\n',
    "@d(1)\ndef f(a, b=g(2)):\n    with h(a) as c, i(b):\n        return c\n",
)
CHANGES: tuple[Change, ...] = (
    SetArgument("lr", "0.1", position=1),
    SetArgument("dim", "-1"),
    RemoveArgument("dim", position=1),
    Unwrap(method=True),
    Rename("other"),
    Rewrite("torch.relu({it})"),
    Rewrite("{it} + 1", argument=0, method=True),
    InsertBefore("pass"),
    InsertAfter("pass"),
    Enclose("with torch.no_grad():"),
    RemoveStatement(),
)


def places(source: str) -> list[Location]:
    found = [each for each in ast.walk(ast.parse(source)) if isinstance(each, ast.expr | ast.stmt)]
    return sorted({Location(FILE, each.lineno, each.col_offset + 1) for each in found}, key=str)


@settings(max_examples=300, deadline=None)
@given(data=some.data())
def test_a_change_is_refused_or_leaves_a_text_that_parses(data: some.DataObject) -> None:
    source = data.draw(some.sampled_from((*SCRIPTS, *ODD)))
    place = data.draw(some.sampled_from(places(source)))
    change = data.draw(some.sampled_from(CHANGES))
    try:
        made = mended(source, [change], place)
    except Refused:
        return
    ast.parse(made)
    comments = [line.partition("#")[2] for line in source.splitlines() if "#" in line]
    if not isinstance(change, RemoveStatement | Unwrap | RemoveArgument):
        assert all(each in made for each in comments)


@settings(max_examples=100, deadline=None)
@given(data=some.data())
def test_all_that_is_made_together_parses_and_each_is_made_or_left(data: some.DataObject) -> None:
    source = data.draw(some.sampled_from((*SCRIPTS, *ODD)))
    drawn = data.draw(
        some.lists(some.tuples(some.sampled_from(CHANGES), some.sampled_from(places(source))), max_size=5)
    )
    findings = [finding([change], place, f"RUL{i}") for i, (change, place) in enumerate(drawn)]
    offered = plan(findings, Files(lambda _: source.encode()))
    assert len(offered.made) + len(offered.left) == len(findings)
    for new in offered.new.values():
        ast.parse(new)


LINES = some.text(some.sampled_from("ab \r\n\x0c"), max_size=40)


@settings(max_examples=40, deadline=None)
@given(old=LINES, new=LINES)
@pytest.mark.skipif(which("patch") is None, reason="patch is not installed")
def test_patch_takes_the_diff(tmp_path_factory: pytest.TempPathFactory, old: str, new: str) -> None:
    folder: Path = tmp_path_factory.mktemp("patched")
    (folder / FILE).write_bytes(old.encode())
    diff = unified(FILE, old, new)
    done = subprocess.run(
        ["patch", "-p1", "--binary"], cwd=folder, input=diff.encode(), capture_output=True, check=False
    )
    assert done.returncode == 0 or not diff, done.stdout
    made = (folder / FILE).read_bytes() if (folder / FILE).exists() else b""  # patch removes what it empties
    assert made == new.encode()
