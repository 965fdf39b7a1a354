from collections.abc import Iterator

from dnndoctor.changes import SetArgument
from dnndoctor.findings import Evidence, Finding, Fix, Location, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Dependence, Mixing, Passage
from dnndoctor.rule import rule


@rule(
    "LOP105",
    Severity.ERROR,
    practice="training-loop",
    not_for={"contrastive": "in contrastive training the samples of a batch are compared with each other"},
)
def batch_entries_mixed(dependence: Dependence, *, smallest: float = 1e-3) -> Iterator[Finding]:
    """The output for one sample depends on the other samples of its batch.

    What it measures
        One sample of a recorded batch is put in another's place, in evaluation mode and with the same random draws:
        which outputs change but its own, and through which operation the change gets there. Only operations that never
        go over a batch on purpose count: a reshape that tears samples apart, a softmax over the batch, a recurrent or
        attention layer that takes the batch for time.

    Why it matters
        A sample is judged by its neighbours, which are others in every epoch and none at all in use. The model learns
        next to nothing of what a single sample shows, and no error is raised.

    How to fix it
        Change the order of axes with ``transpose`` or ``permute``, never with ``view`` or ``reshape``; give softmax its
        axis; tell a recurrent or attention layer ``batch_first=True``.

    When to ignore it
        Samples are meant to look at each other inside of the model. Batch statistics, products of all samples with all
        and message passing in a graph are left out already.

    References
        Karpathy 2019, A Recipe for Training Neural Networks: use backprop to chart dependencies.
        PyTorch documentation, Tensor.view and torch.nn.LSTM: the default layout is (time, batch, features).
        smallest: 0.001, this project's choice: effect on others over that on the sample itself; rounding gives 0.
    """
    if not dependence.mixings:
        raise NotExamined("no output with as many entries as the batch was seen")
    guards = []
    found: set[Location | None] = set()  # a target network mixes where its original does
    for each in dependence.mixings:
        if each.passage is None or each.effect < smallest:
            continue
        guard = _meant(each, each.passage)
        if guard is not None:
            guards.append(guard)
        elif _place(each.passage) not in found:
            found.add(_place(each.passage))
            yield _finding(each, each.passage)
    if guards and len(guards) == len(dependence.mixings):
        raise NotApplicable(guards[0])


def _meant(mixing: Mixing, passage: Passage) -> str | None:
    """Why this mixing may be meant, or None."""
    shape = mixing.shape
    certain = mixing.loaded and mixing.shuffled
    if passage.kind in ("other", "unknown"):
        return f"samples are brought together by {passage.operation or 'an operation'}, which may be meant"
    if not mixing.loaded and mixing.clean_elsewhere:
        return "another axis keeps its entries apart: that one may be the batch"
    if not mixing.loaded and len(shape) > 1 and shape[0] == shape[1]:
        return f"two axes of {shape[0]} entries cannot be told apart"
    if not mixing.loaded and passage.kind in ("view", "normalizing") and len(shape) < 3:
        return "the rows of one table may belong together"
    if not mixing.loaded and passage.kind in ("recurrent", "attention") and 2 * mixing.others < mixing.entries:
        return f"only {mixing.others} of {mixing.entries} entries change, which may be one sequence"
    if passage.alone and (passage.kind == "attention" or not certain) and passage.kind in ("recurrent", "attention"):
        return f"{passage.layer_class or passage.operation} is given one single sequence"
    if passage.kind == "layer" and not certain:
        return f"{passage.operation} goes over the first axis, which may be time"
    return None


def _finding(mixing: Mixing, passage: Passage) -> Finding:
    named = f"{passage.layer_class} {passage.layer}" if passage.layer else passage.operation
    return Finding(
        f"with one sample of {mixing.entries} exchanged, the output of {mixing.others} others changes, up to "
        f"{mixing.effect:.2g} times as much as its own: {_how(passage, named)}",
        location=_place(passage),
        subject=passage.layer or mixing.model,
        evidence=(Evidence("other samples that change", mixing.others, 0), Evidence("effect", mixing.effect, 0)),
        fix=_fix(mixing, passage),
    )


def _how(passage: Passage, named: str) -> str:
    if passage.kind == "view":
        return f"{named} tears the samples apart"
    if passage.kind == "normalizing":
        return f"{named} goes over the batch"
    return f"{named} takes the batch for {'time' if passage.kind != 'layer' else 'features'}"


def _place(passage: Passage) -> Location | None:
    layout = passage.kind in ("recurrent", "attention") and passage.batch_first is False
    return (passage.layer_location if layout else None) or passage.location


def _fix(mixing: Mixing, passage: Passage) -> Fix:
    gain = f"All {mixing.entries} outputs then depend on their own sample alone."
    if passage.kind == "view":
        return Fix(f"change the axes without {passage.operation}", gain, "x = x.transpose(0, 1)  # or permute")
    if passage.kind == "normalizing":
        return Fix("normalize along the axis of the features", gain, f"{passage.operation}(x, dim=-1)")
    if passage.batch_first is False:
        return Fix(
            "tell the layer that the batch comes first",
            gain,
            f"nn.{passage.layer_class}(..., batch_first=True)",
            (SetArgument("batch_first", "True", of=(passage.layer_class,), at=passage.layer_location),)
            if passage.layer_location is not None
            else (),
        )
    return Fix("leave the batch in front", gain, "x = x.transpose(0, 1)")
