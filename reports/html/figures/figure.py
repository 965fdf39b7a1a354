"""What a figure is to the page, and what it is drawn from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from dnndoctor.measurements import Missing

Measured = TypeVar("Measured")
Measurements = Mapping[type, Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing with a caption that states the verdict, and its numbers as a table.

    ``practices``: beside the findings of which practices it belongs. ``kinds``: the measurements that it shows.
    """

    id: str
    title: str
    caption: str
    svg: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    practices: frozenset[str]
    kinds: frozenset[type]


Draw = Callable[[Measurements, frozenset[str]], Figure | None]


def taken(measurements: Measurements, kind: type[Measured]) -> Measured | None:
    """The measurement, or None where it is missing."""
    value = measurements.get(kind)
    return None if value is None or isinstance(value, Missing) else value


def highlighted(name: str, flagged: frozenset[str]) -> bool:
    """Whether a finding is about this layer, or about a parameter of it."""
    return name in flagged or any(each.rpartition(".")[0] == name for each in flagged if "." in each)
