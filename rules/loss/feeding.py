"""What stands between the last activation and the loss."""

from collections.abc import Collection

from dnndoctor.measurements import Fed

UNCHANGED = frozenset("dropout to clone contiguous index select slice".split())
NEARLY_UNCHANGED = UNCHANGED | frozenset("clamp clamp_min clamp_max clip add sub".split())


def fed_by(chain: tuple[Fed, ...], names: Collection[str], between: Collection[str] = NEARLY_UNCHANGED) -> Fed | None:
    """The first operation of these names on the way into the loss, with nothing but ``between`` behind it."""
    for fed in chain:
        if fed.name in names:
            return fed
        if fed.name not in between:
            return None
    return None
