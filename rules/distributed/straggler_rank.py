from collections.abc import Iterator
from statistics import median

from dnndoctor.findings import Evidence, Finding, Fix, NotExamined, Severity
from dnndoctor.measurements import Loaders, Ranks
from dnndoctor.rule import rule
from dnndoctor.rules.distributed.ranks import data_location, several


@rule("DST103", Severity.WARNING, practice="distributed")
def straggler_rank(
    ranks: Ranks,
    loaders: Loaders | None,
    *,
    slower: float = 1.2,
    share: float = 0.1,
    fewest: int = 10,
    least: float = 0.001,
    steady: float = 0.7,
) -> Iterator[Finding]:
    """One rank is slower than the others, which wait for it in every step.

    What it measures
        On every rank the time from the end of a step to the end of the next forward pass (loading and computing, before
        it waits for anybody), median over the watched steps. A rank that alone is watched is slower for it, and is
        never the one that is named.

    Why it matters
        A step takes as long as its slowest rank. The others' time is lost, on every machine and in every step.

    How to fix it
        Look at that rank's own data (longer samples, a slower disk), its device, and what else runs there.

    When to ignore it
        The machines differ on purpose.

    References
        Chen et al. 2016, Revisiting Distributed Synchronous SGD, section 2: a step waits for the slowest.
        slower: 1.2, this project's choice: times the median rank.
        share: 0.1, this project's choice: of a whole step that the others lose at least.
        fewest: 10, this project's choice: steps behind each median.
        least: 0.001, this project's choice: seconds; the system's own noise is smaller.
        steady: 0.7, this project's choice: of the steps, in which it is the slowest; by chance it is in half.
    """
    several(ranks)
    if ranks.steps < fewest or len(ranks.own_seconds) < ranks.world:
        raise NotExamined(f"steps that all ranks made: {ranks.steps}")
    unwatched = [rank for rank in range(ranks.world) if rank != ranks.examined]
    slowest = max(unwatched, key=lambda rank: ranks.own_seconds[rank])
    others = median(each for rank, each in enumerate(ranks.own_seconds) if rank != slowest)
    own = ranks.own_seconds[slowest]
    if own < slower * others or own - others < max(share * ranks.step_seconds, least):
        return
    if ranks.slowest_share and ranks.slowest_share[slowest] < steady:
        return
    yield Finding(
        f"rank {slowest} takes {1e3 * own:.3g} ms to the end of its forward pass, the others {1e3 * others:.3g} ms",
        location=data_location(loaders, ranks),
        subject=f"rank {slowest}",
        evidence=(Evidence("forward pass and data on the slowest rank", own, others, "s"),),
        fix=Fix(
            f"find out what holds rank {slowest} up",
            f"Up to {own - others:.2g} s of each step of {ranks.step_seconds:.2g} s are waited for it.",
        ),
    )
