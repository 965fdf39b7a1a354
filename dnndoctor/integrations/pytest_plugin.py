"""The pytest plugin: a fixture ``dnndoctor``, and a marker of that name on each test that asks for it.

pytest loads it wherever dnndoctor is installed, so it imports nothing of ours, and no torch, before a test needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from dnndoctor.api import Checked
    from dnndoctor.diagnosis import Diagnosis

NAME = "dnndoctor"
REPORT = "dnndoctor-report.html"


class Doctor:
    """What the fixture gives: ``dnndoctor``'s functions, with the report of what fails kept in the test's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def check(self, model: Any, train_loader: Any = None, **options: Any) -> Checked:
        """As ``dnndoctor.check``."""
        from dnndoctor.api import check

        return check(model, train_loader, **options)

    def assert_healthy(self, model: Any, train_loader: Any = None, **options: Any) -> Checked:
        """As ``dnndoctor.assert_healthy``."""
        __tracebackhide__ = True
        from dnndoctor.assertions import assert_healthy

        return assert_healthy(model, train_loader, **self._with_report(options))

    def assert_script_healthy(self, script: str | Path, args: Sequence[str] = (), **options: Any) -> Diagnosis:
        """As ``dnndoctor.assert_script_healthy``."""
        __tracebackhide__ = True
        from dnndoctor.assertions import assert_script_healthy

        return assert_script_healthy(script, args, **self._with_report(options))

    def _with_report(self, options: dict[str, Any]) -> dict[str, Any]:
        return {"html": self._folder / REPORT, **options}


@pytest.fixture
def dnndoctor(tmp_path: Path) -> Doctor:
    """Examines models and training scripts: ``dnndoctor.assert_healthy(model, loader, loss_fn=loss_fn)``."""
    return Doctor(tmp_path)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", f"{NAME}: trains for a few dozen steps, examined (set by the fixture)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that ask for the fixture, so that ``-m "not dnndoctor"`` leaves them out."""
    for item in items:
        if NAME in getattr(item, "fixturenames", ()):
            item.add_marker(NAME)
