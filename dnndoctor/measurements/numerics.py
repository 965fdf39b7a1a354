"""Where numbers stopped being finite."""

from __future__ import annotations

from dataclasses import dataclass

from dnndoctor.findings import Location


@dataclass(frozen=True, slots=True)
class NonFinite:
    """The first value that is NaN or infinite.

    ``phase``: "data" (it came in with the batch), "forward", "backward", "update". ``operation``: the function
    that made it ("log", "div", "linear", ...), ``module`` the path it ran in. ``input_low``/``input_high``: range
    of that operation's finite input. ``kind``: "nan" or "inf". ``scaler_skipped``: a GradScaler skipped the step.
    ``loss_before``: the last finite losses, oldest first. ``growing``: activations or losses grew steadily until then.
    """

    step: int
    phase: str
    operation: str
    module: str
    kind: str
    location: Location | None
    input_low: float | None = None
    input_high: float | None = None
    scaler_skipped: bool = False
    growing: bool = False
    loss_before: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Finiteness:
    """``checked_steps``: steps whose forward values and gradients were checked; ``first``: None if all were finite.

    ``intended``: non-finite values that do no harm (masks of -inf before a softmax) are not counted.
    """

    checked_steps: int
    first: NonFinite | None = None
