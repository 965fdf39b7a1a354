"""The batches that loaders gave: which samples of the dataset they are, and how to get them again."""

from __future__ import annotations

import functools
import operator
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from torch.utils.data.dataloader import _BaseDataLoaderIter

from dnndoctor.recorder.black_box.affordable import EVERYTHING, SAMPLES, STREAMS
from dnndoctor.recorder.black_box.samples import Sample, samples
from dnndoctor.recorder.black_box.streams import Streams
from dnndoctor.subject.installed import Installed

ASKED = "_dnndoctor_asked"
MOST_AHEAD = 4096  # batches that workers were asked for and that have not come


class Host(Protocol):
    """What follows the training."""

    @property
    def following(self) -> int | None:
        """How closely, as ``affordable`` has it; None where there is nothing to follow."""

    @property
    def step(self) -> int:
        """The optimizer step that runs, from 0."""

    def streams(self) -> Streams:
        """As they are."""

    def pay(self, call: Callable[..., None], *values: Any) -> None:
        """Do it, count what it costs, and let none of our bugs out."""

    def do(self, call: Callable[..., None], *values: Any) -> None:
        """As ``pay``, for what costs less than to count that."""


class Fetched(NamedTuple):
    """One batch; ``step``: that ran as it was given. ``indices``: None where the loader has none to tell.

    ``before``: the random streams as it was about to be fetched, None where that was done in another process;
    ``after``: as it was given. ``batch``: itself, where batches are kept.
    """

    step: int
    indices: list[Any] | None
    before: Streams | None
    after: Streams | None
    samples: tuple[Sample, ...]
    batch: Any = None


class Fetches:
    """Follows all loaders of this process. ``keep``: how many batches themselves are held on to."""

    def __init__(self, host: Host, length: int, keep: int) -> None:
        self.recent: deque[Fetched] = deque(maxlen=length)
        self._host, self._keep = host, keep

    def install(self, installed: Installed) -> None:
        """Hear of every batch."""
        following, asking, host = _BaseDataLoaderIter.__next__, _BaseDataLoaderIter._next_index, self._host

        @functools.wraps(asking)
        def asked(iterator: Any) -> Any:
            index = asking(iterator)  # type: ignore[no-untyped-call]
            level = host.following
            if level is not None:
                (host.pay if level else host.do)(self.ask, iterator, index, level)
            return index

        @functools.wraps(following)
        def given(iterator: Any) -> Any:
            batch = following(iterator)
            level = host.following
            if level is not None:
                (host.pay if level else host.do)(self.give, iterator, batch, level)
            return batch

        installed.patch(_BaseDataLoaderIter, "_next_index", asked)
        installed.patch(_BaseDataLoaderIter, "__next__", given)

    def ask(self, iterator: Any, index: Any, level: int) -> None:
        """The loader is about to fetch these samples, here or in a worker."""
        listed = list(index) if isinstance(index, (list, tuple)) else [index]
        before = self._host.streams() if level == EVERYTHING and iterator._num_workers == 0 else None
        ahead = getattr(iterator, ASKED, None)
        if ahead is None:
            setattr(iterator, ASKED, deque([(listed, before)], maxlen=MOST_AHEAD))
        else:
            ahead.append((listed, before))

    def give(self, iterator: Any, batch: Any, level: int) -> None:
        """The loader gives this batch; the first that was asked for is the first that comes."""
        ahead = getattr(iterator, ASKED, None)
        known, before = ahead.popleft() if ahead else (None, None)
        if known and (known[0] is None or not getattr(iterator, "_in_order", True)):
            known = None
        after = self._host.streams() if level >= STREAMS else None
        taken = samples(batch) if level >= SAMPLES else ()
        self.recent.append(Fetched(self._host.step, known, before, after, taken, batch if self._keep else None))
        if self._keep and len(self.recent) > self._keep:
            self.recent[-1 - self._keep] = self.recent[-1 - self._keep]._replace(batch=None)


def plain_indices(indices: list[Any] | None) -> list[Any] | None:
    """As integers where they are any, else as text."""
    return None if indices is None else [_plain(each) for each in indices]


def _plain(index: Any) -> int | str | list[Any]:
    if isinstance(index, (list, tuple)):
        return [_plain(each) for each in index]
    try:
        return operator.index(index)
    except TypeError:
        return str(index)
