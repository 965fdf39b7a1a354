from collections.abc import Iterator

from dnndoctor.changes import Change, Rename, SetArgument
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Groups, Optimizer, Optimizers
from dnndoctor.rule import rule

WITH_A_TWIN = {"Adam": "AdamW"}


@rule("OPT107", Severity.INFO, practice="learning-method")
def coupled_decay_in_adam(groups: Groups, optimizers: Optimizers, *, least: float = 0.0) -> Iterator[Finding]:
    """Adam's weight decay is part of the gradient, and is divided by the gradient's own size.

    What it measures
        Optimizers of Adam's kind with a weight decay that is not decoupled.

    Why it matters
        Weights with large gradients are decayed little and those with small ones much: the opposite of what is wanted,
        and the best decay then depends on the rate.

    How to fix it
        AdamW, with a decay of about 0.01 to start from: its decay is another number than Adam's.

    When to ignore it
        A published result with Adam and L2 is to be repeated.

    References
        Loshchilov and Hutter 2019, Decoupled Weight Decay Regularization, section 2.
        least: 0.0, Loshchilov and Hutter 2019: any decay that is not zero.
    """
    kind = ("Adam", "NAdam", "RAdam", "Adamax")
    if not any(each.name in kind for each in optimizers.all):
        raise NotApplicable("no optimizer of Adam's kind with a coupled decay is used")
    told = set()
    for held, optimizer in zip(groups.optimizers, optimizers.all, strict=False):
        decay = max((group.weight_decay for group in held.groups), default=0.0)
        if optimizer.name not in kind or decay <= least or held.decoupled or not held.library:
            continue
        if optimizer.location in told:  # built anew for each trial
            continue
        told.add(optimizer.location)
        twin = WITH_A_TWIN.get(optimizer.name)
        code = f"torch.optim.{twin or optimizer.name}(model.parameters(), lr={optimizer.peak_rate:g}, weight_decay=0.01"
        yield Finding(
            f"the weight decay of {decay:g} is part of {optimizer.name}'s gradient, and scaled away with it",
            location=held.decay_location or optimizer.location,
            subject=optimizer.name,
            evidence=(Evidence("coupled weight decay", decay, 0.0),),
            fix=Fix(
                f"use {twin}" if twin else "decouple the decay",
                "All weights then decay alike, whatever their gradients.",
                f"{code})" if twin else f"{code}, decoupled_weight_decay=True)",
                _decoupled(optimizer, twin),
            ),
        )


def _decoupled(optimizer: Optimizer, twin: str | None) -> tuple[Change, ...]:
    """The decay is another number then; its usual one stands in for it."""
    at, of = optimizer.location, (optimizer.name,)
    if at is None or (twin is None and optimizer.name not in ("NAdam", "RAdam")):
        return ()
    if twin is None:
        return (SetArgument("decoupled_weight_decay", "True", at=at, of=of),)
    return (SetArgument("weight_decay", "0.01", position=4, at=at, of=of), Rename(twin, at=at, of=of))
