"""The loss where the user gave none: chosen by what the model gives, and by the targets where there are some."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn import functional

from dnndoctor.subject.inputs import Inputs
from dnndoctor.subject.outputs import Head, Output, at, parts
from dnndoctor.subject.tracing import SAMPLES

_VIEWS = ("Squeeze", "Unsqueeze", "View", "UnsafeView", "Reshape", "Transpose", "Permute", "Select", "Slice", "Alias")
Function = Callable[[torch.Tensor, Any], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Goal:
    """What one head of the output is to reach.

    ``kind``: of the target: "classes", "binary", "floats", "input" (its own input, named by ``of``) or "pairs" (1 and
    -1). ``shape``: of the target without the batch; ``classes``: labels are below it. ``rows``: so many, whatever the
    batch is (graphs out of nodes); 0: as many as samples.
    """

    place: tuple[str | int, ...]
    kind: str
    shape: tuple[int, ...]
    loss: Function
    told: str
    classes: int = 0
    of: str = ""
    rows: int = 0


@dataclass(frozen=True)
class Objective:
    """Goals of all heads, added; or the loss that the model makes itself, at ``own``."""

    goals: tuple[Goal, ...]
    told: str
    own: tuple[str | int, ...] | None = None
    divergence: tuple[tuple[str | int, ...], tuple[str | int, ...]] | None = None

    def __call__(self, output: Any, targets: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The loss; ``targets`` by the goals' keys."""
        if self.own is not None:
            loss: torch.Tensor = at(output, self.own)
            return loss.reshape(())
        total = (
            torch.stack([g.loss(at(output, g.place), targets[key(g)]) for g in self.goals])
            if len(self.goals) > 1
            else None
        )
        loss = (
            total.sum()
            if total is not None
            else self.goals[0].loss(at(output, self.goals[0].place), targets[key(self.goals[0])])
        )
        if self.divergence is not None:
            mean, log_variance = (at(output, place) for place in self.divergence)
            samples = loss.new_tensor(float(mean[0].numel() * len(mean)))
            loss = loss - 0.5 * (1 + log_variance - mean.pow(2) - log_variance.exp()).sum() / samples
        return loss


def key(goal: Goal) -> str:
    """The name of a goal's target in a batch."""
    return "target" + "".join(f".{each}" for each in goal.place)


def choose(inputs: Inputs, output: Output) -> Objective | None:
    """The objective for synthetic targets; None where nothing carries a gradient."""
    if output.loss is not None:
        return Objective((), "the loss that the model returns", own=output.loss)
    if not output.heads:
        return None
    every = (*output.heads, *output.others)
    images = {
        tuple(shape[1:]): path for path, shape in output.inputs.items() if inputs.leaves[path].kind in ("float", "unit")
    }
    found = _variational(every, images)
    if found is not None:
        return found
    pair = _pair(every)
    if pair is not None:
        return pair
    goals = tuple(
        replace(_goal(head, inputs, output, images), rows=0 if SAMPLES in head.shape[:2] else head.shape[0])
        for head in output.heads
        if head.shape
    )
    return Objective(goals, " + ".join(dict.fromkeys(goal.told for goal in goals)))


def _variational(every: tuple[Head, ...], images: Mapping[tuple[int, ...], str]) -> Objective | None:
    """A reconstruction, and beside it a mean and a logarithm of a variance of equal shape."""
    if len(every) != 3:
        return None
    again = [head for head in every if _original(head, images)]
    rest = [head for head in every if head not in again]
    if len(again) != 1 or len(rest) != 2 or rest[0].shape != rest[1].shape:
        return None
    goal = _reconstruction(again[0], images)
    told = "squared error of the reconstruction and the divergence of mean and log-variance (a variational autoencoder)"
    return Objective((goal,), told, divergence=(rest[0].place, rest[1].place))


def _pair(every: tuple[Head, ...]) -> Objective | None:
    """Two embeddings of two inputs."""
    if len(every) != 2 or every[0].shape != every[1].shape or len(every[0].shape) != 2:
        return None
    one, two = every[0].sources, every[1].sources
    if not one or not two or one & two:
        return None

    def alike(both: Any, target: torch.Tensor) -> torch.Tensor:
        return functional.cosine_embedding_loss(at(both, every[0].place), at(both, every[1].place), target)

    return Objective((Goal((), "pairs", (), alike, ""),), "cosine embedding loss between the two outputs")


def _original(head: Head, images: Mapping[tuple[int, ...], str]) -> str | None:
    """The input that the head has the shape of, flattened or not."""
    shape = head.shape[1:]
    flat = {_product(each): path for each, path in images.items()}
    return images.get(shape) or (flat.get(shape[0]) if len(shape) == 1 and shape[0] > 1 else None)


def _product(sizes: tuple[int, ...]) -> int:
    return int(torch.Size(sizes).numel())


def _reconstruction(head: Head, images: Mapping[tuple[int, ...], str]) -> Goal:
    of = _original(head, images) or ""
    return Goal(head.place, "input", head.shape[1:], squared, "squared error of the reconstruction", of=of)


def _goal(head: Head, inputs: Inputs, output: Output, images: Mapping[tuple[int, ...], str]) -> Goal:
    shape, made = head.shape, head.made_by
    if len(shape) > 1 and _original(head, images):
        return _reconstruction(head, images)
    if made == "sigmoid":
        return Goal(head.place, "binary", shape[1:], functional.binary_cross_entropy, "binary cross-entropy")
    dim = _class_dim(head, inputs, output)
    if dim is not None and shape[dim] > 1 and made != "tanh":
        rest = tuple(size for place, size in enumerate(shape[1:], start=1) if place != dim)
        told, loss = _over_classes(made, dim)
        return Goal(head.place, "classes", rest, loss, f"{told} over {shape[dim]} classes", classes=shape[dim])
    if len(shape) == 4 and shape[1] == 1 and _same_image(shape, output) and made != "tanh":
        logits = functional.binary_cross_entropy_with_logits
        return Goal(head.place, "binary", shape[1:], logits, "binary cross-entropy of logits")
    return Goal(head.place, "floats", shape[1:], squared, "squared error")


def _class_dim(head: Head, inputs: Inputs, output: Output) -> int | None:
    """The dimension of the classes, if the output looks like scores of classes."""
    shape = head.shape
    if len(shape) == 2:
        return 1
    if len(shape) == 3:
        lengths = {s[-1] for p, s in output.inputs.items() if len(s) == 3 and inputs.leaves[p].kind == "float"}
        return 1 if shape[2] in lengths and shape[1] not in lengths else 2
    if len(shape) >= 4 and _same_image(shape, output):
        return 1
    return None


def _same_image(shape: tuple[int, ...], output: Output) -> bool:
    return any(len(s) == len(shape) and s[2:] == shape[2:] for s in output.inputs.values())


def _over_classes(made: str, dim: int) -> tuple[str, Function]:
    def moved(scores: torch.Tensor) -> torch.Tensor:
        return scores.movedim(dim, 1) if dim != 1 else scores

    if made == "log_softmax":
        return "negative log-likelihood", lambda scores, labels: functional.nll_loss(moved(scores), labels)
    if made == "softmax":
        return "negative log-likelihood of the probabilities", lambda scores, labels: functional.nll_loss(
            moved(scores).clamp_min(1e-8).log(), labels
        )
    return "cross-entropy", lambda scores, labels: functional.cross_entropy(moved(scores), labels)


def squared(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean squared error, whatever way the target is laid out."""
    return functional.mse_loss(output, target.to(output.dtype).reshape(output.shape))


def by_targets(output: Any, targets: Any) -> tuple[torch.Tensor, str]:
    """The loss of an output against the user's own targets, and its name.

    Raises ValueError, in one line, where none is known.
    """
    found = [(place, t) for place, t in parts(output) if t.is_floating_point() and t.requires_grad]
    own = next((t for place, t in found if t.dim() == 0 or (place and str(place[-1]) == "loss")), None)
    if own is not None:
        return own.reshape(()), "the loss that the model returns"
    if not found:
        raise ValueError("the model's output carries no gradient to train by: give a loss (loss_fn or --loss)")
    scores = found[0][1]
    if not isinstance(targets, torch.Tensor):
        raise ValueError(f"no loss is known for targets of type {type(targets).__name__}: give one (loss_fn or --loss)")
    made = _made_by(scores)
    if not targets.is_floating_point():
        return _of_labels(scores, targets, made)
    if scores.numel() != targets.numel():
        raise ValueError(
            f"no loss is known for an output of {list(scores.shape)} and targets of {list(targets.shape)}: "
            "give one (loss_fn or --loss)"
        )
    targets = targets.reshape(scores.shape)
    zeros_and_ones = bool(((targets == 0) | (targets == 1)).all())
    if "Sigmoid" in made and zeros_and_ones:
        return functional.binary_cross_entropy(scores, targets.to(scores.dtype)), "binary cross-entropy"
    if zeros_and_ones and scores.dim() <= 2:
        loss = functional.binary_cross_entropy_with_logits(scores, targets.to(scores.dtype))
        return loss, "binary cross-entropy of logits, as the targets are 0 and 1"
    return squared(scores, targets), "squared error, as the targets are floats"


def _made_by(tensor: torch.Tensor) -> str:
    """The name of the node that made its values; views of them do not count."""
    node = tensor.grad_fn
    while node is not None and node.name().startswith(_VIEWS) and node.next_functions:
        node = node.next_functions[0][0]
    return node.name() if node is not None else ""


def _of_labels(scores: torch.Tensor, labels: torch.Tensor, made: str) -> tuple[torch.Tensor, str]:
    if labels.dim() == scores.dim() and labels.shape[1:2] == (1,) and scores.shape[1] > 1:
        labels = labels.squeeze(1)
    if scores.dim() == labels.dim() + 1 and scores.shape[-1 if scores.dim() == 2 else 1] > 1:
        last = scores.dim() > 2 and scores.shape[:-1] == labels.shape
        kind = "log_softmax" if "LogSoftmax" in made else "softmax" if "Softmax" in made else ""
        told, function = _over_classes(kind, scores.dim() - 1 if last else 1)
        return function(scores, labels.long()), f"{told}, as the targets are class labels"
    if scores.numel() != labels.numel():
        raise ValueError(
            f"no loss is known for an output of {list(scores.shape)} and labels of {list(labels.shape)}: "
            "give one (loss_fn or --loss)"
        )
    labels = labels.reshape(scores.shape)
    if bool((labels > 1).any()) or bool((labels < 0).any()):
        return squared(scores, labels), "squared error, as there is one output for each target"
    if "Sigmoid" in made and "Log" not in made:
        return functional.binary_cross_entropy(scores, labels.to(scores.dtype)), "binary cross-entropy"
    loss = functional.binary_cross_entropy_with_logits(scores, labels.to(scores.dtype))
    return loss, "binary cross-entropy of logits, as the targets are 0 and 1"
