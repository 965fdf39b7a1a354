"""The causal order: which fault can bring about which.

Three layers. *Facts* are things that the program does, read off the source's own operations (a softmax before the
loss, gradients never cleared): nothing brings them about. *Conditions* are measured states that a fact can explain
(saturated units, a rate that is too high for unnormalised inputs). *Outcomes* are what training came to (a loss that
does not fall). A finding hangs under the first of its possible causes, nearest first, that was found too; where
none was, it is a root by itself.

Among roots that are equally grave facts come first and outcomes last.
"""

from __future__ import annotations

from collections.abc import Mapping

# Facts about how the loop and the loss are put together, the ones that stop all learning first.
_NOT_TRAINED = ("OPT103", "OPT102", "OPT108", "OPT109", "LOP102", "OPT104", "LOS112", "REG104")
_WRONG_LOSS = ("LOS101", "LOS102", "LOS103", "LOS110", "LOS104", "LOS113", "LOS106", "ACT107")
_WRONG_UPDATE = ("LOP101", "LOP108", "LOP103", "GRD103", "OPT110", "OPT105")
_BAD_DATA = ("DAT101", "DAT108", "DAT110", "DAT111", "DAT103")
_BAD_START = ("INI101", "INI102", "INI104", "INI105", "INI107")
_BAD_UNITS = ("ACT104", "ACT101", "ACT103", "ACT102", "ACT105")
_BAD_RATE = ("LRN101", "LRN102", "LRN104", "LRN105", "GRD104", "REG107")

CAUSES: Mapping[str, tuple[str, ...]] = {
    # conditions of the units and of the signal
    "ACT101": ("INI102", "DAT110", "LRN101", "INI107"),
    "ACT103": ("INI102", "INI104", "INI107", "LRN101", "DAT110", "LOP101", "SHU101"),
    "ACT104": ("DAT101", "DAT110", "DAT111", "INI101", "INI102", "INI104", "ACT102", "ACT101", "ACT103", "LRN101"),
    "ACT105": ("INI102", "INI104", "DAT110", "LRN101", "LOP101", "CAP107"),
    "ACT108": ("LRN101", "LRN107"),
    "INI103": ("INI102",),
    "INI104": ("INI102", "INI107", "INI101", "CAP107", "ACT102"),
    "INI105": ("INI102", "INI101", "INI104", "ACT102"),
    "INI106": ("INI102", "DAT110", "DAT111", *_WRONG_LOSS, "REG106"),
    "GRD101": ("INI101", "INI102", "CAP107", "ACT102", "ACT101", "ACT103", "INI104", "INI105", "DAT110"),
    "GRD102": ("LRN111", "INI102", "LOP101", "LRN101", "DAT111", "DAT110", "LOS111", "LOS114", "NUM103"),
    "GRD104": ("LOS111", "DAT111", "LOP101", "GRD102"),
    "GRD105": ("BAT101",),
    "NUM101": (
        "LRN111",
        "DAT101",
        "LOS113",
        "LOS114",
        "NUM103",
        "LOP101",
        "LRN101",
        "INI102",
        "DAT110",
        "DAT111",
        "ACT105",
        "NUM102",
    ),
    "NUM102": ("LOS111",),
    "CAP104": ("INI101", "ACT103"),
    # facts that another fact explains
    "LOS106": ("DAT108", "LOS103"),
    "LOS110": ("LOS101",),
    "OPT102": ("OPT103", "OPT108", "OPT109"),
    "LOP109": ("OPT103",),
    "PRE104": ("OPT103", "OPT102", "OPT104"),
    "LRN104": ("LRN105", "OPT110"),
    "LRN106": ("OPT110", "LRN105"),
    # conditions of the update
    "OPT104": ("OPT103", "OPT109", "NUM102", "LOS112", "INI101", "ACT103", "LOP102", "REG109"),
    "OPT101": (
        *_NOT_TRAINED,
        *_WRONG_LOSS,
        *_WRONG_UPDATE,
        *_BAD_DATA,
        *_BAD_START,
        *_BAD_UNITS,
        "GRD101",
        *_BAD_RATE,
    ),
    "LRN101": ("DAT110", "DAT111", "INI102", "LOP101", "LOP103", "LOS111", "OPT105"),
    "LRN102": (
        *_NOT_TRAINED,
        *_WRONG_LOSS,
        "INI101",
        "ACT102",
        "GRD101",
        "GRD104",
        "DAT110",
        "DAT111",
        "DAT108",
        "LOP101",
        "OPT105",
        "LRN105",
    ),
    "LRN103": ("DAT110", "INI102", "LOP101"),
    "LRN107": ("LRN101",),
    "LRN108": (
        "LRN101",
        "LRN102",
        "LRN104",
        "LRN105",
        "OPT105",
        "GRD104",
        "REG107",
        "LOP101",
        "DAT111",
        "INI102",
        "INI104",
    ),
    "LRN109": ("INI102", "ACT102", "GRD101", "DAT110"),
    # outcomes
    "CAP101": (
        *_NOT_TRAINED,
        *_WRONG_LOSS,
        *_WRONG_UPDATE,
        "CAP105",
        "LOP105",
        "INI101",
        "CAP107",
        *_BAD_DATA,
        *_BAD_START,
        *_BAD_UNITS,
        *_BAD_RATE,
        "REG106",
        "REG102",
        "CAP102",
    ),
    "CAP105": ("LOP105", *_NOT_TRAINED, *_WRONG_LOSS, *_BAD_START, *_BAD_UNITS, "GRD101", *_BAD_DATA, *_BAD_RATE),
    "LOS107": (
        *_NOT_TRAINED,
        *_WRONG_LOSS,
        *_WRONG_UPDATE,
        "LOP105",
        *_BAD_START,
        *_BAD_DATA,
        *_BAD_UNITS,
        "GRD101",
        *_BAD_RATE,
        "CAP105",
        "CAP101",
    ),
    "LOP105": ("LOS110",),
    "LOS108": ("DAT103", "DAT111"),
    "LOS109": ("DAT107",),
    "DAT112": ("REG101",),
    "DAT113": ("REG101",),
    "CAP103": ("REG101",),
    "REG101": ("DAT107", "DAT104"),
    "EPO103": ("REG110", "REG101", "CAP103", "LOS115"),
    "LOS115": ("LRN111",),
    "NUM104": ("LRN111", "NUM101", "LOS115", "OPT112"),
    "OPT112": ("LRN111",),
    "ACT109": ("OPT112", "REG111"),
    "CAP109": ("OPT112", "REG111", "INI108"),
    "LRN112": ("LRN111", "LRN104", "LRN105"),
    "VIS103": ("LRN111", "LOS115", "LRN101", "DAT101", "DAT103"),
    "DAT107": ("DAT106",),
    "DAT115": ("SHU101",),
    "DST101": ("DST104",),
}


# What training came to. A diagnosis that begins with one of these has found no cause.
OUTCOMES = frozenset("CAP101 CAP105 LOS107 OPT101 REG101 EPO103 EPO104 VIS103 GRD105 NUM101".split())


# Facts for all that: where no other one explains them, the program itself is at fault.
FACTS = frozenset(("LOP109", "LOS106", "LOS110", "LRN104", "LRN106", "OPT102", "PRE104"))


def layer(code: str) -> int:
    """0 for facts about the program, 1 for conditions that something may have brought about, 2 for outcomes."""
    if code in OUTCOMES:
        return 2
    return 1 if CAUSES.get(code) and code not in FACTS else 0


def unknown(codes: set[str]) -> set[str]:
    """Codes of the order that no rule has."""
    return {*CAUSES, *(cause for causes in CAUSES.values() for cause in causes)} - codes
