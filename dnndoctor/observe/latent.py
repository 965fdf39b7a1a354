"""A latent variable drawn by reparametrisation, and whether a loss holds its mean to a prior."""

from __future__ import annotations

from typing import Any

import torch

MOST_NODES = 20_000
# What may stand between a mean and its square: the prior's mean and scale, and changes of shape.
_BETWEEN = ("Sub", "Div", "Neg", "View", "Reshape", "Expand", "Unsafe", "Squeeze", "Unsqueeze", "Slice", "Alias", "To")


class Latent:
    """The draw and its mean, as nodes of the autograd graph."""

    def __init__(self, draw: torch.Tensor, mean: torch.Tensor) -> None:
        self.draw = draw.grad_fn
        self.means = [mean.grad_fn]
        # A distribution broadcasts its parameters first; the user's own divergence starts from before that.
        while len(parents := _parents(self.means[-1])) == 1 and _named(self.means[-1], ("Expand", "View", "Reshape")):
            self.means.append(parents[0])


def squares_mean(loss: torch.Tensor, latent: Latent) -> bool:
    """Whether the loss holds the mean's square on a way that does not pass through the draw.

    That is the part which every Gaussian divergence has, written out or from ``torch.distributions``.
    """
    consumers = _consumers(loss.grad_fn)
    waiting, seen = [each for each in latent.means if each is not None], set()
    while waiting:
        node = waiting.pop()
        if node in seen or node is latent.draw:
            continue
        seen.add(node)
        for after in consumers.get(node, ()):
            if after is latent.draw:
                continue
            if _named(after, ("Pow",)) or (_named(after, ("Mul",)) and len(set(_parents(after))) == 1):
                return True
            if _named(after, _BETWEEN) or after in latent.means:
                waiting.append(after)
    return False


def _consumers(root: Any) -> dict[Any, list[Any]]:
    found: dict[Any, list[Any]] = {}
    waiting, seen = [root], {root}
    while waiting and len(seen) < MOST_NODES:
        node = waiting.pop()
        for parent in _parents(node):
            found.setdefault(parent, []).append(node)
            if parent not in seen:
                seen.add(parent)
                waiting.append(parent)
    return found


def _parents(node: Any) -> list[Any]:
    return [parent for parent, _ in node.next_functions if parent is not None] if node is not None else []


def _named(node: Any, names: tuple[str, ...]) -> bool:
    return node is not None and node.name().startswith(names)
