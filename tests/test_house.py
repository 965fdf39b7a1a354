"""The house stays as it was planned: seven entries, one direction of flow, nothing left out of the wheel."""

from __future__ import annotations

import ast
import fnmatch
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
ENTRIES = {"pyproject.toml", "README.md", "dnndoctor", "rules", "reports", "tests", "fixtures"}
MADE = ("*.egg-info", "build", "dist", "dnndoctor-report.html", "__pycache__")
TORCH_ROOMS = {"subject", "observe", "probes", "postmortem", "integrations", "recorder"}


def modules() -> dict[str, Path]:
    """Every module of ours by its dotted name."""
    found: dict[str, Path] = {}
    for room, prefix in (("dnndoctor", "dnndoctor"), ("rules", "dnndoctor.rules"), ("reports", "dnndoctor.reports")):
        for path in sorted((ROOT / room).rglob("*.py")):
            inner = path.relative_to(ROOT / room)
            if room == "dnndoctor" and inner.parts[0] in ("rules", "reports"):
                continue
            parts = [prefix, *inner.with_suffix("").parts]
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            module = node.module or ""
            yield module
            yield from (f"{module}.{each.name}" for each in node.names if f"{module}.{each.name}" in MODULES)


MODULES = modules()
EVERY = [pytest.param(name, path, id=name) for name, path in MODULES.items()]


def under(name: str, *roots: str) -> bool:
    return any(name == root or name.startswith(f"{root}.") for root in roots)


def test_seven_entries_stand_at_the_top() -> None:
    found = {each.name for each in ROOT.iterdir() if not each.name.startswith(".")}
    assert {each for each in found if not any(fnmatch.fnmatch(each, made) for made in MADE)} == ENTRIES


@pytest.mark.parametrize("name", ["rules", "reports"])
def test_the_links_into_the_package_are_there(name: str) -> None:
    link = ROOT / "dnndoctor" / name
    assert link.is_symlink()
    assert os.readlink(link) == f"../{name}"


def settings() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_package_is_in_the_wheel() -> None:
    packages = {name for name, path in MODULES.items() if path.name == "__init__.py"}
    assert set(settings()["tool"]["setuptools"]["packages"]) == packages


def test_every_other_file_is_in_the_wheel() -> None:
    data = settings()["tool"]["setuptools"]["package-data"]
    patterns = [f"{package}/{each}" for package, globs in data.items() for each in globs]
    for room in ("dnndoctor", "rules", "reports"):
        for path in (ROOT / room).rglob("*"):
            inside = path.relative_to(ROOT)
            if not path.is_file() or path.suffix in (".py", ".pyc") or inside.parts[1] in ("rules", "reports"):
                continue
            package, place = _home(inside)
            assert any(fnmatch.fnmatch(f"{package}/{place}", each) for each in patterns), f"{inside} is in no wheel"


def _home(inside: Path) -> tuple[str, str]:
    """The package that a file belongs to, and its path there."""
    folder = inside.parent
    while not (ROOT / folder / "__init__.py").exists():
        folder = folder.parent
    package = ".".join(folder.parts)
    return package if package.startswith("dnndoctor") else f"dnndoctor.{package}", str(inside.relative_to(folder))


@pytest.mark.parametrize(("name", "path"), EVERY)
def test_directions(name: str, path: Path) -> None:
    used = set(imports(path))
    assert not any(under(each, "rules", "reports") for each in used), "import dnndoctor.rules, not rules"
    if name != "dnndoctor.__main__":
        assert not any(under(each, "dnndoctor.cli") for each in used), "nothing imports cli"
    if name.split(".")[1:2] and name.split(".")[1] not in TORCH_ROOMS:
        assert not any(under(each, "torch") for each in used), "only the rooms that hold the subject import torch"
    ours = {each for each in used if under(each, "dnndoctor")}
    if under(name, "dnndoctor.rules"):
        allowed = (
            "dnndoctor.measurements",
            "dnndoctor.findings",
            "dnndoctor.changes",
            "dnndoctor.rule",
            "dnndoctor.rules",
        )
        assert all(under(each, *allowed) for each in ours), "rules import measurements, findings, changes and rule only"
    if under(name, "dnndoctor.reports"):
        left = ("dnndoctor.rules", "dnndoctor.subject", "dnndoctor.observe", "dnndoctor.probes", "dnndoctor.recording")
        assert not any(under(each, *left) for each in ours), "reports know the diagnosis only"
    if under(name, "dnndoctor.measurements"):
        plain = ("dnndoctor.measurements", "dnndoctor.findings")
        assert all(under(each, *plain) for each in ours), "measurements are plain records"


def test_the_modules_are_found() -> None:
    assert {"dnndoctor.cli", "dnndoctor.rules.learning_rate.rate_too_high", "dnndoctor.reports.json"} <= set(MODULES)
    assert any(under(each, "torch") for path in MODULES.values() for each in imports(path))
