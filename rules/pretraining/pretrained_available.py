from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Loaders, Origins
from dnndoctor.rule import rule

CALL = {
    "torchvision": 'weights="DEFAULT"  # in the call that builds the model',
    "timm": "pretrained=True  # in timm.create_model",
    "transformers": 'from_pretrained("...")  # in place of the constructor',
}


@rule("PRE101", Severity.INFO, practice="pretraining")
def pretrained_available(
    origins: Origins, loaders: Loaders, *, few: int = 100_000, smallest: int = 1_000_000
) -> Iterator[Finding]:
    """A published architecture starts from random weights on little data, though trained ones exist.

    What it measures
        The class of every model: whether torchvision, timm or transformers defines it, whether any of its weights came
        from a checkpoint, and the samples of the training set.

    Why it matters
        The first layers learn much the same on every data set of a kind. On little data they are learned badly, and
        weights learned on millions of samples start from a lower loss and often end at a better one.

    How to fix it
        Build the model with its published weights, put a new head on it, and train that first or at a higher rate.

    When to ignore it
        The data are of another kind than what the weights were learned on, or weights from elsewhere must not be used.

    References
        Yosinski et al. 2014, How Transferable Are Features in Deep Neural Networks, section 4.
        Kornblith et al. 2019, Do Better ImageNet Models Transfer Better: the gain shrinks as the data grow.
        few: 100000, this project's choice; He et al. 2019, Rethinking ImageNet Pre-training, saw scratch catch up on
        118,000 images of detection and fall behind on 1,000.
        smallest: 1000000, the smallest published torchvision classifier has 1.24 million parameters (SqueezeNet 1.1).
    """
    published = [each for each in origins.architectures if each.trained and each.parameters >= smallest]
    if not published:
        raise NotApplicable("no architecture with published weights is trained")
    if loaders.dataset_length is None:
        raise NotExamined("the number of training samples is not known")
    for each in published:
        if each.loaded or loaders.dataset_length >= few:
            continue
        yield Finding(
            f"{each.name} of {each.package} is trained from random weights on {loaders.dataset_length:,} samples; "
            "trained weights are published for it",
            location=each.location,
            subject=each.name,
            evidence=(Evidence("training samples", loaders.dataset_length, few),),
            fix=Fix(
                "start from published weights",
                f"{each.parameters:,} parameters need not be learned from {loaders.dataset_length:,} samples alone.",
                CALL[each.package],
            ),
        )
