"""What a figure is to the page, and what it is drawn from."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from dnndoctor.measurements import Missing
from dnndoctor.reports.html.figures.chart import WIDTH, drawing

Measured = TypeVar("Measured")
Measurements = Mapping[type, Any]

# Name and title of each section of the page that figures stand in, in its order.
SECTIONS = (
    ("course", "The course of training"),
    ("model", "The model"),
    ("data", "The data"),
    ("time", "Where the time goes"),
    ("measured", "Also measured"),
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing with a caption that states the verdict, and its numbers as a table.

    ``practices``: beside the findings of which practices it belongs. ``kinds``: the measurements that it shows.
    ``section``: where it stands if no finding takes it, one of ``SECTIONS``. ``svg`` is empty where the table is all;
    ``wide`` asks for the width of the page.
    """

    id: str
    title: str
    caption: str
    svg: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    practices: frozenset[str]
    kinds: frozenset[type]
    section: str = "measured"
    wide: bool = False


def drawn(
    name: str,
    title: str,
    caption: str,
    picture: tuple[Iterable[str], float],
    columns: Iterable[str],
    rows: Iterable[Iterable[str]],
    practices: Iterable[str],
    kinds: Iterable[type],
    *,
    section: str = "measured",
    width: float = WIDTH,
) -> Figure:
    """A figure of the elements and the height that ``picture`` gives; wider than usual it takes a row of its own."""
    body, height = picture
    return Figure(
        f"figure-{name}",
        title,
        caption,
        drawing(f"figure-{name}", height, title, caption, body, width),
        tuple(columns),
        tuple(tuple(row) for row in rows),
        frozenset(practices),
        frozenset(kinds),
        section,
        width > WIDTH,
    )


Draw = Callable[[Measurements, frozenset[str]], Figure | None]


def taken(measurements: Measurements, kind: type[Measured]) -> Measured | None:
    """The measurement, or None where it is missing."""
    value = measurements.get(kind)
    return None if value is None or isinstance(value, Missing) else value


def highlighted(name: str, flagged: frozenset[str]) -> bool:
    """Whether a finding is about this layer, or about a parameter of it."""
    return name in flagged or any(each.rpartition(".")[0] == name for each in flagged if "." in each)
