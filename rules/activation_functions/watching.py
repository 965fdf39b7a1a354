"""How the watched steps of activations are read and named."""

from collections.abc import Iterable

import numpy as np

from dnndoctor.findings import NotExamined
from dnndoctor.measurements import Activation, ActivationStatistics

Site = tuple[Activation, float]


def watched(sites: Iterable[Activation], steps: int) -> tuple[Activation, ...]:
    """The sites with this many watched steps. Raises NotExamined if none has."""
    sites = tuple(sites)
    found = tuple(each for each in sites if len(each.history) >= steps)
    if sites and not found:
        seen = max(len(each.history) for each in sites)
        raise NotExamined(f"only {seen} step{'s were' if seen != 1 else ' was'} watched")
    return found


def typical(statistics: Iterable[ActivationStatistics], field: str) -> float:
    """Median of one statistic over these steps."""
    return float(np.median([getattr(each, field) for each in statistics]))


def worst_by_place(found: Iterable[Site]) -> list[tuple[Activation, float, int]]:
    """For each line of source the site with the largest figure, that figure, and how many sites share the line."""
    places: dict[object, list[Site]] = {}
    for site, figure in found:
        line = (site.location.file, site.location.line) if site.location else site.name
        places.setdefault(line, []).append((site, figure))
    return [(*max(group, key=lambda each: each[1]), len(group)) for group in places.values()]


def named(site: Activation, count: int) -> str:
    """The site in words, with the number of others on its line."""
    where = f"{site.function} after {site.layer}" if site.layer else f"{site.function} {site.name}"
    return where if count == 1 else f"{where} (the worst of {count} on this line)"
