"""Where in the script a finding on the model as a whole belongs."""

from dnndoctor.findings import Location
from dnndoctor.measurements import TrainingLoop


def largest_model(loop: TrainingLoop | None) -> Location | None:
    """Where the model was built that has the most trained parameters."""
    models = loop.models if loop else ()
    return max(models, key=lambda each: each.trainable).location if models else None
