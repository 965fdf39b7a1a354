"""The probes by name, the most telling first, and what each is doing in words. Needs no torch."""

from __future__ import annotations

PROBES = {
    "learning-rate": "trying other learning rates",
    "overfit-one-batch": "learning one batch by heart",
    "blanked-inputs": "training on blanked inputs",
    "sample-order": "reading the order of the samples",
    "data-scan": "reading the data",
    "entry-mixing": "tracing outputs back to inputs",
    "schedule": "running the schedule to its end",
    "custom-gradients": "checking custom gradients",
    "batch-size": "trying other batch sizes",
    "workers": "timing the loader",
    "mixed-precision": "timing mixed precision",
    "noise": "training from other seeds",
    "learning-method": "trying other learning methods",
    "overfitting": "training on a part of the data",
    "regularization": "trying dropout and weight decay",
    "width": "trying other widths",
    "pretraining": "trying a warm start",
    "padded-dimensions": "timing padded dimensions",
    "compile": "timing the compiled model",
}
OTHERS_WANTED = "only other probes were asked for"


def nearest_problem(names: tuple[str, ...]) -> str | None:
    """Why one of these names is no probe, or None."""
    from dnndoctor.select import nearest

    for each in names:
        if each not in PROBES:
            return f'unknown probe "{each}"{nearest(each, PROBES)}; one of {", ".join(PROBES)}'
    return None
