"""Scales and SVG elements that all figures are made of. Colors are classes; the page's style sheet gives them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from dnndoctor.reports.words import figure as number
from dnndoctor.reports.words import printable

WIDTH = 560
LARGEST = 1e300  # beyond it differences and products overflow
SMALLEST = 1e-300
MOST_ROWS = 24
ROW = 24
LABEL = 22  # characters of a layer's name


def brief(value: float, digits: int = 3) -> str:
    """A measured number as a caption says it: to so many digits."""
    return number(float(f"{value:.{digits}g}"))


def apart(*values: float) -> list[str]:
    """Measured numbers, each to as many digits as it takes to tell those that differ apart."""
    for digits in range(3, 7):
        words = [number(float(f"{each:.{digits}g}")) if digits == 3 else f"{each:.{digits}g}" for each in values]
        if len(set(words)) == len(set(values)):
            return words
    return words


def gains(before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much lower each ended; NaN where training ran away in both."""
    with np.errstate(invalid="ignore"):
        return np.subtract(before, after)


def labels(ticks: Sequence[float]) -> list[str]:
    """Of ticks, which are round already."""
    words = [number(each) for each in ticks]
    return words if len(set(words)) == len(words) else [f"{each:.6g}" for each in ticks]


def finite(values: Iterable[float], *, log: bool = False) -> list[float]:
    """The values that can be drawn; on a logarithmic axis those above zero."""
    usable = [float(each) for each in values if math.isfinite(each)]
    low = SMALLEST if log else -LARGEST
    return [min(max(each, low), LARGEST) for each in usable if each > 0 or not log]


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps the data range ``low`` to ``high`` onto pixels ``start`` to ``stop``; never onto anything outside."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    @classmethod
    def fit(
        cls, values: Iterable[float], start: float, stop: float, *, log: bool = False, pad: float = 0.04
    ) -> "Scale":
        """A scale that holds every finite value, with some room; sound also for none, for one, and for equal ones."""
        usable = finite(values, log=log) or ([0.1, 1.0] if log else [0.0, 1.0])
        low, high = min(usable), max(usable)
        if log:
            bottom, top = _widened(math.log10(low), math.log10(high), pad, least=0.3)
            return cls(max(10**bottom, SMALLEST), 10 ** min(top, 300.0), start, stop, log=True)
        least = max(abs(low), abs(high)) * 1e-3 or 1.0
        return cls(*_widened(low, high, pad, least=max(least, SMALLEST)), start, stop)

    def __call__(self, value: float) -> float:
        """The pixel of a value; NaN lies at the start, what is out of range at the nearer end."""
        if math.isnan(value):
            return self.start
        low, high = self._position(self.low), self._position(self.high)
        share = (self._position(min(max(value, self.low), self.high)) - low) / (high - low)
        return round(self.start + share * (self.stop - self.start), 1)

    def ticks(self, most: int = 6) -> list[float]:
        """Round values within the range, ``most`` at the most."""
        found = _decades(self.low, self.high, most) if self.log else _round_steps(self.low, self.high, most)
        return [each for each in found if self.low <= each <= self.high] or [self.low]

    def _position(self, value: float) -> float:
        return math.log10(max(value, SMALLEST)) if self.log else value


def _widened(low: float, high: float, pad: float, *, least: float) -> tuple[float, float]:
    room = max((high - low) * pad, least / 2 if high - low < least else 0.0)
    return low - room, high + room


def _round_steps(low: float, high: float, most: int) -> list[float]:
    rough = (high - low) / most
    power = 10.0 ** max(math.floor(math.log10(rough)), -300) if rough > 0 else 1.0
    step = next((f * power for f in (1, 2, 5) if f * power >= rough), 10 * power)
    first = math.ceil(low / step)
    found = [(first + index) * step for index in range(most + 1) if (first + index) * step <= high]
    return [float(f"{each:.12g}") for each in found]


def _decades(low: float, high: float, most: int) -> list[float]:
    bottom, top = math.floor(math.log10(low)), math.ceil(math.log10(high))
    if top - bottom <= 2:
        found = [f * 10.0**power for power in range(bottom, top + 1) for f in (1, 2, 5)]
        inside = [each for each in found if low <= each <= high]
        if 2 <= len(inside) <= most + 2:
            return inside
        if len(inside) < 2:
            return _round_steps(low, high, min(most, 4))
    stride = max(1, math.ceil((top - bottom) / most))
    return [float(f"1e{power}") for power in range(bottom, top + 1, stride) if -308 < power < 308]


def tag(name: str, *children: str, **attributes: object) -> str:
    """An element; attribute values are escaped, children are SVG already. ``class_`` is "class", ``_`` is "-"."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_plain(value))}"' for key, value in attributes.items()
    )
    inner = "".join(children)
    return f"<{name}{written}>{inner}</{name}>" if inner else f"<{name}{written}/>"


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else printable(str(value))


def text(content: str, x: float, y: float, kind: str = "tick", anchor: str = "start") -> str:
    """A label; ``anchor`` is "start", "middle" or "end"."""
    return tag("text", escape(printable(content)), x=x, y=y, class_=kind, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def band(x1: float, y1: float, x2: float, y2: float, kind: str = "band") -> str:
    """A filled range between two corners."""
    left, top = min(x1, x2), min(y1, y2)
    return tag("rect", x=left, y=top, width=max(abs(x2 - x1), 1.0), height=max(abs(y2 - y1), 1.0), class_=kind)


def dot(x: float, y: float, hint: str, kind: str = "dot", radius: float = 4.0) -> str:
    """A point whose figures show when the pointer rests on it."""
    return tag("circle", tag("title", escape(printable(hint))), cx=x, cy=y, r=radius, class_=kind)


def cross(x: float, y: float, hint: str, kind: str = "cross") -> str:
    """A value that is not on the scale: infinite, NaN, or zero on a logarithm."""
    path = f"M{x - 4:g} {y - 4:g}l8 8m0 -8l-8 8"
    return tag("path", tag("title", escape(printable(hint))), d=path, class_=kind)


def polyline(points: Sequence[tuple[float, float]], kind: str = "line") -> str:
    """A line through points."""
    if len(points) < 2:
        return ""
    return tag("polyline", points=" ".join(f"{x:g},{y:g}" for x, y in points), class_=kind)


def ribbon(upper: Sequence[tuple[float, float]], lower: Sequence[tuple[float, float]], kind: str = "own") -> str:
    """The area between two lines."""
    if len(upper) < 2:
        return ""
    around = [*upper, *reversed(lower)]
    return tag("polygon", points=" ".join(f"{x:g},{y:g}" for x, y in around), class_=f"ribbon {kind}")


def runs(xs: Sequence[float], ys: Sequence[float], *, log: bool = False) -> list[list[tuple[float, float]]]:
    """Stretches of neighbouring points that can all be drawn: a line is not led across a gap."""
    stretches: list[list[tuple[float, float]]] = [[]]
    for x, y in zip(xs, ys, strict=True):
        if math.isfinite(y) and (y > 0 or not log):
            stretches[-1].append((float(x), float(y)))
        elif stretches[-1]:
            stretches.append([])
    return [each for each in stretches if each]


def x_axis(scale: Scale, bottom: float, label: str, top: float | None = None) -> str:
    """Ticks below ``bottom``, with grid lines up to ``top`` if one is given."""
    parts = [line(scale.start, bottom, scale.stop, bottom, "axis")]
    last = -math.inf
    ticks = scale.ticks()
    for tick, words in zip(ticks, labels(ticks), strict=True):
        at = scale(tick)
        if top is not None:
            parts.append(line(at, top, at, bottom, "grid"))
        if at - last > 4 + 6.5 * len(words):  # else the labels run into each other
            parts.append(text(words, at, bottom + 18, "tick", "middle"))
            last = at
    middle = (scale.start + scale.stop) / 2
    return "".join([*parts, text(label, middle, bottom + 38, "label", "middle")])


def y_axis(scale: Scale, left: float, right: float, label: str) -> str:
    """Ticks left of ``left`` with grid lines to ``right``; the label lies above, where it need not be turned."""
    ticks = scale.ticks(5)
    parts = [line(left, scale(tick), right, scale(tick), "grid") for tick in ticks]
    words = zip(ticks, labels(ticks), strict=True)
    parts += [text(word, left - 8, scale(tick) + 4, "tick", "end") for tick, word in words]
    return "".join([*parts, text(label, 8, 16, "label")])


def flag(x: float, top: float, bottom: float, words: str, kind: str = "user") -> str:
    """A vertical line with its name at its head, on the side where there is room."""
    left = x > WIDTH * 0.7
    head = text(words, x - 6 if left else x + 6, top + 10, f"{kind}-text", "end" if left else "start")
    return line(x, top, x, bottom, kind) + head


def shortened(name: str, most: int = LABEL) -> str:
    """A long path with its outer parts as initials, as in e.l.0.linear1; what is still too long loses its middle."""
    name = printable(name)
    parts = name.split(".")
    for place, part in enumerate(parts[:-1]):
        if len(".".join(parts)) <= most:
            break
        parts[place] = part if part.isdigit() else part[:1]
    name = ".".join(parts)
    return name if len(name) <= most else f"{name[: most // 2 - 1]}…{name[-(most - most // 2) :]}"


def chosen(count: int, keep: Iterable[int] = (), most: int = MOST_ROWS) -> list[int]:
    """Which of ``count`` rows are drawn: all, or evenly spaced ones with the first, the last and those to ``keep``."""
    if count <= most:
        return list(range(count))
    kept = sorted(set(keep))[: most // 2]
    even = most - len(kept)
    return sorted({*kept, *(round(i * (count - 1) / max(even - 1, 1)) for i in range(even))})


def drawing(
    identity: str, height: float, title: str, description: str, body: Iterable[str], width: float = WIDTH
) -> str:
    """The whole picture with its text alternative."""
    heads = (
        tag("title", escape(printable(title)), id=f"{identity}-title"),
        tag("desc", escape(printable(description)), id=f"{identity}-desc"),
    )
    return tag(
        "svg",
        *heads,
        *body,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_labelledby=f"{identity}-title {identity}-desc",
    )
