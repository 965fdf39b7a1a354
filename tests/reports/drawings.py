"""What every drawing has to be."""

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from typing import Any

from dnndoctor.reports.html.figures import figures
from dnndoctor.reports.html.figures.figure import SECTIONS, Figure


def numbers(made: Figure) -> Iterator[float]:
    """Every coordinate of a drawing, which must be well-formed."""
    if not made.svg:
        return
    for element in ElementTree.fromstring(made.svg).iter():
        for name in ("x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "width", "height"):
            if name in element.attrib:
                yield float(element.attrib[name])
        for pair in element.attrib.get("points", "").split():
            yield from map(float, pair.split(","))


def sound(seen: dict[type, Any]) -> list[Figure]:
    """The figures, after checking that each is well-formed, finite and within its frame."""
    made = list(figures(seen))
    assert len({each.id for each in made}) == len(made)
    for each in made:
        assert each.section in dict(SECTIONS)
        assert all(math.isfinite(v) and -20 <= v <= 5000 for v in numbers(each))
        assert all(len(row) == len(each.columns) for row in each.rows)
        assert each.caption
    return made
