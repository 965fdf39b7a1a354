"""Over-fitting as measured, in literal figures; no test by itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from dnndoctor.findings import Location
from dnndoctor.measurements import Overfitting, Remedies, Remedy, Width, Widths

MODEL = Location("train.py", 14)


def growth(**changes: Any) -> Overfitting:
    """A model that learned 200 samples by heart: from a loss of 2.0 down to 1.0, and up to 1.6 on held-out ones."""
    given: dict[str, Any] = {
        "marks": np.asarray([5, 10, 20, 40, 80]),
        "training_loss": np.asarray([[1.6, 1.0, 0.5, 0.1, 0.01]] * 3),
        "held_out_loss": np.asarray([[1.6, 1.0, 1.2, 1.4, end] for end in (1.55, 1.6, 1.65)]),
        "training_error": np.asarray([[0.5, 0.3, 0.1, 0.0, 0.0]] * 3),
        "held_out_error": np.asarray([[0.5, 0.3, 0.3, 0.3, end] for end in (0.25, 0.3, 0.35)]),
        "start": 2.0,
        "samples": 200,
        "parameters": 100_000,
        "epochs": 20.0,
        "planned_epochs": 40.0,
        "length": 200,
        "augmented": False,
        "grows": True,
        "model": "Net",
        "location": MODEL,
    }
    return Overfitting(**(given | changes))


def flat() -> Overfitting:
    """The held-out loss ends at its lowest, a little above the training loss."""
    return growth(
        training_loss=np.asarray([[1.6, 1.0, 0.5, 0.2, 0.1]] * 3),
        held_out_loss=np.asarray([[1.6, 1.0, 0.5, 0.25, end] for end in (0.16, 0.17, 0.18)]),
    )


def remedies(dropout: float = 1.1, decay: float = 1.3) -> Remedies:
    """Held-out losses with dropout 0.5 and with decay 4.7."""
    losses = np.asarray([-0.03, 0.0, 0.03])
    return Remedies(80, (Remedy("dropout", 0.5, dropout + losses), Remedy("weight_decay", 4.74, decay + losses)))


def widths(half: float = 1.2) -> Widths:
    """Held-out losses at half and at once the width."""
    spread, training = np.asarray([-0.02, 0.02]), np.asarray([0.02, 0.02])
    return Widths(80, (Width(1.0, 100_000, training, 1.6 + spread), Width(0.5, 26_000, training, half + spread)))
