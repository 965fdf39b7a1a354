"""Where a learning rate is written, however the optimizer came to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dnndoctor.findings import Location
from dnndoctor.observe.arguments import learning_rate, peak_rate

DIRECT = "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)"
SOURCES = {
    "keyword": (DIRECT, "SGD(", "lr=0.1"),
    "by position": ("optimizer = SGD(weights, 0.1)", "SGD(", "0.1"),
    "by position, of a renamed class": ("optimizer = Rule(model.parameters(), 0.1)", "Rule(", "0.1"),
    "default": ("net(lr=0.1)\noptimizer = SGD(model.parameters())", "SGD(", None),
    "in a library": ("net = Net(Module, lr=0.1)\nnet.fit(x, y)", "net.fit(", "lr=0.1"),
    "in a library, by a variable": (
        "args = Arguments(learning_rate=rate)\nTrainer(args).train()",
        "Tr",
        "learning_rate=rate",
    ),
    "in a library, another rate": ("net = Net(Module, lr=0.2)\nnet.fit(x, y)", "net.fit(", None),
    "in a library, ambiguous": ("a = Net(lr=0.1)\nb = Net(lr=0.1)\nb.fit(x, y)", "b.fit(", None),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_place_of_the_rate(kind: str, tmp_path: Path) -> None:
    source, built, rate = SOURCES[kind]
    file = tmp_path / "train.py"
    file.write_text(source)
    expected = None if rate is None else position(str(file), source, rate)
    start = position(str(file), source, "torch" if "torch" in source else built)
    assert learning_rate(start, "SGD", [0.1]) == expected


def position(file: str, source: str, text: str) -> Location:
    before = source[: source.rindex(text)]
    return Location(file, before.count("\n") + 1, len(before) - before.rfind("\n"))


@pytest.mark.parametrize(
    ("peaks", "expected"),
    [(("20.0",), "max_lr=20.0"), (("PEAK",), "max_lr=PEAK"), (("5.0",), None), (("20.0", "20.0"), None)],
)
def test_place_of_a_schedule_s_peak(peaks: tuple[str, ...], expected: str | None, tmp_path: Path) -> None:
    source = "\n".join((DIRECT, *(f"OneCycleLR(optimizer, max_lr={each})" for each in peaks)))
    file = tmp_path / "train.py"
    file.write_text(source)
    place = None if expected is None else position(str(file), source, expected)
    assert peak_rate(position(str(file), source, "torch"), 20.0) == place
