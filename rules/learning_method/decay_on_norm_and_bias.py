from collections.abc import Iterator

from dnndoctor.changes import Change, InsertBefore, SetArgument
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Groups, Optimizer, OptimizerGroups, Optimizers, Weights
from dnndoctor.rule import rule
from dnndoctor.rules.naming import listed


@rule("OPT106", Severity.INFO, practice="learning-method")
def decay_on_norm_and_bias(
    groups: Groups, weights: Weights, optimizers: Optimizers, *, least: float = 1e-3
) -> Iterator[Finding]:
    """Weight decay also pulls norm weights and biases to zero.

    What it measures
        The groups with a weight decay, and which of their parameters are norm weights or biases. A group of nothing
        else was made on purpose.

    Why it matters
        A bias or a norm's scale does not make a network more complex; pulled to zero it fits a little worse.

    How to fix it
        Two groups: weights with the decay, everything of one dimension without.

    When to ignore it
        It rarely costs much. A small decay is not worth a second group.

    References
        He et al. 2019, Bag of Tricks for Image Classification, section 3.1, "No bias decay".
        least: 0.001, this project's choice: at smaller decays nothing can be measured.
    """
    if all(group.weight_decay == 0 for each in groups.optimizers for group in each.groups):
        raise NotApplicable("no weight decay is used")
    kinds = {each.name: each.kind for each in weights.parameters}
    told = set()
    for held, optimizer in zip(groups.optimizers, optimizers.all, strict=False):
        found = []
        for group in held.groups:
            small = [name for name in group.names if kinds.get(name) in ("norm", "bias")]
            if group.weight_decay >= least and len(small) < len(group.names):
                found += small
        if not any(kinds[name] == "norm" for name in found) or optimizer.location in told:
            continue
        told.add(optimizer.location)
        decay = max(group.weight_decay for group in held.groups)
        yield Finding(
            f"weight decay {decay:g} is applied to {len(found)} norm weights and biases: {listed(found)}",
            location=held.decay_location or optimizer.location,
            subject=optimizer.name,
            evidence=(Evidence("norm weights and biases with decay", len(found), 0),),
            fix=Fix(
                "two groups",
                "The decay then acts on what makes the network complex, and on nothing else.",
                "wide = [p for p in model.parameters() if p.dim() > 1]\n"
                "flat = [p for p in model.parameters() if p.dim() <= 1]\n"
                f"optimizer = torch.optim.{optimizer.name}([{{'params': wide, 'weight_decay': {decay:g}}}, "
                f"{{'params': flat, 'weight_decay': 0.0}}], lr={optimizer.peak_rate:g})",
                _two_groups(held, optimizer) if _holds_all(weights, optimizers) else (),
            ),
        )


def _holds_all(weights: Weights, optimizers: Optimizers) -> bool:
    """Whether one optimizer holds everything that is trained."""
    return len(optimizers.all) == 1 and all(e.optimizer is not None for e in weights.parameters if e.trainable)


def _two_groups(held: OptimizerGroups, optimizer: Optimizer) -> tuple[Change, ...]:
    if len(held.groups) != 1 or optimizer.location is None:
        return ()
    groups = (
        "decayed = [p for p in model.parameters() if p.dim() > 1]\n"
        "undecayed = [p for p in model.parameters() if p.dim() <= 1]"
    )
    given = '[{"params": decayed}, {"params": undecayed, "weight_decay": 0.0}]'
    at, of = optimizer.location, (optimizer.name,)
    return (InsertBefore(groups, at=at), SetArgument("params", given, position=0, at=at, of=of))
