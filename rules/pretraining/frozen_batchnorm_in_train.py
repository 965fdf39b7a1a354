from collections.abc import Iterator

from dnndoctor.changes import Change, InsertAfter, Safety
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import FrozenNorms, Modes, Origins
from dnndoctor.rule import rule
from dnndoctor.rules.naming import attribute

MOST_LINES = 4


@rule(
    "PRE104",
    Severity.WARNING,
    practice="pretraining",
    not_for={
        "gan": "in adversarial training each network stands still while the other one learns",
        "reinforcement": "in reinforcement learning a second network follows the first with a delay",
    },
)
def frozen_batchnorm_in_train(origins: Origins, modes: Modes | None, *, fewest: int = 1) -> Iterator[Finding]:
    """A frozen part's batch norm is in training mode, and its statistics follow the batches.

    What it measures
        Batch norms that no optimizer changes, behind layers of which the same is true, and whose weights stayed as they
        were; of these, the running means before the first step and after the watched ones.

    Why it matters
        The features of a frozen part are meant to stay. In training mode they depend on who else is in the batch, and
        the statistics that were learned with the weights are overwritten: it is no longer the part that was trained.

    How to fix it
        Put the frozen part into evaluation mode after every ``model.train()``, which switches all parts.

    When to ignore it
        The statistics are adapted to new data on purpose, and nothing else.

    References
        PyTorch documentation, BatchNorm2d: in training mode the running estimates are kept up, trainable or not.
        Li et al. 2016, Revisiting Batch Normalization for Practical Domain Adaptation, section 3: on purpose.
        fewest: 1, PyTorch documentation: one norm that moves changes what all layers behind it are given.
    """
    if modes is not None and not modes.mode_layers:
        raise NotApplicable("the model has neither dropout nor batch norm")
    for each in origins.frozen_norms:
        if len(each.moving) < fewest:
            continue
        names = ", ".join(each.moving[:3]) + (f" and {len(each.moving) - 3} more" if len(each.moving) > 3 else "")
        yield Finding(
            f"{len(each.moving)} frozen batch norm{'s' if len(each.moving) > 1 else ''} of {each.model} still "
            f"update{'s' if len(each.moving) == 1 else ''} the running statistics in every step: {names}",
            location=each.location,
            subject=each.model,
            evidence=(Evidence("frozen batch norms in training mode", len(each.moving), 0),),
            fix=Fix(
                "put the frozen part into evaluation mode after model.train()",
                f"{len(each.moving)} of its norms keep the statistics that they were trained with.",
                "model.train()\nmodel.backbone.eval()  # the frozen part",
                _still(each),
            ),
        )


def _still(each: FrozenNorms) -> tuple[Change, ...]:
    """Behind the call of ``train``, the norms by their own names."""
    names = [name.removeprefix(f"{each.model}.") for name in each.moving]
    if each.location is None or len(names) > MOST_LINES:
        return ()
    code = "\n".join(f"{attribute(name, '{0}')}.eval()" for name in names)
    return (InsertAfter(code, at=each.location, of=("train",), method=True, safety=Safety.SAFE),)
