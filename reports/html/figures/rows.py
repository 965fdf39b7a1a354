"""Layers below one another: the frame that the figures by layer share."""

from collections.abc import Sequence

from dnndoctor.reports.html.figures.chart import ROW, WIDTH, line, shortened, tag, text

LEFT = 186  # room for the names
RIGHT = WIDTH - 24
TOP = 34


def bottom(rows: int) -> float:
    """Where the axis lies under so many rows."""
    return float(TOP + rows * ROW + 6)


def height(rows: int) -> float:
    """Of the whole picture."""
    return bottom(rows) + 50


def middle(row: int) -> float:
    """The line that a row's marks lie on."""
    return TOP + (row + 0.5) * ROW


def names(labels: Sequence[str], flagged: Sequence[bool], right: float = RIGHT) -> list[str]:
    """Each row's name and its line; the rows that a finding is about stand out."""
    parts = []
    for row, (label, marked) in enumerate(zip(labels, flagged, strict=True)):
        y = middle(row)
        kind = "row-name flagged" if marked else "row-name"
        parts.append(tag("g", text(shortened(label), LEFT - 14, y + 4, kind, "end")))
        parts.append(line(LEFT, y, right, y, "grid"))
    return parts


def left_out(drawn: int, count: int) -> str:
    """A sentence for the caption where not every layer is drawn."""
    return f" {drawn} of {count} are drawn; the table has all." if drawn < count else ""
