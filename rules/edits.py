"""Changes of the source that several rules ask for."""

from collections.abc import Mapping

from dnndoctor.changes import Change, FirstOf, Rename, Safety, Unwrap
from dnndoctor.findings import Location
from dnndoctor.measurements import Fed

# What is called, as a function or as a layer, for the operation that a recording names.
CALLED: Mapping[str, tuple[str, ...]] = {
    "relu": ("relu", "ReLU"),
    "relu6": ("relu6", "ReLU6"),
    "softplus": ("softplus", "Softplus"),
    "elu": ("elu", "ELU"),
    "tanh": ("tanh", "Tanh"),
    "hardtanh": ("hardtanh", "Hardtanh"),
    "softsign": ("softsign", "Softsign"),
    "logsigmoid": ("logsigmoid", "LogSigmoid"),
    "softmax": ("softmax", "Softmax"),
    "log_softmax": ("log_softmax", "LogSoftmax"),
    "sigmoid": ("sigmoid", "Sigmoid", "expit"),
    "hardsigmoid": ("hardsigmoid", "Hardsigmoid"),
}
LAYERS: Mapping[str, str] = {
    "cross_entropy": "CrossEntropyLoss",
    "nll_loss": "NLLLoss",
    "binary_cross_entropy": "BCELoss",
    "binary_cross_entropy_with_logits": "BCEWithLogitsLoss",
    "mse_loss": "MSELoss",
    "l1_loss": "L1Loss",
    "smooth_l1_loss": "SmoothL1Loss",
    "huber_loss": "HuberLoss",
    "softmax": "Softmax",
    "log_softmax": "LogSoftmax",
    "sigmoid": "Sigmoid",
    "relu": "ReLU",
}


def take_away(fed: Fed, safety: Safety = Safety.UNSAFE) -> tuple[Change, ...]:
    """The operation leaves the way into the loss; nothing where it has no place or no known name."""
    if fed.location is None or fed.name not in CALLED:
        return ()
    return (Unwrap(at=fed.location, of=CALLED[fed.name], safety=safety, method=True),)


def exchange(
    function: str, other: str, at: Location | None = None, safety: Safety = Safety.UNSAFE
) -> tuple[Change, ...]:
    """One function, or its layer, becomes another one that takes the same arguments."""
    calls = (Rename(other, at=at, of=(function,), safety=safety),)
    layers = (Rename(LAYERS[other], at=at, of=(LAYERS[function],), safety=safety),)
    return (FirstOf((calls, layers), at=at, safety=safety),)
