"""What each rank of a distributed run takes for a step of its own."""

from dnndoctor.measurements import Ranks
from dnndoctor.reports.html.figures.chart import brief
from dnndoctor.reports.html.figures.dots import Case, Point, plot
from dnndoctor.reports.html.figures.figure import Figure, Measurements, drawn, taken
from dnndoctor.reports.html.figures.workers import milliseconds
from dnndoctor.reports.words import figure as number

TITLE = "Ranks side by side"


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where one process trains, or the ranks were not timed."""
    ranks = taken(measurements, Ranks)
    if ranks is None or ranks.world < 2 or len(ranks.own_seconds) < 2:
        return None
    cases = []
    for rank, seconds in enumerate(ranks.own_seconds):
        watched = rank == ranks.examined
        hint = f"rank {rank}: {number(milliseconds(seconds))} ms"
        name = f"rank {rank}" + (" (watched)" if watched else "")
        cases.append(Case(name, (Point(milliseconds(seconds), hint, "ring" if watched else "own"),)))
    return drawn(
        "ranks",
        TITLE,
        _caption(ranks),
        plot(cases, "ms from a step's end to the next forward's end", "ring: slowed by the watch", zero=True),
        ("rank", "ms"),
        ((number(rank), number(milliseconds(seconds))) for rank, seconds in enumerate(ranks.own_seconds)),
        {"distributed", "hardware"},
        {Ranks},
        section="time",
    )


def _caption(ranks: Ranks) -> str:
    others = {rank: seconds for rank, seconds in enumerate(ranks.own_seconds) if rank != ranks.examined}
    slowest = max(others, key=lambda rank: others[rank])
    fastest = min(others.values())
    apart = f"{brief(others[slowest] / fastest, 2)} times the fastest" if fastest > 0 else "and the fastest none"
    alone = len(others) == 1
    took = f"Rank {slowest} takes {number(milliseconds(others[slowest]))} ms of its own per step"
    return f"{took}." if alone else f"{took}, {apart}."
