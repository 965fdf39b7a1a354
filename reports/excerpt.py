"""Lines of the user's source around a finding."""

import linecache
from dataclasses import dataclass
from pathlib import Path

from dnndoctor.reports.words import printable

LONGEST_LINE = 240  # a minified line would drown the report
LARGEST_FILE = 4_000_000


@dataclass(frozen=True, slots=True)
class Line:
    """One line of source with its number; tabs are spaces already."""

    number: int
    text: str
    marked: bool


@dataclass(frozen=True, slots=True)
class Excerpt:
    """``caret`` is the marked line's column from 1 after tabs were expanded. Empty where the source cannot be read."""

    lines: tuple[Line, ...] = ()
    caret: int = 1


def excerpt(file: str, line: int, context: int = 0, *, column: int = 1, root: Path | None = None) -> Excerpt:
    """The line and ``context`` lines on either side, from ``file`` relative to ``root`` (the working directory)."""
    written = source_lines(file, root or Path())
    if not 1 <= line <= len(written):
        return Excerpt()
    numbers = range(max(1, line - context), min(len(written), line + context) + 1)
    lines = tuple(Line(n, _shown(written[n - 1]), n == line) for n in numbers)
    before = printable(written[line - 1][: max(column - 1, 0)].expandtabs(4))
    return Excerpt(lines, min(len(before), LONGEST_LINE) + 1)


def source(file: str, root: Path) -> str | None:
    """The file's text, None where it cannot be read."""
    lines = source_lines(file, root)
    return "\n".join(lines) if lines else None


def source_lines(file: str, root: Path) -> list[str]:
    """The file's lines without their ends; none where it cannot be read."""
    path = root / file
    try:
        if not path.is_file():
            return [line.rstrip("\n") for line in linecache.getlines(file)]  # a notebook's cell is no file
        if path.stat().st_size > LARGEST_FILE:
            return []
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except (OSError, ValueError):
        return []
    # str.splitlines also cuts at form feeds and the like, where Python counts no new line
    return text.split("\n")


def _shown(text: str) -> str:
    shown = printable(text.expandtabs(4).rstrip())
    return shown if len(shown) <= LONGEST_LINE else shown[:LONGEST_LINE] + "..."
