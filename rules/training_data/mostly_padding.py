from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import DataScan
from dnndoctor.rule import rule


@rule("DAT114", Severity.WARNING, practice="training-data")
def mostly_padding(scan: DataScan, *, share: float = 0.5, wasteful: float = 0.8, fewest: int = 32) -> Iterator[Finding]:
    """Most of the token positions that the model computes are padding.

    What it measures
        The share of positions of the training sequences that hold the one value which fills up their ends and occurs
        nowhere else. A warning where nothing tells the model which positions are padding (no mask, no ``padding_idx``,
        no packed sequences), a remark where only the time is lost.

    Why it matters
        The time of a step goes into positions that hold nothing. Where they are not masked, averages over positions
        and the last state of a recurrent network are those of padding.

    How to fix it
        Put sequences of similar length into one batch and pad each batch to its own longest; mask what is left.

    When to ignore it
        All inputs must have one length, and the padding is masked.

    References
        Krell et al. 2021, Efficient Sequence Packing without Cross-contamination, section 1: up to half is padding.
        share: 0.5, Krell et al. 2021, table 1: half of the tokens of BERT's pretraining on Wikipedia is padding.
        wasteful: 0.8, this project's choice: masked padding from there on makes a step five times as long.
        fewest: 32, this project's choice: sequences.
    """
    sets = [each for each in scan.sets if each.role == "training" and each.padding is not None]
    if not sets:
        raise NotApplicable("the inputs are no sequences of tokens")
    if max(each.scanned for each in sets) < fewest:
        raise NotExamined(f"only {max(each.scanned for each in sets)} sequences were read")
    for each in sets:
        padding = each.padding
        if padding is None or padding.share <= share or padding.lengths < 3 or each.scanned < fewest:
            continue
        masked = bool(scan.padding_known)
        known = "which is masked" if masked else "and nothing tells the model so"
        yield Finding(
            f"{padding.share:.0%} of the token positions hold the padding value {padding.value:g}, {known}",
            location=each.location,
            subject=each.dataset or None,
            evidence=(Evidence("share of padding", padding.share, share),),
            severity=Severity.INFO if masked and padding.share <= wasteful else Severity.WARNING,
            fix=Fix(
                "pad each batch to its own longest sequence, and mask the padding",
                f"Up to {padding.share:.0%} of each step's work is done for positions that hold nothing.",
                "x = nn.utils.rnn.pad_sequence(sequences, batch_first=True)  # in collate_fn, of similar lengths\n"
                "mask = x != 0",
            ),
        )
