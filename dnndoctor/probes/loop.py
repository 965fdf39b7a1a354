"""What an experiment may know of the user's loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from dnndoctor.observe.steps import OptimizerFacts
from dnndoctor.observe.watch import Watch
from dnndoctor.probes.snapshot import RandomState


class Loop:
    """The loop as it was watched. ``results``: the facts of the experiments before, by name."""

    def __init__(self, watch: Watch, step_seconds: float, results: Mapping[str, dict[str, Any]]) -> None:
        self.watch = watch
        self.step_seconds = step_seconds
        self.results = results

    @property
    def lead(self) -> OptimizerFacts:
        """The optimizer whose steps are counted."""
        return self.watch.optimizers[0]

    @property
    def user_rate(self) -> float:
        """The largest rate of the watched steps."""
        return self.lead.peak_rate

    @property
    def best_rate(self) -> float | None:
        """The best of the learning-rate experiment, where there was one and something learned in it."""
        sweep = self.results.get("learning-rate", {})
        return float(sweep["best_rate"]) if "best_rate" in sweep else None

    @property
    def better_rate(self) -> float:
        """The best rate, where it was clearly better than the user's; else the user's."""
        sweep = self.results.get("learning-rate", {})
        if "best_rate" not in sweep or not sweep["best_score"] < sweep["user_score"] - 2 * sweep["noise"]:
            return self.user_rate
        return float(sweep["best_rate"])

    @property
    def kept(self) -> int:
        """Batches that can be served again, of each loader that was trained on; 0 where there is no loader."""
        return min((len(each.kept) for each in self.watch.loaders.training()), default=0)

    @property
    def one_batch(self) -> bool:
        """Every step takes the same samples: whole data at once, mostly."""
        return self.watch.same_batch_again

    @property
    def batch_size(self) -> int:
        """Samples per step at the model, median; 0 if not seen."""
        return self.watch.typical_batch()

    def roots(self) -> list[nn.Module]:
        """The outermost modules that hold parameters of an optimizer's."""
        held = {id(p) for each in self.watch.optimizers for p in each.parameters()}
        every = {id(each): each for each in (*self.watch.modules.tops, *self.watch.root_inputs)}
        inner = {id(part) for each in every.values() for part in each.modules() if part is not each}
        tops = [each for key, each in every.items() if key not in inner]
        return [each for each in tops if any(id(p) in held for p in each.parameters())]

    def modules(self) -> Iterator[nn.Module]:
        """All modules of the roots, each once."""
        seen: set[int] = set()
        for root in self.roots():
            for module in root.modules():
                if id(module) not in seen:
                    seen.add(id(module))
                    yield module

    def parameters(self) -> list[torch.Tensor]:
        """The lead optimizer's."""
        return self.lead.parameters()

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """Inside, the model may be called without anybody noting it; random streams are put back."""
        watch, random = self.watch, RandomState()
        observing, inside, watch.observing, watch.inside_backward = watch.observing, watch.inside_backward, False, True
        watch.look(active=False)
        try:
            yield
        finally:
            watch.observing, watch.inside_backward = observing, inside
            random.restore()

    # why something cannot be tried here

    def no_trials(self) -> str | None:
        """Why nothing can be tried in this loop."""
        facts = self.lead
        if facts.rebuilt:
            return "the optimizer is built anew on the way: its state cannot be rolled back"
        if facts.evaluations > 1 or isinstance(facts.optimizer, torch.optim.LBFGS):
            return "the optimizer evaluates a closure several times in a step and searches its own step length"
        if len(self.watch.optimizers) > 1 and facts.backwards_total >= 2 * facts.steps:
            return "several optimizers take turns, each with a loss of its own: no one loss says what is better"
        if not self.watch.backward_seen:
            return "no loss was seen: nothing calls backward"
        return None

    def no_rates(self) -> str | None:
        """Why rates cannot be compared in this loop."""
        facts = self.lead
        if facts.by_hand and not self.watch.by_hand.plain:
            return "the updates are made by hand, and are not the gradient times one learning rate"
        if not facts.rebuilt and facts.peak_rate <= 0:
            return f"{type(facts.optimizer).__name__} has no learning rate above zero in the watched steps"
        return self.no_trials()

    def no_served_batches(self) -> str | None:
        """Why it cannot be decided here which batches are trained on."""
        if self.kept or self.one_batch:
            return None
        if self.watch.loaders.training():
            return "the batches were too large to keep"
        return "the loop makes its batches by hand: none can be served again"
