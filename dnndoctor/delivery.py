"""A diagnosis in the format that was asked for."""

from __future__ import annotations

from pathlib import Path

from dnndoctor.config import Settings
from dnndoctor.diagnosis import Diagnosis
from dnndoctor.outputs import OutputFormat


def rendered(wanted: OutputFormat, diagnosis: Diagnosis, settings: Settings, width: int, color: bool) -> str:
    """The report as text; ``width`` and ``color`` are of the terminal."""
    root = Path(settings.root)
    if wanted is OutputFormat.JSON:
        from dnndoctor.reports import json

        return json.render(diagnosis)
    if wanted is OutputFormat.SARIF:
        from dnndoctor.reports import sarif

        return sarif.render(diagnosis, root)
    if wanted is OutputFormat.JUNIT:
        from dnndoctor.reports import junit

        return junit.render(diagnosis, settings.fail_on.reached)
    if wanted is OutputFormat.GITLAB:
        from dnndoctor.reports import gitlab

        return gitlab.render(diagnosis, root)
    if wanted is OutputFormat.GITHUB:
        from dnndoctor.reports import github

        return github.render(diagnosis, root)
    from dnndoctor.reports import terminal

    if wanted is OutputFormat.CONCISE:
        return terminal.concise(diagnosis, color)
    return terminal.full(diagnosis, width, color, root)
