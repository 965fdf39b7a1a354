"""Whose a file is."""

from __future__ import annotations

import os

import pytest

from dnndoctor.observe.source import is_user_file


def test_a_relative_name_in_a_folder_that_is_gone_is_nobody_s(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> str:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(os, "getcwd", gone)
    assert not is_user_file("a_name_that_no_other_test_asks_for.py")


def test_libraries_and_what_has_no_file_are_not_the_user_s() -> None:
    assert not is_user_file("<string>")
    assert not is_user_file(os.__file__)
    assert is_user_file(os.path.abspath(__file__))
