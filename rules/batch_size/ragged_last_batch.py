from collections.abc import Iterator

from dnndoctor.changes import SetArgument
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Epochs
from dnndoctor.rule import rule


@rule("BAT104", Severity.WARNING, practice="batch-size")
def ragged_last_batch(
    epochs: Epochs, *, part: float = 0.25, few_batches: int = 10, alone: int = 1
) -> Iterator[Finding]:
    """The last batch of an epoch is a single sample under batch norm, or far smaller than the others.

    What it measures
        Samples of an epoch modulo the batch size of the loader that is trained on; whether a batch norm in training
        mode takes the batch. A small last batch without batch norm is a remark, and only in epochs of a few batches.

    Why it matters
        Batch norm over one sample subtracts the sample from itself: over features it raises an error at the end of
        the epoch, over images it normalises by one image and moves the running statistics towards it. Under a mean
        loss the samples of a small batch weigh more than all others.

    How to fix it
        Drop the last batch; a shuffled loader leaves out other samples in each epoch.

    When to ignore it
        The batch size is a fact of the data.

    References
        Ioffe and Szegedy 2015, Batch Normalization, section 3: statistics over the mini-batch.
        part: 0.25, this project's catalogue: of a batch.
        few_batches: 10, this project's choice: full batches, beyond which the last one's weight is under a tenth.
        alone: 1, PyTorch, torch.nn.BatchNorm1d: more than one value per channel is expected in training.
    """
    training = [each for each in epochs.role("training") if each.batch_size > 1]
    if not epochs.role("training"):
        raise NotExamined("no loader with a known length trains")
    if not training or all(each.drop_last for each in training):
        raise NotApplicable("the last batch is dropped" if training else "every batch is a single sample")
    for each in training:
        if each.drop_last or each.last == each.batch_size or not each.batches:
            continue
        normed = epochs.batch_norm is not None and each.last <= alone
        if not normed and (each.last >= part * each.batch_size or each.batches > few_batches):
            continue
        raises = normed and epochs.batch_norm_values == 1
        what = f"is a single sample under the batch norm {epochs.batch_norm}" if normed else "is far smaller"
        effect = ", which raises an error" if raises else ""
        yield Finding(
            f"{each.samples} samples in batches of {each.batch_size} leave {each.last}: the last batch of an epoch "
            f"{what}{effect}",
            location=each.location,
            evidence=(Evidence("samples in the last batch", each.last, each.batch_size),),
            severity=Severity.WARNING if normed else Severity.INFO,
            fix=Fix(
                "drop the last batch",
                f"Leaves out {each.last} of {each.samples} samples, others in each epoch.",
                f"DataLoader(dataset, batch_size={each.batch_size}, shuffle=True, drop_last=True)",
                (SetArgument("drop_last", "True", position=8, unless=("batch_sampler",), of=("DataLoader",)),),
            ),
        )
