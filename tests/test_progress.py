"""Progress where standard error is no terminal."""

from __future__ import annotations

import pytest

from dnndoctor.progress import shown


def test_each_phase_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    with shown(quiet=False) as tell:
        assert tell is not None
        for phase in ("start", "observe", "observe", "unheard-of", "evaluate"):
            tell(phase, 0, 0, 60.0)
    assert capsys.readouterr().err.count("\n") == 3


def test_of_repeated_runs_only_the_first_says_its_phases(capsys: pytest.CaptureFixture[str]) -> None:
    with shown(quiet=False) as tell:
        assert tell is not None
        for phase in ("run 1 of 3", "start", "run 2 of 3", "start", "observe", "run 3 of 3"):
            tell(phase, 0, 0, 60.0)
    said = capsys.readouterr().err.splitlines()
    assert said == [f"dnndoctor: {each}" for each in ("run 1 of 3", "starting the script", "run 2 of 3", "run 3 of 3")]


def test_quiet_says_nothing() -> None:
    with shown(quiet=True) as tell:
        assert tell is None
