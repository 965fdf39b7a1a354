import math
from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotExamined, Severity
from dnndoctor.measurements import DataScan
from dnndoctor.rule import rule


@rule(
    "DAT104",
    Severity.WARNING,
    practice="training-data",
    not_for={
        "gan": "in adversarial training labels name real and generated samples",
        "reinforcement": "in reinforcement learning there are no labels",
        "contrastive": "in contrastive training samples are each other's labels",
    },
)
def suspect_labels(
    scan: DataScan,
    *,
    share: float = 0.1,
    most: float = 0.42,
    agreement: float = 0.9,
    among_sure: float = 0.7,
    skill: float = 0.2,
    dense: float = 10.0,
    sparse_agreement: float = 0.95,
) -> Iterator[Finding]:
    """Many labels contradict what the other samples say about them.

    What it measures
        On up to 2,000 training samples what the ten nearest others vote for and, if they contradict many labels,
        what a forest predicts in cross-validation, judged by confident learning (cleanlab). A wrong label is told from
        a hard sample in two ways: labels are contradicted as often where predictions are sure as where they are not,
        and the predictions are right for nearly all other samples. Of sure ones the share less a
        standard error counts.

    Why it matters
        A network that is trained long enough learns wrong labels by heart, and what it learns so is wrong for new
        samples; one that is trained shortly needs more samples for the same accuracy.

    How to fix it
        Look at the samples listed; correct or leave out what is wrong.

    When to ignore it
        The labels are noisy on purpose, or drawn from several annotators who disagree.

    References
        Northcutt, Jiang and Chuang 2021, Confident Learning, sections 3.1 and 4.
        Zhang et al. 2017, Understanding Deep Learning Requires Rethinking Generalization, section 2: labels by heart.
        share: 0.1, Northcutt, Athalye and Mueller 2021, Pervasive Label Errors: test sets in use have up to 10 %.
        most: 0.42, measured on 2 sets with random labels: 0.46 and more; there is nothing to be learned from.
        agreement: 0.9, measured on 16 data sets, clean and with 10 to 30 % of labels flipped: weak classifiers
        reach 0.83 to 0.89 among what they do not doubt, good ones 0.92 to 0.99.
        among_sure: 0.7, measured on 9 data sets with flipped labels, three draws each: 0.77 to 1.34 of the share
        in 44 of 45, and on 8 in which classes overlap or chance decides: at most 0.64.
        skill: 0.2, this project's choice: of the way from guessing to certainty.
        dense: 10.0, measured on 36 draws of scikit-learn's make_classification: samples per feature, below which the
        forest's own errors look like noise.
        sparse_agreement: 0.95, measured on the same: what `agreement` must be then.
    """
    found = scan.suspects
    if found.missing:
        raise NotExamined(found.missing)
    if found.share <= share:
        return
    needed = agreement if found.samples >= dense * found.features else sparse_agreement
    if found.share > most or found.agreement < needed or found.beyond_chance < skill:
        raise NotExamined("a simple classifier does not know these samples well enough to doubt their labels")
    # One standard error below, as the sure predictions are a quarter of all.
    surely = found.sure_share - math.sqrt(found.sure_share * (1 - found.sure_share) / max(found.samples / 4, 1))
    if found.sure_share <= among_sure * found.share or surely <= share:
        return
    listed = ", ".join(map(str, found.indices[:6]))
    yield Finding(
        f"{found.share:.0%} of {found.samples} labels contradict cross-validated predictions: samples {listed}, ...",
        location=found.location,
        evidence=(
            Evidence("share of suspect labels", found.share, share),
            Evidence("share among sure predictions", found.sure_share, share),
            Evidence("agreement of the others", found.agreement),
        ),
        fix=Fix(
            "review the labels of the samples listed",
            f"Predictions agree with {found.agreement:.0%} of the other labels, and contradict these.",
            "from cleanlab.filter import find_label_issues\n"
            'order = find_label_issues(y, pred_probs, return_indices_ranked_by="self_confidence")',
        ),
    )
