"""What a logged name means: strangers call the same quantity by many names."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from enum import StrEnum


class Role(StrEnum):
    """What a series is to a diagnosis."""

    LOSS = "loss"
    VALIDATION_LOSS = "validation loss"
    RATE = "learning rate"
    GRAD_NORM = "gradient norm"
    OTHER = "other"


STEP = ("global_step", "trainer/global_step", "step", "steps", "_step", "iteration", "iter", "iters", "it", "itr",
        "num_updates", "update", "updates", "n_iter", "batch", "global_iter", "batches")  # fmt: skip
EPOCH = ("epoch", "epochs", "ep", "train/epoch", "trainer/epoch", "current_epoch")
TIME = ("_timestamp", "timestamp", "wall_time", "walltime", "datetime", "date")

TRAINING = frozenset("train training tr trn".split())
HELD_OUT = frozenset("val valid validation eval evaluation dev test holdout heldout".split())
_NO_LOSS = frozenset("scale scaler weight weights best min max std count ratio".split())
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@functools.lru_cache(maxsize=1 << 14)  # the same few names, in a million lines
def parts(name: str) -> tuple[str, ...]:
    """ "Loss/trainEpoch" -> ("loss", "train", "epoch")."""
    return tuple(each.lower() for each in _PARTS.findall(name))


@functools.lru_cache(maxsize=1 << 14)
def role(name: str) -> Role:
    """The role that a name speaks of."""
    words = parts(name)
    said = set(words)
    joined = "_".join(words)
    if "lr" in said or joined.endswith(("learning_rate", "learningrate")) or re.search(r"learning_?rate", joined):
        return Role.RATE
    if _is_norm(said, joined):
        return Role.GRAD_NORM
    if not _is_loss(words) or said & _NO_LOSS:
        return Role.OTHER
    if said & HELD_OUT:
        return Role.VALIDATION_LOSS
    return Role.LOSS


def held_out(name: str) -> bool:
    """Whether the name speaks of data that are not trained on."""
    return bool(set(parts(name)) & HELD_OUT)


def _is_norm(said: set[str], joined: str) -> bool:
    if joined in ("norm", "total_norm", "gnorm", "grad", "gradnorm") or "gnorm" in said or "gradnorm" in said:
        return True
    return bool({"grad", "grads", "gradient", "gradients"} & said) and "norm" in said


def _is_loss(words: Iterable[str]) -> bool:
    return any(each.endswith("loss") or each in ("losses", "nll", "perplexity_loss") for each in words)


def preferred(names: Iterable[str], kind: Role) -> list[str]:
    """Names of one role, the whole run's own first: the total loss before its terms, single steps before epochs."""

    def order(name: str) -> tuple[int, int, int, str]:
        words = parts(name)
        said = set(words)
        plain = {"loss", "total", "step", "avg", "average", "mean", *TRAINING, *HELD_OUT}
        terms = len([each for each in words if each not in plain and not each.isdigit()])
        epochs = 1 if "epoch" in said else 0
        return (0 if "total" in said and kind is Role.LOSS else 1 if not terms else 2, epochs, len(words), name)

    return sorted(names, key=order)
