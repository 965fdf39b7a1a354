"""Several models in one run: each is judged by itself."""

from collections.abc import Callable, Iterator

from dnndoctor.findings import Finding, NotApplicable, NotExamined
from dnndoctor.measurements import Layers


def each_chain(layers: Layers, judge: Callable[[Layers], Iterator[Finding]]) -> Iterator[Finding]:
    """The findings in every chain of layers; if none could be judged, the reason for the first."""
    reasons: list[NotApplicable | NotExamined] = []
    chains = layers.chains()
    for chain in chains:
        try:
            yield from judge(chain)
        except (NotApplicable, NotExamined) as reason:
            reasons.append(reason)
    if reasons and len(reasons) == len(chains):
        raise next((each for each in reasons if isinstance(each, NotExamined)), reasons[0])
