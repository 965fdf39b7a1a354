from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotExamined, Severity
from dnndoctor.measurements import TrainingData
from dnndoctor.rule import rule


@rule("DAT101", Severity.ERROR, practice="training-data")
def non_finite_data(data: TrainingData, *, allowed_share: float = 0.0) -> Iterator[Finding]:
    """NaN or infinite values enter training in the inputs or the targets.

    What it measures
        Every entry of every input and target batch of the watched steps is tested for NaN and infinity. A tensor
        is reported with the share of such entries and the positions of the first samples that hold one.

    Why it matters
        One NaN in a batch makes the loss NaN, the gradient NaN and, with one update, every weight NaN. Nothing
        that is learned before it survives.

    How to fix it
        Drop the samples, or fill the gaps with a value computed on the training split, before batches are made.

    When to ignore it
        The model replaces such entries itself. Where its output stays finite, the rule is silent already.

    References
        IEEE 754-2019, section 6.2: an operation on NaN gives NaN.
        allowed_share: 0.0, IEEE 754-2019, section 6.2: a single entry is enough.
    """
    tensors = [each for each in data.tensors if each.kind == "float"]
    if tensors and not any(each.entries for each in tensors):
        raise NotExamined("no entry of the inputs or targets was looked at")
    for tensor in tensors:
        share = tensor.non_finite / tensor.entries if tensor.entries else 0.0
        if tensor.masked or share <= allowed_share:
            continue
        first = ", ".join(str(index) for index in tensor.bad_samples[:5])
        where = f", first in samples {first} of the batch of step {tensor.bad_step}" if first else ""
        name = "y" if tensor.role == "target" else "x"
        yield Finding(
            f"{tensor.non_finite} of {tensor.entries} entries of the {tensor.name} are NaN or infinite{where}",
            location=tensor.location,
            subject=tensor.name,
            evidence=(Evidence("non-finite entries", tensor.non_finite, 0), Evidence("share", share, 0.0)),
            fix=Fix(
                "drop or fill the samples that are not finite",
                f"A share of {share:.2g} of the entries is enough to turn the loss and then every weight into NaN.",
                f"keep = torch.isfinite({name}).flatten(1).all(1) if {name}.ndim > 1 else torch.isfinite({name})\n"
                "x, y = x[keep], y[keep]",
            ),
        )
