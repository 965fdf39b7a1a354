"""``dnndoctor compare``: two recordings, judged by the same rules, side by side."""

from __future__ import annotations

import gc
from pathlib import Path

from dnndoctor.comparison import Comparison, compare
from dnndoctor.config import ComparisonFormat, Settings
from dnndoctor.examination import rediagnose
from dnndoctor.workspace import BadInput, check_recording


def compare_recordings(before: str, after: str, settings: Settings) -> Comparison:
    """Judge both. Raises BadInput, in one line, where a recording is missing, unreadable or foreign."""
    paths = (Path(before), Path(after))
    for each in paths:
        check_recording(each)
    collecting = gc.isenabled()
    gc.disable()  # it would look through a million rows again and again, and none of them is garbage
    try:
        return compare(*(rediagnose(each, settings) for each in paths))
    except ValueError as why:
        raise BadInput(str(why)) from None
    finally:
        if collecting:
            gc.enable()


def written(comparison: Comparison, wanted: ComparisonFormat, width: int, color: bool) -> str:
    """The comparison as text."""
    from dnndoctor.reports.comparison import json, terminal

    if wanted is ComparisonFormat.JSON:
        return json.render(comparison)
    if wanted is ComparisonFormat.CONCISE:
        return terminal.concise(comparison)
    return terminal.full(comparison, width, color)
