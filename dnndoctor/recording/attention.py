"""Attention over the watched steps, from the rows."""

from __future__ import annotations

import numpy as np

from dnndoctor import measurements as m
from dnndoctor.measurements.missing import Missing
from dnndoctor.recording.reader import Rows, place


def attention(rows: Rows) -> m.Attention | Missing:
    """Every attention; none is a measurement, too."""
    if not rows["operation"]:
        return Missing("no forward pass was watched")
    sites = (rows.facts("window", "name", "attention") or {}).get("sites", [])
    return m.Attention(
        tuple(
            m.AttentionSite(
                name=each["name"],
                location=place(each["location"]),
                steps=np.asarray(each["steps"], np.int64),
                largest=np.asarray(each["largest"], float),
                entropy=np.asarray(each["entropy"], float),
            )
            for each in sites
        )
    )
