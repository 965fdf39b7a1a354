"""Which batches the user's loop gets while its steps are trials: the kept ones, over and over."""

from __future__ import annotations

from typing import Any

from dnndoctor.observe.loaders import LoaderFacts, ServedIterator
from dnndoctor.observe.watch import Watch
from dnndoctor.probes.experiment import Setting

EVALUATION_BATCHES = 4
FEWEST_KEPT = 8  # batches for trials to count as paired
MOST_WITHOUT_STEP = 64  # batches, or twice the kept ones: a loop that makes no step on them only looks at the data


class Served:
    """Serves the loaders that were trained on."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._trainers: list[LoaderFacts] = []
        self._since_step = 0
        self._first: list[LoaderFacts] = []  # the loaders of the script's first run
        self._unclaimed: list[LoaderFacts] = []
        self._successors: dict[int, LoaderFacts | None] = {}

    def begin(self) -> None:
        """From now on batches are served."""
        self._trainers = self._watch.loaders.training()
        self._first = list(self._watch.loaders.all)
        self._since_step = 0

    def begin_again(self) -> None:
        """The script runs once more, and builds its loaders anew."""
        self._unclaimed, self._successors = list(self._first), {}
        self._since_step = 0
        self.rewind()

    @property
    def paired(self) -> bool:
        """All trials see the same batches."""
        return any(len(each.kept) >= FEWEST_KEPT for each in self._trainers) or self._watch.same_batch_again

    def rewind(self) -> None:
        """The next trial begins with the first batch."""
        for each in self._trainers:
            each.position = 0

    def step(self) -> None:
        """A step was made on what was served."""
        self._since_step = 0

    def next(self, iterator: ServedIterator, setting: Setting | None, *, again: bool) -> Any:
        """The next batch for the user's loop; ``again``: in another run of the script."""
        facts = self._known(iterator.facts) if again else iterator.facts
        if facts is not None and facts.kept and facts in self._trainers:
            return self._replay(facts, setting)
        if iterator.exhausted or (iterator.served >= EVALUATION_BATCHES and not again):
            raise StopIteration
        return self._watch.loaders.fetch(iterator.facts, iterator.inner)

    def _replay(self, facts: LoaderFacts, setting: Setting | None) -> Any:
        self._since_step += 1
        if self._since_step > max(MOST_WITHOUT_STEP, 2 * len(facts.kept)):
            self._since_step = 0
            raise StopIteration
        self._watch.loaders.current = facts
        chosen = setting.batches if setting is not None else None
        return facts.replay() if chosen is None else facts.replay(chosen[facts.position % len(chosen)])

    def _known(self, facts: LoaderFacts) -> LoaderFacts | None:
        """The loader of the script's first run whose place this one of a later run has taken.

        It is known by where it was built and how long it is, and among several such by its turn.
        """
        if facts in self._first:
            return facts
        if id(facts) not in self._successors:
            alike = (each for each in self._unclaimed if _build(each) == _build(facts))
            found = self._successors[id(facts)] = next(alike, None)
            if found is not None:
                self._unclaimed.remove(found)
        return self._successors[id(facts)]


def _build(facts: LoaderFacts) -> tuple[object, ...]:
    try:
        length = len(facts.loader)
    except TypeError:
        length = -1
    return facts.location, type(facts.loader), length
