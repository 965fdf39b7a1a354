"""Half and twice the hidden width: the same training on copies whose hidden layers are narrower or wider.

Only feed-forward models of linear and convolution layers, whose inner dimensions meet nothing but each other. The
weights of every copy, the one of the user's own width too, are drawn anew at the scale of the user's: no width starts
with an advantage.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from dnndoctor.observe.data import flat_tensors
from dnndoctor.observe.watch import Watch
from dnndoctor.probes import overfitting
from dnndoctor.probes.course import follow, split
from dnndoctor.probes.room import Room, Unable
from dnndoctor.probes.task import Task, task_of

NAME = "width"
FACTORS = (1.0, 0.5, 2.0)
SEEDS = 2
SECONDS = 2.0  # where nothing is wrong
COST = 4.5  # steps of the user's width that a step of all three takes, at most
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def measure(watch: Watch, room: Room) -> None:
    """Record training and held-out losses at each width."""
    watch.writer.put("probe", {"name": NAME, "facts": _facts(watch, room)})


def _facts(watch: Watch, room: Room) -> dict[str, Any]:
    known, task = overfitting.measured(watch), task_of(watch)
    seconds = room.seconds if overfitting.grows(known) else min(room.seconds, SECONDS)
    affordable = int(0.7 * seconds / (SEEDS * COST * max(known["per_step"], 1e-6)))
    steps, deadline = min(known["marks"][-1], affordable), room.deadline
    fewest = min(overfitting.FEWEST_STEPS, known["marks"][-1])
    if steps < fewest:
        raise Unable(f"a step takes {known['per_step']:.2g} s: there is no time for {fewest} at every width")
    found = []
    for factor in FACTORS:
        training, held_out = [], []
        for seed in range(SEEDS):
            twin = scaled(task, factor, seed)
            course = follow(task, twin, split(task.rows, overfitting.HELD_OUT, seed), [steps], deadline)
            if not course.finished:
                raise Unable("the time was up, or the loss was no longer finite")
            training.append(course.training[-1].loss)
            held_out.append(course.held_out[-1].loss)
        size = sum(each.numel() for each in twin.parameters())
        found.append({"factor": factor, "parameters": size, "training_loss": training, "held_out_loss": held_out})
    return {"steps": steps, "widths": found}


def scaled(task: Task, factor: float, seed: int) -> nn.Module:
    """A copy with its hidden widths times ``factor``. Raises Unable where that cannot be done safely."""
    twin = task.model()
    rows = torch.arange(min(task.rows, 4))
    before = [each.shape for each in flat_tensors(task.outputs(twin, rows))]
    order = called(task, twin)
    weighted = [each for each in order if isinstance(each, (nn.Linear, *CONVOLUTIONS))]
    covered = {id(p) for each in order for p in each.parameters(recurse=False)}
    if len(weighted) < 2 or any(id(p) not in covered for p in twin.parameters()) or len(set(order)) < len(order):
        raise Unable("the model is no chain of linear and convolution layers")
    generator = torch.Generator().manual_seed(seed)
    old = new = 0  # units of the layer before
    for layer in order:
        if isinstance(layer, (_BatchNorm, nn.LayerNorm)):
            _resize_norm(layer, old, new)
            continue
        ins, outs = _widths(layer)
        if old and (ins % old or getattr(layer, "groups", 1) != 1):
            raise Unable("the widths of neighbouring layers do not meet")
        wider = outs if layer is weighted[-1] else max(round(outs * factor), 1)
        _redraw(layer, ins // old * new if old else ins, wider, generator)
        old, new = outs, wider
    try:
        after = [each.shape for each in flat_tensors(task.outputs(twin, rows))]
    except RuntimeError as why:
        raise Unable("another width does not fit through the model") from why
    if after != before:
        raise Unable("another width changes the model's output")
    return twin


def called(task: Task, twin: nn.Module) -> list[nn.Module]:
    """The modules with parameters of their own, in the order in which one pass calls them."""
    order: list[nn.Module] = []
    own = [each for each in twin.modules() if next(each.parameters(recurse=False), None) is not None]
    if not all(isinstance(each, (nn.Linear, *CONVOLUTIONS, _BatchNorm, nn.LayerNorm)) for each in own):
        raise Unable("the model has other parameters than those of linear, convolution and norm layers")
    notes = [each.register_forward_pre_hook(lambda module, _: order.append(module)) for each in own]
    task.scores(twin, torch.arange(min(task.rows, 4)))
    for each in notes:
        each.remove()
    return order


def _widths(layer: Any) -> tuple[int, int]:
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    return layer.in_channels, layer.out_channels


def _redraw(layer: Any, ins: int, outs: int, generator: torch.Generator) -> None:
    """Draw a layer's weights anew for these widths; their spread follows the fan-in."""
    weight = layer.weight
    std = float(weight.detach().std()) * math.sqrt(weight.shape[1] / ins)
    fresh = torch.randn((outs, ins, *weight.shape[2:]), generator=generator) * std
    layer.weight = nn.Parameter(fresh.to(weight), requires_grad=weight.requires_grad)
    if layer.bias is not None:
        spread = float(layer.bias.detach().std()) if layer.bias.numel() > 1 else 0.0
        bias = torch.randn(outs, generator=generator) * spread
        layer.bias = nn.Parameter(bias.to(weight), requires_grad=layer.bias.requires_grad)
    if isinstance(layer, nn.Linear):
        layer.in_features, layer.out_features = ins, outs
    else:
        layer.in_channels, layer.out_channels = ins, outs


def _resize_norm(norm: Any, old: int, new: int) -> None:
    """Give a norm the width of the layer before it; where there is none its width is the input's, and stays."""
    size = norm.normalized_shape[-1] if isinstance(norm, nn.LayerNorm) else norm.num_features
    if not old:
        return
    if size != old or (isinstance(norm, nn.LayerNorm) and len(norm.normalized_shape) > 1):
        raise Unable("a norm is not as wide as the layer before it")
    if isinstance(norm, nn.LayerNorm):
        norm.normalized_shape = (new,)
    else:
        norm.num_features = new
    for name, value in (*norm.named_parameters(recurse=False), *norm.named_buffers(recurse=False)):
        if value.dim() == 1:
            fresh = value.detach()[:1].expand(new).clone()
            again = nn.Parameter(fresh, requires_grad=value.requires_grad) if isinstance(value, nn.Parameter) else fresh
            setattr(norm, name, again)
