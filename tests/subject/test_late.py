from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from dnndoctor.subject.late import AfterImport


def test_two_finders_that_ask_each_other_both_find_the_module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "found_by_both.py").write_text("name = 'it'")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    seen: list[str] = []

    def first(module: ModuleType) -> None:
        seen.append(f"first {module.name}")

    def second(module: ModuleType) -> None:
        seen.append(f"second {module.name}")

    AfterImport({"found_by_both": first}).install()
    AfterImport({"found_by_both": second}).install()
    importlib.import_module("found_by_both")
    assert sorted(seen) == ["first it", "second it"]
