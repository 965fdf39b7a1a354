"""The watch over the user's own steps: what the hooks see, brought together and written down."""

from __future__ import annotations

import math
import os
import threading
import time
import traceback
from collections.abc import Callable, MutableMapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.weak import WeakIdKeyDictionary

from dnndoctor.findings import Location
from dnndoctor.observe import names, steps, tables
from dnndoctor.observe.by_hand import ByHand
from dnndoctor.observe.data import Fed, batch_size, flat_tensors, kind_of
from dnndoctor.observe.direct import DirectCall, direct_call
from dnndoctor.observe.forward import ForwardWatch, Watched
from dnndoctor.observe.found import Found
from dnndoctor.observe.inventory import Inventory, fingerprint
from dnndoctor.observe.loaders import LoaderFacts, Loaders
from dnndoctor.observe.non_finite import find_first
from dnndoctor.observe.passes import Pass, Passes, depends_on_mode, identity
from dnndoctor.observe.refused import refused
from dnndoctor.observe.signs import Signs
from dnndoctor.observe.source import caller, callers, name_here, variable_names
from dnndoctor.observe.statistics import ActivationRows
from dnndoctor.observe.transforms import readable
from dnndoctor.observe.window import Windows
from dnndoctor.observe.windows import WINDOWS
from dnndoctor.recording.writer import Writer

PASSES_IN_TRIALS = 100
BACKWARDS_WITHOUT_STEP = 3  # of an optimizer that was built
STEPS_OF_A_NEW_LEAD, STEPS_WITHOUT_LEAD = 3, 25  # the longest schedule of two networks in use is 5 to 1, or 10
SAMPLED_STEPS = frozenset((0, 1, 2, 3, 4, 6, 8, 10, 13, 16, 20, 25, 30, 35, 40, 45, 49))

Call = tuple[tuple[Any, ...], dict[str, Any]]


class Watch:
    """Sees passes, backwards and steps while ``observing``; knows nothing of probes."""

    def __init__(self, writer: Writer, script: str = "") -> None:
        self.writer = writer
        self.script = script
        self.scratch = ""  # a folder of ours that all processes of the script can write to
        self.modules = names.Modules()
        self.inventory = Inventory()
        self.by_hand = ByHand()
        self.thread = threading.get_ident()  # the one that trains
        self.inside_backward = False
        self.building_own = False  # an optimizer of ours is built, none of the user's
        self.evaluated_already = False  # a closure, in this step
        self.forward = ForwardWatch(self._module_now, self._met, self.fail)
        self.signs = Signs(self)
        self.windows = Windows(each(self) for each in WINDOWS)
        self.forward.note = self._note_function
        self.forward.raised = self._note_raised
        self.refused: dict[str, Any] | None = None  # what a loss raised on last
        self.found = Found()
        self.loaders = Loaders()
        self.passes = Passes()
        self.optimizers: list[steps.OptimizerFacts] = []
        self.optimizer_built: MutableMapping[Any, Location | None] = WeakIdKeyDictionary()
        self.built_at_step: MutableMapping[Any, int] = WeakIdKeyDictionary()
        self.schedulers: MutableMapping[Any, None] = WeakIdKeyDictionary()
        self.scalers: MutableMapping[Any, None] = WeakIdKeyDictionary()
        self.unscaled: dict[int, torch.Tensor] = {}
        self.observing = True
        self.passes_in_trials = PASSES_IN_TRIALS  # whose modes are noted, since modes do not depend on the rate
        self.deep = True  # the first steps are watched operation by operation
        self.failure: str | None = None
        self.pretrained = False
        self.clipped = False
        self.step = 0
        self.stack: list[nn.Module] = []
        self.root_inputs: MutableMapping[nn.Module, Call] = WeakIdKeyDictionary()
        self.losses: list[torch.Tensor] = []
        self.step_losses: list[float] = []
        self.step_seconds: list[float] = []
        self.batch_sizes: list[int] = []
        self.backward_roots: set[int] = set()
        self.backward_location: Location | None = None
        self.backward_callers: list[Location] = []
        self.backward_seen = False
        self.backwards = 0
        self.zero_location: Location | None = None
        self.batch_size = 0
        self.fed: dict[str, Fed] = {}
        self.root_finite = True
        self.non_finite = False
        self.received: set[int] = set()
        self.zero_gradients: set[int] = set()  # of parameters that a gradient of nothing but zeros has reached
        self.effective: dict[int, int] = {}
        self.used: set[str] = set()
        self.without_gradients: dict[int, Location | None] = {}
        self._pass: Pass | None = None
        self._direct: DirectCall | None = None
        self._direct_part: nn.Module | None = None
        self._blind: tuple[nn.Module, Location | None] | None = None
        self._held_now: set[int] = set()
        self._held_by = 0
        self._activations = ActivationRows()
        self._weights_before: dict[int, list[torch.Tensor]] = {}
        self._operations_written = 0
        self._step_started = time.perf_counter()
        self._loader_seconds = 0.0
        self._compute_seconds = 0.0
        self._grad_squares = 0.0
        self._flushed = self._flush_seconds = 0.0

    def _note_function(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        self.signs.see(func, args, kwargs, result)
        with torch._C.DisableTorchFunction():  # a mode of the user's shall not see what looking calls
            self.windows.tell("function", func, args, kwargs, result)

    def _note_raised(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.refused = refused(func, args, kwargs) or self.refused

    # modules

    def note_loaded(self, module: nn.Module, before: tuple[object, ...]) -> None:
        """Weights were loaded: none if they were those already, a copy if another living model has them."""
        now = fingerprint(module)
        if now == before:
            return
        self.inventory.note_loaded(module)
        others = (each for each in self.modules.living() if each is not module and type(each) is type(module))
        self.pretrained = self.pretrained or all(fingerprint(each) != now for each in others)

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A module is called."""
        self.stack.append(module)
        if self.inside_backward:
            return  # a checkpointed segment is computed again
        self.signs.enter(module)
        if self.deep and self.observing:
            self.windows.tell("called", module, args, kwargs)
        if len(self.stack) == 1:
            self._begin(module, args, kwargs)
        if self.deep and self.observing and not torch.is_grad_enabled():
            if self._blind is None:
                self._blind = (module, caller())  # the outermost call without gradients, for all that it calls
            for parameter in module.parameters(recurse=False):
                self.without_gradients.setdefault(id(parameter), self._blind[1])
        if self._pass is not None and depends_on_mode(module):
            self._note_mode(self._pass, module)

    def _begin(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A call that is inside of no other: of a model, or of a part whose model's ``forward`` was called directly."""
        if self.modules.top(module) is not module and self.modules.stale:
            self.modules.index(module)
        top = self.modules.top(module)
        if top is module:
            self._open_pass(module, args, kwargs)
            return
        call = direct_call(module, top)
        if call is None:
            self._open_pass(module, args, kwargs)
        elif self._direct is not None and self._direct.goes_on(call):
            self._pass = self._direct.opened
        else:
            self._direct = call
            if call.args is not None:
                self._open_pass(top, call.args, {}, where=call.location)
            else:
                self._open_pass(top, args, kwargs, called=module)
            call.opened = self._pass

    def leave(self, module: nn.Module, output: Any) -> None:
        """A module has returned, or raised."""
        self._direct_part = None
        if self._blind is not None and self._blind[0] is module:
            self._blind = None
        self.signs.leave(module, output)
        if self.deep and self.observing and not self.inside_backward:
            self.windows.tell("returned", module, output)
        while self.stack and self.stack.pop() is not module:
            pass
        if not self.stack:
            if self._pass is not None and self._pass.gradients and self.deep and self.observing:
                found = flat_tensors(output)
                self.root_finite = all(
                    bool(torch.isfinite(t.detach()).all())
                    for t in found[:2]
                    if t.is_floating_point() and readable(t) and t.layout is torch.strided
                )
            self._pass = None

    def _met(self, parameter: torch.Tensor | None, data: list[torch.Tensor]) -> None:
        """A parameter is used, perhaps on ``data``; None: no longer.

        Outside of any call of a module, its module's ``forward`` was called directly, or no module holds it.
        """
        self._direct_part = None
        if self.stack or parameter is None:
            return
        module = self.modules.owner(parameter)
        if module is not None:
            own = direct_call(module, module)
            if own is not None:  # else it is clipped, penalised or the like
                self._direct_part = module
                self._begin(module, own.args or (), {})
        elif self.deep and self.observing and data:
            self.batch_size = max(self.batch_size, batch_size(data))
            name = self.forward.parameter_names[id(parameter)]
            self._feed("input", f"input at {name}", caller(), data[0])

    def _module_now(self) -> tuple[str, Any, Location | None]:
        module = self.stack[-1] if self.stack else self._direct_part
        if module is None:
            return "", None, None
        return self.modules.path(module), module, self.modules.location(module)

    def _open_pass(
        self,
        module: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        called: nn.Module | None = None,
        where: Location | None = None,
    ) -> None:
        """``called``: the part that was called with these arguments, where it is not the module itself."""
        has_parameters = any(True for _ in module.parameters())
        tensors = flat_tensors((args, kwargs))
        if not has_parameters:
            return
        gradients = torch.is_grad_enabled()
        loader = self.loaders.current.index if self.loaders.current else None
        if self.loaders.current and not gradients:
            self.loaders.current.evaluated = True
        held = self._held()
        trainable = any(p.requires_grad and (not held or id(p) in held) for p in module.parameters())
        where = where or caller()
        model = self.modules.path(module) or type(module).__name__
        fetched = self.loaders.current.batches if self.loaders.current else 0
        self._pass = Pass(model, where, gradients, loader, identity(tensors, fetched), trainable, module.training)
        self.passes.open(self._pass)
        if gradients and self.observing and not self.step and not self.backward_seen:
            # The first step begins here: what lies behind are imports and preparations.
            self._step_started, self._loader_seconds = time.perf_counter(), self.loaders.seconds
        self.passes_in_trials -= not self.observing
        if gradients and self.deep and self.observing and tensors:
            self._name_parameters()
            self.root_inputs[called or module] = (args, kwargs)
            self.batch_size = max(self.batch_size, batch_size(tensors))
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
            judged = list(module.parameters()) or owner.parameters()  # a norm of its own that is frozen is meant to be
            if any(id(p) in held and p.requires_grad for p in judged):
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
        if not readable(tensor) or not tensor.numel() or tensor.layout is not torch.strided or tensor.is_complex():
            return
        fed = self.fed.get(name)
        if fed is None:
            place = self.loaders.current.location if self.loaders.current else None
            fed = self.fed[name] = Fed(role, name, place or location, kind_of(tensor), tuple(tensor.shape))
        fed.take(tensor, self.step, self.step in SAMPLED_STEPS)

    # backward

    def before_backward(self, tensors: list[torch.Tensor]) -> None:
        """Backward is about to run on these."""
        self.backwards += 1
        self.passes.backward()
        if not self.observing:
            return
        self.backward_seen = True
        if self.backward_location is None:
            self.backward_callers = callers()
            self.backward_location = next(iter(self.backward_callers), None)
        for tensor in tensors:
            maker = self.forward.maker(tensor)
            if maker is not None:
                self.backward_roots.add(maker)
        self.signs.backward(tensors)
        if self.deep:
            self.windows.tell("before_backward", tensors)
        for each in self.optimizers:
            each.before_backward()

    def after_backward(self, tensors: list[torch.Tensor]) -> None:
        """Backward has run on these."""
        if self.observing:
            for each in self.optimizers:
                each.after_backward()
            if self.deep:
                self.windows.tell("after_backward", tensors)

    def tell_batch(self, loader: LoaderFacts, batch: Any) -> None:
        """A loader gave the user's loop a batch."""
        try:
            with torch._C.DisableTorchFunction():
                self.windows.tell("batch", loader, batch)
        except Exception as bug:  # noqa: BLE001 - a bug of ours must not become one of the user's
            self.fail(bug)

    # steps

    def facts_of(self, optimizer: torch.optim.Optimizer) -> steps.OptimizerFacts:
        """The facts of an optimizer, made at its first step."""
        for each in self.optimizers:
            if each.optimizer is optimizer:
                return each
        lead = self.optimizers[0] if self.optimizers else None
        if lead is not None and self._is_the_lead_again(optimizer, lead):
            lead.optimizer, lead.rebuilt = optimizer, True
            return lead
        facts = steps.describe(optimizer, len(self.optimizers), self.optimizer_built.get(optimizer))
        facts.built_at_step = self.built_at_step.get(optimizer, 0)
        self.optimizers.append(facts)
        facts.backwards = 1
        self.found.note(self)
        return facts

    @property
    def may_be_by_hand(self) -> bool:
        """No optimizer has stepped although it is time: the updates may be the user's own doing."""
        if self.optimizers:
            return self.optimizers[0].by_hand
        return not self.optimizer_built or self.backwards >= BACKWARDS_WITHOUT_STEP

    def _is_the_lead_again(self, optimizer: torch.optim.Optimizer, lead: steps.OptimizerFacts) -> bool:
        """Some build their optimizer anew for every step, or every few."""
        since = self.step > 0 and self.built_at_step.get(optimizer) == self.step
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        return since and type(optimizer) is type(lead.optimizer) and held == lead.held

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer is about to step."""
        facts = self.facts_of(optimizer)
        if facts.step_location is None:
            facts.step_location, facts.variable = caller(), name_here(optimizer)
        if not self.forward.parameter_names:
            self._name_parameters()
        parameters = facts.parameters()
        if not self.step:
            self.inventory.note_initial(parameters)  # lazy ones have their values only now
        norms = steps.gradient_norms(parameters)
        facts.before_step(norms)
        if self.deep:
            self.inventory.note_step(facts, self)
            self.windows.tell("before_step", optimizer)
        self._note_gradients(facts, parameters, norms)
        if self.deep and self.step in SAMPLED_STEPS:
            self._weights_before[facts.index] = steps.weight_samples(parameters)

    def replace_parameters(self, inputs: list[torch.Tensor]) -> None:
        """New tensors stand where the parameters stood; what is known of each goes over to its successor."""
        old = self.by_hand.parameters
        names = [self.forward.parameter_names.pop(id(each), None) for each in old]
        steps_taken = [self.effective.pop(id(each), 0) for each in old]
        received = [id(each) in self.received for each in old]
        self.received.difference_update(map(id, old))
        for one, after, name, count, got in zip(old, inputs, names, steps_taken, received, strict=True):
            self.inventory.pass_on(one, after)
            self.effective[id(after)] = count
            if name is not None:
                self.forward.parameter_names[id(after)] = name
            if got:
                self.received.add(id(after))
        self.by_hand.take_over(inputs)

    def step_by_hand(self) -> None:
        """The user's own code has updated the parameters; what backward left was noted then.

        Where new tensors took their place the next forward pass has been seen by now: it belongs to the next step.
        """
        hand, newer = self.by_hand, self.forward.put_aside()
        self.forward.take_back(hand.forward or newer)
        assert hand.optimizer is not None
        facts = self.facts_of(hand.optimizer)
        facts.location = facts.step_location = hand.location or facts.location
        facts.rates = [facts.rate()]
        if not self.step:
            self.name_loose(hand.parameters)
        facts.before_step(hand.norms)
        self._note_gradients(facts, hand.parameters, hand.norms)
        if self.deep and self.step in SAMPLED_STEPS:
            self._weights_before[facts.index] = hand.before
        self.after_step(hand.optimizer)
        if hand.forward is not None:
            self.forward.take_back(newer)

    def note_evaluation_of(self, optimizer: torch.optim.Optimizer) -> None:
        """A closure was evaluated once more in the same step: its losses are no part of the step's."""
        if self.observing:
            self.facts_of(optimizer).evaluations += 1
            del self.losses[1:]

    def _note_gradients(
        self, facts: steps.OptimizerFacts, parameters: list[torch.Tensor], norms: list[float | None]
    ) -> None:
        rate = facts.rate()
        facts.peak_rate, facts.last_rate = max(facts.peak_rate, rate), rate
        rows = []
        for parameter, norm in zip(parameters, norms, strict=True):
            key = id(parameter)
            if rate > 0 or facts.by_hand:
                self.effective[key] = self.effective.get(key, 0) + 1
            if norm:
                self.received.add(key)
            elif norm == 0:
                self.zero_gradients.add(key)
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
        self.signs.step(optimizer)
        if self.deep:
            self.windows.tell("after_step", optimizer)
        self.passes.step()
        if facts.index == 0:
            self.loaders.step()
            self._end_step(facts)
        elif self._takes_the_lead(facts):
            self._promote(facts)

    def _takes_the_lead(self, facts: steps.OptimizerFacts) -> bool:
        """An optimizer built after the lead's last step, or a lead that has not stepped for long."""
        facts.steps_alone += 1
        new = self.step > 0 and facts.built_at_step == self.step
        return facts.steps_alone >= (STEPS_OF_A_NEW_LEAD if new else STEPS_WITHOUT_LEAD)

    def _promote(self, facts: steps.OptimizerFacts) -> None:
        self.optimizers.remove(facts)
        self.optimizers.insert(0, facts)
        for index, each in enumerate(self.optimizers):
            each.index = index
        self._weights_before.clear()
        # What its steps and the old lead's last words left behind belongs to no step.
        self.losses.clear()
        self._grad_squares, self.batch_size = 0.0, 0
        self._step_started = time.perf_counter()
        if self.deep:
            self.forward.begin()

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
        unseen = not self.losses
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
            if not math.isfinite(loss) and not unseen:
                self._look_for_non_finite("loss")
            self._write_watched(self.forward.step)
        self.step += 1
        for each in self.optimizers:
            each.steps_alone = 0
        self.batch_size = 0
        self._grad_squares = 0.0
        if self.deep:
            self.forward.sampling = self.step in SAMPLED_STEPS
            self.forward.begin()
        self._flush_in_time()
        self._loader_seconds = self.loaders.seconds
        self._step_started = time.perf_counter()

    def forget(self) -> None:
        """What was seen until now was no training: a model file's own smoke test, say."""
        self.forward.forget()
        self.passes = Passes()
        self.root_inputs.clear()
        self.fed.clear()

    def resume(self) -> None:
        """Observing goes on after a probe: time and gradients start anew."""
        self.forward.begin()
        self._loader_seconds = self.loaders.seconds
        self._step_started = time.perf_counter()
        for each in self.optimizers:
            each.interrupted = True

    def fail(self, bug: Exception) -> None:
        """Something of ours broke: look no further, and let the user's script not feel it."""
        frames = traceback.extract_tb(bug.__traceback__)
        place = next((each for each in reversed(frames) if "dnndoctor" in each.filename), frames[-1])
        where = f"{os.path.basename(place.filename)}:{place.lineno}"
        self.failure = self.failure or f"{type(bug).__name__}: {bug} ({where})"
        self.observing = self.deep = self.forward.active = False

    def look(self, active: bool = True) -> None:
        """Look at operations from now on, or do not."""
        if active and self.deep and self.observing:
            self.forward.engage()
        elif self.forward.before_use is None:
            self.forward.release()
        else:
            self.forward.active = False

    def begin_shallow(self) -> None:
        """From now on only passes and steps are noted."""
        self.deep = False
        self.look(active=False)

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
                    "attributes": {**o.attributes, "call": o.call},
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
        began = time.perf_counter()
        tables.write(self)
        self._flushed, self._flush_seconds = time.perf_counter(), time.perf_counter() - began

    def _flush_in_time(self) -> None:
        """The steps at once; whole tables when twenty times as long has passed as writing them takes."""
        if time.perf_counter() - self._flushed > 20 * self._flush_seconds:
            self.flush()
        else:
            self.writer.commit()
