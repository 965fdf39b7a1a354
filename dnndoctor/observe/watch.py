"""The watch over the user's own steps: what the hooks see, brought together and written down."""

from __future__ import annotations

import math
import os
import time
import traceback
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import nn

from dnndoctor.findings import Location
from dnndoctor.observe import names, steps, tables
from dnndoctor.observe.data import Fed, flat_tensors, kind_of
from dnndoctor.observe.forward import ForwardWatch, Watched
from dnndoctor.observe.loaders import Loaders
from dnndoctor.observe.non_finite import find_first
from dnndoctor.observe.passes import Pass, Passes, depends_on_mode, identity
from dnndoctor.observe.source import caller, variable_names
from dnndoctor.observe.statistics import ActivationRows
from dnndoctor.recording.writer import Writer

SAMPLED_STEPS = frozenset((0, 1, 2, 3, 4, 6, 8, 10, 13, 16, 20, 25, 30, 35, 40, 45, 49))


class Watch:
    """Sees passes, backwards and steps while ``observing``; knows nothing of probes."""

    def __init__(self, writer: Writer, script: str = "") -> None:
        self.writer = writer
        self.script = script
        self.modules = names.Modules()
        self.forward = ForwardWatch(self._module_now, self.fail)
        self.loaders = Loaders()
        self.passes = Passes()
        self.optimizers: list[steps.OptimizerFacts] = []
        self.optimizer_built: WeakKeyDictionary[Any, Location | None] = WeakKeyDictionary()
        self.schedulers: WeakKeyDictionary[Any, None] = WeakKeyDictionary()
        self.scalers: WeakKeyDictionary[Any, None] = WeakKeyDictionary()
        self.unscaled: dict[int, torch.Tensor] = {}
        self.observing = True
        self.deep = True  # the first steps are watched operation by operation
        self.failure: str | None = None
        self.pretrained = False
        self.clipped = False
        self.step = 0
        self.stack: list[nn.Module] = []
        self.root_inputs: dict[nn.Module, tuple[tuple[Any, ...], dict[str, Any]]] = {}
        self.losses: list[torch.Tensor] = []
        self.step_losses: list[float] = []
        self.step_seconds: list[float] = []
        self.batch_sizes: list[int] = []
        self.backward_roots: set[int] = set()
        self.backward_location: Location | None = None
        self.backward_seen = False
        self.zero_location: Location | None = None
        self.batch_size = 0
        self.fed: dict[str, Fed] = {}
        self.root_finite = True
        self.non_finite = False
        self.received: set[int] = set()
        self.effective: dict[int, int] = {}
        self.used: set[str] = set()
        self.without_gradients: dict[int, Location | None] = {}
        self._pass: Pass | None = None
        self._held_now: set[int] = set()
        self._held_by = 0
        self._activations = ActivationRows()
        self._weights_before: dict[int, list[torch.Tensor]] = {}
        self._operations_written = 0
        self._step_started = time.perf_counter()
        self._loader_seconds = 0.0
        self._compute_seconds = 0.0
        self._grad_squares = 0.0

    # modules

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A module is called."""
        self.stack.append(module)
        if len(self.stack) == 1 and self.observing:
            self._open_pass(module, args, kwargs)
        if self.deep and self.observing and not torch.is_grad_enabled():
            for parameter in module.parameters(recurse=False):
                self.without_gradients.setdefault(id(parameter), caller())
        if self._pass is not None and depends_on_mode(module):
            self._note_mode(self._pass, module)

    def leave(self, module: nn.Module, output: Any) -> None:
        """A module has returned, or raised."""
        while self.stack and self.stack.pop() is not module:
            pass
        if not self.stack:
            if self._pass is not None and self._pass.gradients and self.deep:
                found = flat_tensors(output)
                self.root_finite = all(
                    bool(torch.isfinite(t.detach()).all()) for t in found[:2] if t.is_floating_point()
                )
            self._pass = None

    def _module_now(self) -> tuple[str, Any, Location | None]:
        if not self.stack:
            return "", None, None
        module = self.stack[-1]
        return self.modules.path(module), module, self.modules.location(module)

    def _open_pass(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self.modules.top(module) is not module:
            self.modules.index(module)
        has_parameters = any(True for _ in module.parameters())
        tensors = flat_tensors((args, kwargs))
        if not has_parameters:
            return
        gradients = torch.is_grad_enabled()
        loader = self.loaders.current.index if self.loaders.current else None
        held = self._held()
        trainable = any(p.requires_grad and (not held or id(p) in held) for p in module.parameters())
        where = caller()
        model = self.modules.path(module) or type(module).__name__
        fetched = self.loaders.current.batches if self.loaders.current else 0
        self._pass = Pass(model, where, gradients, loader, identity(tensors, fetched), trainable, module.training)
        self.passes.open(self._pass)
        if gradients and self.deep and tensors:
            self._name_parameters()
            self.root_inputs[module] = (args, kwargs)
            self.batch_size = max(self.batch_size, int(tensors[0].shape[0]) if tensors[0].dim() else 1)
            for position, tensor in enumerate(tensors[:4]):
                self._feed("input", f"argument {position + 1} of {type(module).__name__}", where, tensor)

    def _note_mode(self, one: Pass, module: nn.Module) -> None:
        self.passes.mode_layers = True
        path = self.modules.path(module) or type(module).__name__
        (one.active if module.training else one.inactive).add(path)
        if not module.training:
            top = self.modules.top(module)
            owner = top.get_submodule(path.rpartition(".")[0]) if self._plain_path(top, path) else top
            held = self._held()
            if any(id(p) in held for p in owner.parameters()):
                one.inactive_trained.add(path)

    def _held(self) -> set[int]:
        """Parameters, by id, that some optimizer holds."""
        if self._held_by != len(self.optimizer_built):
            groups = [group for each in self.optimizer_built for group in each.param_groups]
            self._held_now = {id(p) for group in groups for p in group["params"]}
            self._held_by = len(self.optimizer_built)
        return self._held_now

    @staticmethod
    def _plain_path(top: nn.Module, path: str) -> bool:
        try:
            top.get_submodule(path.rpartition(".")[0])
        except AttributeError:
            return False
        return True

    def _name_parameters(self) -> None:
        if not self.forward.parameter_names or self.step < 2:
            if not self.modules.tops:
                self.modules.index()
            for name, _, _, parameter in self.modules.named_parameters():
                self.forward.parameter_names[id(parameter)] = name

    def _feed(self, role: str, name: str, location: Location | None, tensor: torch.Tensor) -> None:
        if not tensor.numel() or tensor.layout is not torch.strided:
            return
        fed = self.fed.get(name)
        if fed is None:
            place = self.loaders.current.location if self.loaders.current else None
            fed = self.fed[name] = Fed(role, name, place or location, kind_of(tensor), tuple(tensor.shape))
        fed.take(tensor, self.step, self.step in SAMPLED_STEPS)

    # backward

    def before_backward(self, tensors: list[torch.Tensor]) -> None:
        """Backward is about to run on these."""
        if not self.observing:
            return
        self.backward_seen = True
        if self.backward_location is None:
            self.backward_location = caller()
        for tensor in tensors:
            maker = self.forward.maker(tensor)
            if maker is not None:
                self.backward_roots.add(maker)
        for each in self.optimizers:
            each.before_backward()
        self.passes.backward()

    def after_backward(self) -> None:
        """Backward has run."""
        if self.observing:
            for each in self.optimizers:
                each.after_backward()

    # steps

    def facts_of(self, optimizer: torch.optim.Optimizer) -> steps.OptimizerFacts:
        """The facts of an optimizer, made at its first step."""
        for each in self.optimizers:
            if each.optimizer is optimizer:
                return each
        facts = steps.describe(optimizer, len(self.optimizers), self.optimizer_built.get(optimizer))
        self.optimizers.append(facts)
        facts.backwards = 1
        return facts

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer is about to step."""
        facts = self.facts_of(optimizer)
        if facts.step_location is None:
            facts.step_location = caller()
        facts.before_step()
        if not self.forward.parameter_names:
            self._name_parameters()
        parameters = facts.parameters()
        norms = steps.gradient_norms(parameters)
        self._note_gradients(facts, parameters, norms)
        if self.deep and self.step in SAMPLED_STEPS:
            self._weights_before[facts.index] = steps.weight_samples(parameters)

    def _note_gradients(
        self, facts: steps.OptimizerFacts, parameters: list[torch.Tensor], norms: list[float | None]
    ) -> None:
        rate = facts.rate()
        facts.peak_rate, facts.last_rate = max(facts.peak_rate, rate), rate
        rows = []
        for parameter, norm in zip(parameters, norms, strict=True):
            key = id(parameter)
            if rate > 0:
                self.effective[key] = self.effective.get(key, 0) + 1
            if norm:
                self.received.add(key)
            if norm is not None:
                self._grad_squares += norm * norm
                rms = norm / math.sqrt(max(parameter.numel(), 1))
                rows.append({"step": self.step, "parameter": self._name(facts, parameter), "rms": rms})
        if self.deep:
            self.writer.put_all("gradient", rows)
        if self.deep and not math.isfinite(self._grad_squares):
            self._look_for_non_finite("gradient")

    def _name(self, facts: steps.OptimizerFacts, parameter: torch.Tensor) -> str:
        known = self.forward.parameter_names.get(id(parameter))
        if known is None:
            position = next(i for i, p in enumerate(facts.parameters()) if p is parameter)
            known = self.forward.parameter_names[id(parameter)] = f"parameter{position}"
        return known

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer has stepped."""
        facts = self.facts_of(optimizer)
        before = self._weights_before.pop(facts.index, None)
        parameters = facts.parameters()
        if before is not None and len(before) == len(parameters):
            ratios = steps.update_ratios(parameters, before)
            self.writer.put_all(
                '"update"',
                [
                    {"step": self.step, "parameter": self._name(facts, p), "ratio": r}
                    for p, r in zip(parameters, ratios, strict=True)
                ],
            )
        facts.after_step()
        self.passes.step()
        if self.loaders.current is not None:
            self.loaders.current.steps += 1
        if facts.index == 0:
            self._end_step(facts)

    def name_loose(self, parameters: list[torch.Tensor]) -> None:
        """Name tensors that no module holds by the variables that hold them."""
        self._name_parameters()
        loose = {id(p): p for p in parameters if id(p) not in self.forward.parameter_names}
        if loose:
            found = variable_names(dict(loose))
            for number, key in enumerate(loose):
                self.forward.parameter_names[key] = found.get(key, f"parameter{number}")

    def _end_step(self, facts: steps.OptimizerFacts) -> None:
        loss = sum(float(each) for each in self.losses) if self.losses else math.nan
        self.losses.clear()
        self.unscaled.clear()
        self.step_losses.append(loss)
        now = time.perf_counter()
        data = self.loaders.seconds - self._loader_seconds
        compute = max(now - self._step_started - data, 0.0)
        self.step_seconds.append(compute)
        if self.batch_size:
            self.batch_sizes.append(self.batch_size)
        self.writer.put(
            "step",
            {
                "step": self.step,
                "loss": loss if math.isfinite(loss) else None,
                "learning_rate": facts.rate(),
                "grad_norm": math.sqrt(self._grad_squares) if math.isfinite(self._grad_squares) else None,
                "data_seconds": data,
                "compute_seconds": compute,
                "backwards": facts.backwards_total,
                "batch_size": self.batch_size,
            },
        )
        if self.deep:
            if not math.isfinite(loss):
                self._look_for_non_finite("loss")
            self._write_watched(self.forward.step)
        self.step += 1
        self.batch_size = 0
        self._grad_squares = 0.0
        if self.deep:
            self.forward.sampling = self.step in SAMPLED_STEPS
            self.forward.begin()
        if self.step in SAMPLED_STEPS:
            self.flush()
        self._loader_seconds = self.loaders.seconds
        self._step_started = time.perf_counter()

    def resume(self) -> None:
        """Observing goes on after a probe: time and gradients start anew."""
        self.forward.begin()
        self._loader_seconds = self.loaders.seconds
        self._step_started = time.perf_counter()
        for each in self.optimizers:
            each.interrupted = True

    def fail(self, bug: Exception) -> None:
        """Something of ours broke: look no further, and let the user's script not feel it."""
        place = traceback.extract_tb(bug.__traceback__)[-1]
        where = f"{os.path.basename(place.filename)}:{place.lineno}"
        self.failure = self.failure or f"{type(bug).__name__}: {bug} ({where})"
        self.observing = self.deep = self.forward.active = False

    def begin_shallow(self) -> None:
        """From now on only passes and steps are noted."""
        self.deep = False
        self.forward.active = False

    @property
    def same_batch_again(self) -> bool:
        """Every watched step took the same samples."""
        inputs = [each.rows for each in self.fed.values() if each.role == "input"]
        return any(len(rows) > 1 and all(np.array_equal(each, rows[0]) for each in rows) for rows in inputs)

    def typical_batch(self) -> int:
        """Samples per step at the model, median."""
        sizes = sorted(self.batch_sizes)
        return sizes[len(sizes) // 2] if sizes else 0

    def accumulation(self) -> int:
        """Backward passes per step of the lead optimizer."""
        lead = self.optimizers[0]
        return max(round(lead.backwards_total / max(lead.steps, 1)), 1)

    def _look_for_non_finite(self, what: str) -> None:
        if self.non_finite:
            return
        self.non_finite = True
        row = find_first(self.forward, self.fed, self.step, what, self.step_losses)
        self.writer.put("event", {"id": 1, "kind": "non-finite", **row})

    def _write_watched(self, watched: Watched) -> None:
        first = self._operations_written == 0
        self._write_operations()
        for index, target in watched.targets.items():
            operation = self.forward.operations[index]
            self._feed("target", f"target of {operation.name}", operation.location, target)
        if first:
            self._write_losses(watched)
        if not watched.samples:
            return
        self.writer.put_all("activation", self._activations.rows(self.step, watched, self.forward.operations))
        sizes = [(i, n) for i, n, _ in watched.gradients]
        if sizes:
            table = torch.stack([g.to(watched.gradients[0][2].device) for _, _, g in watched.gradients]).tolist()
            rows = {
                i: {"step": self.step, "operation": i, "rms": norm / math.sqrt(n) if math.isfinite(norm) else None}
                for (i, n), norm in zip(sizes, table, strict=True)
            }
            self.writer.put_all("output_gradient", rows.values())

    def _write_operations(self) -> None:
        new = self.forward.operations[self._operations_written :]
        self._operations_written = len(self.forward.operations)
        self.writer.put_all(
            "operation",
            [
                {
                    "id": o.index,
                    "name": o.name,
                    "module": o.module,
                    "module_class": o.module_class,
                    "inputs": o.inputs,
                    "parameters": o.parameters,
                    "shape": o.shape,
                    "input_shape": o.input_shape,
                    "differentiable": o.differentiable,
                    "attributes": o.attributes,
                    "location": o.location,
                }
                for o in new
            ],
        )
        for each in new:
            self.used.update(each.parameters)

    def _write_losses(self, watched: Watched) -> None:
        values = {index: float(value) for index, value in watched.values.items()}
        self.writer.put_all("loss", [{"operation": i, "facts": {"value": v}} for i, v in values.items()])

    def flush(self) -> None:
        """Bring the tables that are rewritten as a whole up to date, and commit."""
        tables.write(self)
