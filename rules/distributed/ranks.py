"""What the rules on ranks have in common."""

from dnndoctor.findings import Location, NotApplicable
from dnndoctor.measurements import Loaders, Ranks, TrainingLoop
from dnndoctor.rules.places import largest_model


def several(ranks: Ranks) -> None:
    """Raises NotApplicable in a world of one."""
    if ranks.world < 2:
        raise NotApplicable("one process trains")


def model_location(loop: TrainingLoop | None, ranks: Ranks) -> Location | None:
    """Where the model was built that has the most trained parameters."""
    return largest_model(loop) or ranks.model


def data_location(loaders: Loaders | None, ranks: Ranks) -> Location | None:
    """Where the training batches come from."""
    training = loaders.training if loaders else None
    return training.location if training else ranks.data
