"""Layers that exist, but not where an optimizer could find them."""

from __future__ import annotations

from dataclasses import dataclass

from dnndoctor.findings import Location


@dataclass(frozen=True, slots=True)
class UnregisteredLayers:
    """A plain container of layers that a module holds and calls.

    ``holder`` is the class of the module and ``attribute`` the name of its list, tuple or dict (``container``),
    ``location`` the line that first assigns it. ``layers`` are the paths of the layers; ``learning`` those of their
    trainable parameters that get a gradient, and ``left_out`` those of them that no optimizer holds.
    """

    holder: str
    attribute: str
    container: str
    location: Location | None
    layers: tuple[str, ...]
    learning: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BuiltInForward:
    """A line that builds a layer while a forward pass runs.

    ``layer`` is the layer's class, ``holder`` the path or class of the module whose forward it is, ``parameters`` the
    number of its trainable entries and ``kinds`` the classes that have them. ``steps`` is the number of watched steps
    in which it was built, ``times`` how often in all; ``parts`` the lines that build it and what is in it.
    ``arguments``: source of those that it was built with, "" where they are not plain.
    """

    layer: str
    holder: str
    location: Location | None
    parameters: int
    kinds: tuple[str, ...]
    steps: int
    times: int
    parts: tuple[Location, ...] = ()
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class LooseTensors:
    """Tensors that get a gradient, that a module holds as a plain attribute, and that no optimizer holds.

    ``holder`` is the class of the module, ``attribute`` the name; ``container`` the class of the list or dict with the
    ``count`` tensors in it, "" where the attribute is the tensor itself. ``location``: the line that assigns it.
    """

    holder: str
    attribute: str
    container: str
    location: Location | None
    count: int = 1


@dataclass(frozen=True, slots=True)
class Construction:
    """What the watch saw of all kinds."""

    unregistered: tuple[UnregisteredLayers, ...] = ()
    built_in_forward: tuple[BuiltInForward, ...] = ()
    loose: tuple[LooseTensors, ...] = ()

    def explains(self, parameter: str, built: Location | None) -> bool:
        """Whether one of these is why no optimizer holds the parameter that was built there."""
        return any(parameter in each.left_out for each in self.unregistered) or any(
            built in each.parts for each in self.built_in_forward if each.steps > 1
        )
