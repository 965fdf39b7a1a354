"""Where the weights come from, from the rows."""

from __future__ import annotations

from dnndoctor import measurements as m
from dnndoctor.recording.reader import Row, Rows, place


def origins(rows: Rows) -> m.Origins:
    """Published architectures, loaded weights and frozen norms; empty where there is none of them."""
    facts = rows.facts("window", "name", "pretraining") or {}
    return m.Origins(
        architectures=tuple(_architecture(each) for each in facts.get("architectures", ())),
        first_norms=tuple(m.LearnedStatistics(**each) for each in facts.get("first_norms", ())),
        frozen_norms=tuple(
            m.FrozenNorms(each["model"], tuple(each["moving"]), place(each["location"]))
            for each in facts.get("frozen_norms", ())
        ),
        movement=_movement(facts),
    )


def _architecture(row: Row) -> m.Architecture:
    image = row.get("input") or {}
    mean, std = row.get("normalization") or ((), ())
    return m.Architecture(
        name=row["name"],
        package=row["package"],
        location=place(row["location"]),
        parameters=row["parameters"],
        loaded=row["loaded"],
        trained=row["trained"],
        expected_mean=tuple(mean),
        expected_std=tuple(std),
        **{key: image.get(key) for key in ("low", "high", "mean", "std")},
    )


def _movement(facts: Row) -> m.Movement | None:
    if not facts.get("moving") or not facts["movement"]:
        return None
    steps, shares = zip(*facts["movement"], strict=True)
    return m.Movement(tuple(map(int, steps)), shares, facts["moving"], place(facts["moving_location"]))
