"""A table of numbers as a picture of colored cells: an indexed PNG, as thousands of rectangles are a megabyte."""

import math
import struct
import zlib
from base64 import b64encode
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dnndoctor.reports.html.figures.chart import Scale, finite, line, shortened, tag, text
from dnndoctor.reports.words import figure as number

MOST_ROWS, MOST_COLUMNS = 400, 200
# Viridis at equal distances (Smith and van der Walt 2015): even to the eye, also where colors are not told apart.
ANCHORS = (
    (68, 1, 84),
    (72, 40, 120),
    (62, 74, 137),
    (49, 104, 142),
    (38, 130, 142),
    (31, 158, 137),
    (53, 183, 121),
    (109, 205, 89),
    (180, 222, 44),
    (253, 231, 37),
)
COLORS = 255  # the last index is "not measured", and transparent


def png(cells: NDArray[np.uint8]) -> str:
    """A data URI of the cells [rows, columns], indices into the palette."""
    height, width = cells.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    lines = b"".join(b"\0" + cells[row].tobytes() for row in range(height))
    opaque = bytes([255] * COLORS + [0])
    parts = ((b"IHDR", header), (b"PLTE", _palette()), (b"tRNS", opaque), (b"IDAT", zlib.compress(lines, 9)))
    chunks = b"".join(_chunk(name, data) for name, data in (*parts, (b"IEND", b"")))
    return "data:image/png;base64," + b64encode(b"\x89PNG\r\n\x1a\n" + chunks).decode()


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _palette() -> bytes:
    positions = np.linspace(0, len(ANCHORS) - 1, COLORS)
    channels = [np.interp(positions, range(len(ANCHORS)), [each[i] for each in ANCHORS]) for i in range(3)]
    colors = np.stack([*channels], 1).round().astype(np.uint8)
    return colors.tobytes() + b"\0\0\0"


def indexed(values: NDArray[np.float64], scale: Scale) -> NDArray[np.uint8]:
    """Of each value its color; what cannot be drawn has none."""
    usable = np.isfinite(values) & ((values > 0) | (not scale.log))
    held = np.where(usable, np.clip(values, scale.low, scale.high), scale.high)
    place, low, high = (
        (np.log10(held), math.log10(scale.low), math.log10(scale.high))
        if scale.log
        else (
            held,
            scale.low,
            scale.high,
        )
    )
    share = (place - low) / (high - low)
    colors = np.clip((share * (COLORS - 1)).round(), 0, COLORS - 1).astype(np.uint8)
    return np.where(usable, colors, np.uint8(COLORS))


def reduced(values: NDArray[np.float64], rows: int = MOST_ROWS, columns: int = MOST_COLUMNS) -> NDArray[np.float64]:
    """At most so many rows and columns; a cell is the median of those that it stands for."""
    for axis, most in ((0, rows), (1, columns)):
        if values.shape[axis] > most:
            parts = np.array_split(values, most, axis)
            with np.errstate(all="ignore"):
                values = np.stack([_median(part, axis) for part in parts], axis)
    return values


def _median(part: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    usable = np.where(np.isfinite(part), part, np.nan)
    empty = np.isnan(usable).all(axis)
    middle: NDArray[np.float64] = np.nanmedian(np.where(np.expand_dims(empty, axis), 0.0, usable), axis)
    return np.where(empty, np.nan, middle)


def row_height(count: int) -> float:
    """Of one row in pixels: as high as a name where there is room for that, and 400 rows in the end."""
    return 20.0 if count <= 24 else max(480.0 / count, 1.0)


def picture(
    values: NDArray[np.float64], names: Sequence[str], left: float, right: float, top: float, *, log: bool
) -> tuple[list[str], float, Scale]:
    """Cells with the names of rows beside them, the bottom, and the scale of the colors."""
    drawn = reduced(values)
    each = row_height(len(drawn))
    bottom = top + each * len(drawn)
    scale = Scale.fit(finite(drawn.ravel(), log=log), 0, 1, log=log, pad=0.0)
    image = tag(
        "image",
        href=png(indexed(drawn, scale)),
        x=left,
        y=top,
        width=right - left,
        height=round(bottom - top, 1),
        preserveAspectRatio="none",
        class_="cells",
    )
    parts = [tag("rect", x=left, y=top, width=right - left, height=round(bottom - top, 1), class_="no-cells"), image]
    stride = max(1, math.ceil(20 / (each * len(drawn) / max(len(names), 1))))
    step = each * len(drawn) / max(len(names), 1)
    parts += [
        text(shortened(names[row]), left - 10, round(top + (row + 0.5) * step + 4, 1), "row-name", "end")
        for row in range(0, len(names), stride)
    ]
    return parts, bottom, scale


def color_key(scale: Scale, left: float, right: float, y: float, label: str) -> list[str]:
    """A strip of all colors with the figures that they stand for."""
    strip = png(np.arange(COLORS, dtype=np.uint8).reshape(1, -1))
    at = Scale(scale.low, scale.high, left, right, scale.log)
    parts = [
        text(label, left - 10, y + 11, "tick", "end"),
        tag(
            "image", href=strip, x=left, y=y, width=right - left, height=12, preserveAspectRatio="none", class_="cells"
        ),
    ]
    last = -math.inf
    for tick in at.ticks(6):
        words = number(tick)
        if at(tick) - last > 4 + 7 * len(words):
            parts.append(line(at(tick), y + 12, at(tick), y + 16, "axis"))
            parts.append(text(words, at(tick), y + 29, "tick", "middle"))
            last = at(tick)
    return parts
