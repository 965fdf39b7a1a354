"""Finds the rules: the built-in ones and any that an installed package offers."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import walk_packages

from dnndoctor.rule import Rule

BUILT_IN = "dnndoctor.rules"


@cache
def load_rules() -> dict[str, Rule]:
    """Every rule by code, in the order of the catalogue.

    Raises ValueError if two rules share a code.
    """
    found: dict[str, Rule] = {}
    for package in (BUILT_IN, *(e.value for e in entry_points(group=BUILT_IN))):
        for module in _modules(package):
            for one in vars(import_module(module)).values():
                if not isinstance(one, Rule) or one.check.__module__ != module:
                    continue
                if one.code in found:
                    raise ValueError(f"two rules share the code {one.code}: {one.name}, {found[one.code].name}")
                found[one.code] = one
    return dict(sorted(found.items(), key=lambda item: (practices_order(item[1].practice), item[0])))


@cache
def practices() -> dict[str, str]:
    """Every practice's title by its id, in the order of the catalogue."""
    from dnndoctor.rules import PRACTICES

    return dict(PRACTICES)


def practices_order(practice: str) -> int:
    """Where a practice stands in the catalogue; one that a package adds comes last."""
    known = list(practices())
    return known.index(practice) if practice in known else len(known)


def _modules(package: str) -> list[str]:
    root = import_module(package)
    found = [info.name for info in walk_packages(root.__path__, f"{package}.") if not info.ispkg]
    return found or [package]
