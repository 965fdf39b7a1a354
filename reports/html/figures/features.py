"""The level and the spread of each input feature."""

import math

from dnndoctor.measurements import TrainingData
from dnndoctor.reports.html.figures import rows
from dnndoctor.reports.html.figures.chart import brief, chosen
from dnndoctor.reports.html.figures.dots import Case, Point, plot
from dnndoctor.reports.html.figures.figure import Figure, Measurements, drawn, taken
from dnndoctor.reports.words import figure as number
from dnndoctor.reports.words import plural

TITLE = "Input features"
MOST_TABLE = 200


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where the model's input is no table of floats."""
    data = taken(measurements, TrainingData)
    tables = [each for each in data.role("input") if each.kind == "float" and len(each.feature_std) > 1] if data else []
    if not tables:
        return None
    means, stds = [float(v) for v in tables[0].feature_mean], [float(v) for v in tables[0].feature_std]
    size = [abs(mean) + std if math.isfinite(mean + std) else 0.0 for mean, std in zip(means, stds, strict=True)]
    largest = sorted(range(len(size)), key=lambda i: -size[i])[:4]
    kept = chosen(len(means), largest)
    cases = [_case(i, means[i], stds[i]) for i in kept]
    return drawn(
        "features",
        TITLE,
        _caption(means, stds) + rows.left_out(len(kept), len(means)),
        plot(cases, "value", "dot: mean, line: one standard deviation either way", references=((0.0, ""),)),
        ("feature", "mean", "std"),
        ((number(i), number(means[i]), number(stds[i])) for i in range(min(len(means), MOST_TABLE))),
        {"training-data", "weight-initialization"},
        {TrainingData},
        section="data",
    )


def _case(index: int, mean: float, std: float) -> Case:
    hint = f"feature {index}: mean {number(mean)}, std {number(std)}"
    return Case(f"feature {index}", (Point(mean, hint),), (mean - std, mean + std))


def _caption(means: list[float], stds: list[float]) -> str:
    varied = [std for std in stds if std > 0 and math.isfinite(std)]
    if not varied:
        return f"None of {len(stds)} features varies."
    shift = max(abs(mean) / std for mean, std in zip(means, stds, strict=True) if std > 0 and math.isfinite(mean / std))
    ratio = max(varied) / min(varied)
    still = len(stds) - len(varied)
    constant = f" {plural(still, 'feature')} never vary." if still else ""
    return (
        f"Spreads of {brief(min(varied), 2)} to {brief(max(varied), 2)}, "
        f"{brief(ratio, 2)} times apart; means up to {brief(shift, 2)} standard deviations from 0.{constant}"
    )
