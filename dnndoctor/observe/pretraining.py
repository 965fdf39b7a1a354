"""What training starts from: published architectures, loaded weights and how far they move, frozen batch norms."""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.weak import WeakIdKeyDictionary

from dnndoctor.observe import sampling
from dnndoctor.observe.data import flat_tensors
from dnndoctor.observe.source import caller
from dnndoctor.observe.transforms import readable
from dnndoctor.observe.window import Window

if TYPE_CHECKING:
    from dnndoctor.findings import Location
    from dnndoctor.observe.watch import Watch
    from dnndoctor.observe.window import Border

PUBLISHED = ("torchvision.models.", "timm.models.", "transformers.models.")
# Brings its own normalisation, or takes no still images.
NOT_IMAGES = ("torchvision.models.detection.", "torchvision.models.video.", "torchvision.models.optical_flow.")
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])  # torchvision's classification and segmentation weights
LOOKS = frozenset((0, 1, 2, 4, 9, 19, 34, 49))  # steps after which weights and statistics are compared
MOST = 256  # norms, parameters


@dataclass
class _Norm:
    """A batch norm as it was before its first watched call; ``weights``: a sum that tells whether it was changed."""

    statistics: torch.Tensor
    weights: float
    frozen: bool = True
    moved: bool = False


class Pretraining(Window):
    """Notes at the first calls and steps what there is, and after some steps what has changed."""

    name: ClassVar[str] = "pretraining"

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self._architectures: MutableMapping[nn.Module, dict[str, Any]] = WeakIdKeyDictionary()
        self._norms: MutableMapping[nn.Module, _Norm] = WeakIdKeyDictionary()
        self._first_norms: MutableMapping[nn.Module, dict[str, Any]] = WeakIdKeyDictionary()
        self._trains: MutableMapping[nn.Module, Location | None] = WeakIdKeyDictionary()
        self._start: MutableMapping[torch.Tensor, torch.Tensor] = WeakIdKeyDictionary()
        self._movement: list[list[float]] = []
        self._taken = False

    def install(self, border: Border) -> None:
        """Note where a model is put into training mode."""
        train, note, inside = nn.Module.train, border.shielded(self._note_train), [False]

        @functools.wraps(train)
        def noting(module: nn.Module, mode: bool = True) -> nn.Module:
            if not mode or inside[0]:
                return train(module, mode)
            note(module)
            inside[0] = True
            try:
                return train(module, mode)
            finally:
                inside[0] = False

        border.patch(nn.Module, "train", noting)

    def _note_train(self, module: nn.Module) -> None:
        if self.watch.observing and threading.get_ident() == self.watch.thread:
            self._trains[module] = caller(module)

    def called(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Look at a published architecture's input, and at a batch norm's, before it takes them in."""
        if isinstance(module, _BatchNorm):
            if module not in self._norms and len(self._norms) < MOST:
                self._note_norm(module, args)
        elif _published(module) and module not in self._architectures and not self._inside_published():
            self._architectures[module] = {"input": _image(args, kwargs), "normalization": _normalization(module)}

    def _inside_published(self) -> bool:
        return any(_published(each) for each in self.watch.stack[:-1])

    def _note_norm(self, norm: _BatchNorm, args: tuple[Any, ...]) -> None:
        if norm.running_mean is None or norm.running_var is None or not isinstance(norm.weight, torch.Tensor):
            return
        if not readable(norm.running_mean) or not readable(norm.weight) or not norm.weight.numel():
            return
        self._norms[norm] = _Norm(norm.running_mean.detach().clone(), float(norm.weight.detach().double().sum()))
        top = self.watch.modules.top(norm)
        if top not in self._first_norms:
            self._first_norms[top] = {}
            if args and isinstance(args[0], torch.Tensor) and self._loaded_until(top, norm):
                compared = _against(norm, args[0])
                if compared is not None:
                    self._first_norms[top] = {"name": self.watch.modules.path(norm), **compared}

    def _loaded_until(self, top: nn.Module, norm: nn.Module) -> bool:
        """Whether everything up to this norm came from a checkpoint."""
        for module in top.modules():
            if not all(self.watch.inventory.loaded(each) for each in module.parameters(recurse=False)):
                return False
            if module is norm:
                return True
        return False

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Before the first step: a sample of all loaded weights that this optimizer is to train."""
        if self.watch.step or self._taken:
            return
        self._taken = True
        for group in optimizer.param_groups:
            for each in group["params"]:
                loaded = each.requires_grad and each.dim() > 1 and self.watch.inventory.loaded(each)
                if loaded and readable(each) and len(self._start) < MOST:
                    self._start[each] = sampling.flat_sample(each, 1024).float().clone()

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        """After some steps: how far the loaded weights and the frozen norms' statistics have moved."""
        if self.watch.step not in LOOKS or optimizer is not self.watch.optimizers[0].optimizer:
            return
        held = self.watch._held()
        for norm, known in list(self._norms.items()):
            assert isinstance(norm, _BatchNorm)
            same = float(norm.weight.detach().double().sum()) == known.weights
            known.frozen = known.frozen and same and not _trained(norm, held)
            known.moved = not torch.equal(norm.running_mean, known.statistics)  # type: ignore[arg-type]
        if self._start:
            pairs = [(sampling.flat_sample(p, 1024).float(), before) for p, before in self._start.items()]
            squares = torch.stack([torch.stack(((a - b).square().sum(), b.square().sum())).cpu() for a, b in pairs])
            change, size = squares.sum(0).tolist()
            if size > 0 and math.isfinite(change):
                self._movement.append([self.watch.step + 1, math.sqrt(change / size)])

    def facts(self) -> dict[str, Any] | None:
        """Plain facts; None where there is neither an architecture, nor a batch norm, nor a loaded weight."""
        if not (self._architectures or self._norms or self._start):
            return None
        held = self.watch._held()
        optimizer = self.watch.optimizers[0] if self.watch.optimizers else None
        return {
            "architectures": [self._architecture(each, facts, held) for each, facts in self._architectures.items()],
            "frozen_norms": self._frozen_norms(held),
            "first_norms": [each for each in self._first_norms.values() if each],
            "movement": self._movement,
            "moving": len(self._start),
            "moving_location": optimizer.location if optimizer else None,
        }

    def _architecture(self, module: nn.Module, facts: dict[str, Any], held: set[int]) -> dict[str, Any]:
        parameters = list(module.parameters())
        loaded = [self.watch.inventory.loaded(each) for each in parameters]
        return {
            "name": type(module).__name__,
            "package": type(module).__module__.partition(".")[0],
            "location": self.watch.modules.location(module),
            "parameters": sum(each.numel() for each in parameters if readable(each)),
            "loaded": any(loaded),
            "trained": any(id(each) in held and each.requires_grad for each in parameters),
            **facts,
        }

    def _frozen_norms(self, held: set[int]) -> list[dict[str, Any]]:
        """By model: the batch norms behind frozen layers only whose statistics follow the batches all the same."""
        found = []
        for top in {id(each): each for each in map(self.watch.modules.top, self._norms)}.values():
            in_training = any(_trained(each, held) for each in top.modules())
            if not in_training and any(each.requires_grad for each in top.parameters()):
                continue  # nobody froze it: it is only not trained
            moving, norms = [], 0
            for module in top.modules():
                if _trained(module, held):
                    break
                if module in self._norms:
                    known, norms = self._norms[module], norms + 1
                    moving += [self.watch.modules.path(module)] if known.frozen and known.moved else []
            if moving:
                row = {"model": type(top).__name__, "norms": norms, "moving": moving}
                found.append(row | {"location": self._train_call(top)})
        return found

    def _train_call(self, top: nn.Module) -> Location | None:
        """The line that last put the model, or what holds it, into training mode; else the line that built it."""
        own = {id(each) for each in top.modules()}
        calls = [place for module, place in self._trains.items() if id(module) in own and place is not None]
        return calls[-1] if calls else self.watch.modules.location(top)


def _trained(module: nn.Module, held: set[int]) -> bool:
    """Whether an optimizer changes parameters of its own."""
    return any(each.requires_grad and id(each) in held for each in module.parameters(recurse=False))


def _published(module: nn.Module) -> bool:
    return type(module).__module__.startswith(PUBLISHED) and next(module.parameters(), None) is not None


def _normalization(module: nn.Module) -> list[list[float]] | None:
    """Mean and standard deviation per channel of what the published weights were trained on, where it is known."""
    package = type(module).__module__
    if package.startswith("torchvision.") and not package.startswith(NOT_IMAGES):
        return [list(each) for each in IMAGENET]
    known = getattr(module, "pretrained_cfg", None) or getattr(module, "default_cfg", None)
    if package.startswith("timm.") and isinstance(known, dict) and known.get("mean") and known.get("std"):
        return [[float(each) for each in known[key]] for key in ("mean", "std")]
    return None


def _image(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, float] | None:
    """Range and statistics of the first argument that is a batch of color images, [n, 3, h, w]."""
    for each in flat_tensors((args, kwargs)):
        if each.dim() == 4 and each.shape[1] == 3 and each.is_floating_point() and readable(each) and each.numel():
            low, high = torch.aminmax(each.detach())
            sample = sampling.flat_sample(each).double()
            return {"low": float(low), "high": float(high), "mean": float(sample.mean()), "std": float(sample.std())}
    return None


def _against(norm: _BatchNorm, value: torch.Tensor) -> dict[str, Any] | None:
    """What enters a batch norm against the statistics that it has learned; None where they do not compare.

    ``ratio``: variance over the learned one, median over channels; ``shift``: distance of the means in learned
    standard deviations, median over channels.
    """
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, var = norm.running_mean.detach().float(), norm.running_var.detach().float()
    fresh = bool((mean == 0).all()) and bool((var == 1).all())
    if fresh or not readable(value) or value.dim() < 2 or value.shape[1] != len(mean):
        return None
    rows = value.detach().float().transpose(0, 1).reshape(len(mean), -1)
    if rows.shape[1] < 16:
        return None
    alive = var > 1e-12
    if not bool(alive.any()):
        return None
    ratio = (rows.var(1) / var)[alive].median()
    shift = ((rows.mean(1) - mean).abs() / var.sqrt())[alive].median()
    return {"ratio": float(ratio), "shift": float(shift), "channels": int(alive.sum()), "values": rows.shape[1]}
