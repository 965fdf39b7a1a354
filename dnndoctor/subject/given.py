"""What the user says about a target that is no training script: names instead of the usual ones, and inputs."""

from __future__ import annotations

import re

import msgspec

from dnndoctor.workspace import BadInput

KINDS = ("float", "int", "bool")
_INPUT = re.compile(
    r"^(?:(?P<name>[A-Za-z_]\w*)=)?(?P<sizes>scalar|\d+(?:[,x]\d+)*)(?::(?P<kind>float|int|bool)(?P<high>\d*))?$"
)
INPUT_SYNTAX = "[NAME=]SIZES[:KIND], such as 3,32,32 or 128:int or input_ids=128:int50257 or scalar:int1000"


class Given(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Each name is "name" in the target itself or "pkg.module:name"; ``inputs`` as ``parse_input`` reads them."""

    model: str | None = None
    train: str | None = None
    val: str | None = None
    loss: str | None = None
    optimizer: str | None = None
    inputs: tuple[str, ...] = ()

    @property
    def anything(self) -> bool:
        """Whether the user named any of it."""
        return self != Given()


class GivenInput(msgspec.Struct, frozen=True):
    """One input of the model: ``sizes`` without the batch; integers are below ``high``, if that is said."""

    sizes: tuple[int, ...]
    kind: str = "float"
    high: int | None = None
    name: str | None = None


def parse_input(text: str) -> GivenInput:
    """Read one ``--input``; raises BadInput."""
    match = _INPUT.match(text.replace(" ", ""))
    if match is None:
        raise BadInput(f"--input {text}: expected {INPUT_SYNTAX}; the batch dimension is left out")
    kind, high = match["kind"] or "float", match["high"] or ""
    sizes = () if match["sizes"] == "scalar" else tuple(int(each) for each in re.split("[,x]", match["sizes"]))
    if 0 in sizes or (high and (kind != "int" or int(high) < 1)):
        raise BadInput(f"--input {text}: expected {INPUT_SYNTAX}; sizes and limits are 1 or more")
    return GivenInput(sizes, kind, int(high) if high else None, match["name"])
