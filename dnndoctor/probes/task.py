"""The user's training as a task of its own: copies of the model as it began, samples by row, loss and update rule.

Everything happens on copies. A task is believed only if its first loss is the recorded one, if samples do not depend on
each other, and if the loss is their mean or sum.
"""

from __future__ import annotations

import copy
import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_unflatten

from dnndoctor.observe.data import flat_tensors
from dnndoctor.observe.supervision import Sample, Supervision, Tape
from dnndoctor.observe.variables import class_name
from dnndoctor.observe.watch import Watch
from dnndoctor.probes.room import Unable

FEWEST_ROWS = 40
CHUNK = 512  # rows that are evaluated at once
RATED = ("cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits")


@dataclass
class Scores:
    """Mean loss, and the share of wrong classes where the loss is one of classification."""

    loss: float
    error: float | None


class Task:
    """One training, repeatable. ``inputs`` and ``fed`` hold tensors by row, [samples, ...], or what all calls share."""

    def __init__(self, watch: Watch) -> None:
        window = supervision(watch)
        facts = watch.optimizers[0]
        if len(watch.optimizers) > 1 or facts.by_hand or facts.evaluations > 1 or facts.rebuilt:
            raise Unable("the updates are not one optimizer's with one gradient each")
        if window.tape is None or not window.initial or window.model is None or window.first_loss is None:
            raise Unable(window.reason)
        if window.others > len(window.samples) // 4:
            raise Unable("a good part of the training passes are of another kind")
        self._window, self._model, self._tape = window, window.model, window.tape
        self._optimizer, self._facts = facts.optimizer, facts
        self.name = class_name(self._model)
        self._read(window.samples)
        self.batch = self._sizes[0]
        self.per_step = watch.accumulation()
        self._sum = False
        self._check(window.samples[0], float(window.first_loss))

    # samples

    def _read(self, samples: list[Sample]) -> None:
        size = _rows_of(samples[0])
        shapes = Counter(_shapes(each, _rows_of(each)) for each in samples)
        usual = shapes.most_common(1)[0][0]
        alike = [each for each in samples if _shapes(each, _rows_of(each)) == usual]
        if len(alike) < len(samples) // 2:
            raise Unable("the samples of different steps have different shapes")
        if not any(isinstance(each, torch.Tensor) and _is_rows(each, size) for each in alike[0].inputs):
            raise Unable("the model is given no tensor with one row per sample")
        self._sizes = sorted((_rows_of(each) for each in alike), reverse=True)
        self.inputs = [_stacked([each.inputs[i] for each in alike], alike) for i in range(len(alike[0].inputs))]
        self.fed = [_stacked([each.fed[i] for each in alike], alike) for i in range(len(alike[0].fed))]
        seen = sum(self._sizes)
        keep = _first_of_each([each.value for each in self.inputs if each.rows], seen)
        self.repeated = seen - len(keep)
        self.seen = seen
        self.rows = len(keep)
        for each in (*self.inputs, *self.fed):
            if each.rows:
                each.value = each.value[keep]
        if self.rows < FEWEST_ROWS:
            raise Unable(f"{self.rows} different samples were seen, too few to hold some out")

    # copies

    def model(self) -> nn.Module:
        """A copy as it was before the first step, in the modes that it was trained in, without the user's hooks."""
        try:
            twin = copy.deepcopy(self._model)
        except Exception as why:
            raise Unable(f"the model cannot be copied: {type(why).__name__}") from why
        values = {**dict(twin.named_parameters()), **dict(twin.named_buffers())}
        with torch.no_grad():
            for name, value in self._window.initial.items():
                if name not in values or values[name].shape != value.shape:
                    raise Unable("the model was changed during training")
                values[name].copy_(value)
        for parameter in twin.parameters():
            parameter.grad = None
        for module in twin.modules():
            for hooks in (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks):
                for key in [key for key, hook in hooks.items() if not type(hook).__module__.startswith("torch.")]:
                    del hooks[key]  # one of torch's own makes a weight from its parts
        self.train(twin)
        return twin

    def train(self, twin: nn.Module) -> None:
        """The modes in which the user trains it."""
        for name, module in twin.named_modules():
            module.training = self._window.training.get(name, True)

    def updates(self, twin: nn.Module) -> Callable[[], None]:
        """One step of the user's optimizer, on a copy's parameters."""
        return _updates(self._optimizer, self._facts.rates, self._facts.peak_rate, self._model, twin)

    @property
    def original(self) -> nn.Module:
        """The user's own model."""
        return self._model

    @property
    def rate(self) -> float:
        """The user's learning rate."""
        return self._facts.peak_rate

    @property
    def parameters(self) -> int:
        """Trainable parameters of the model."""
        return sum(each.numel() for each in self._model.parameters() if each.requires_grad)

    @property
    def settings(self) -> dict[str, float]:
        """The optimizer's other settings."""
        return self._facts.settings

    @property
    def names(self) -> tuple[str, ...]:
        """The functions from the model's output to the loss."""
        return self._tape.names

    @property
    def optimizer(self) -> str:
        """The optimizer's class."""
        return self._facts.name

    # losses

    def loss(self, twin: nn.Module, rows: torch.Tensor) -> torch.Tensor:
        """The loss of these samples, with gradients."""
        return self._play(twin, rows)[0]

    def outputs(self, twin: nn.Module, rows: torch.Tensor, instead: torch.Tensor | None = None) -> Any:
        """What the copy puts out for these samples; ``instead``: of the rows of their first input."""
        values = [each.at(rows) for each in self.inputs]
        if instead is not None:
            values[next(i for i, each in enumerate(self.inputs) if each.rows)] = instead
        args, kwargs = tree_unflatten(values, self._window.spec)  # type: ignore[arg-type]
        return twin(*args, **kwargs)

    def _play(self, twin: nn.Module, rows: torch.Tensor) -> tuple[torch.Tensor, list[Any]]:
        made = self._tape.play(self.outputs(twin, rows), [each.at(rows) for each in self.fed])
        loss = made[self._tape.loss]
        if loss.numel() != 1:
            raise Unable("the loss of other samples is no single number")
        return loss, made

    def scores(self, twin: nn.Module, rows: torch.Tensor) -> Scores:
        """Mean loss per sample and errors in evaluation mode; the modes of training are put back."""
        for module in twin.modules():
            module.training = False
        total, wrong, known = 0.0, 0.0, True
        with torch.no_grad():
            for chunk in torch.split(rows, CHUNK):
                loss, made = self._play(twin, chunk)
                total += float(loss) * (1 if self._sum else len(chunk))
                errors = _errors(self._tape, made, [each.at(chunk) for each in self.fed])
                known = known and errors is not None
                wrong += errors or 0.0
        self.train(twin)
        return Scores(total / len(rows), wrong / len(rows) if known else None)

    # whether it is the user's training

    def _check(self, first: Sample, recorded: float) -> None:
        twin = self.model()
        self.updates(twin)
        assert self._window.random is not None
        torch.set_rng_state(self._window.random)
        try:
            args, kwargs = tree_unflatten(first.inputs, self._window.spec)  # type: ignore[arg-type]
            with torch.no_grad():
                loss = float(self._tape.play(twin(*args, **kwargs), first.fed)[self._tape.loss])
            if not abs(loss - recorded) <= 1e-4 * abs(recorded) + 1e-7:
                raise Unable(f"a copy of the model gives {loss:.4g} as the first loss, where {recorded:.4g} was seen")
            self._check_rows()
        except Unable:
            raise
        except Exception as why:
            raise Unable(f"a copy of the model takes no other samples: {type(why).__name__}") from why

    def _check_rows(self) -> None:
        twin = self.model()
        for module in twin.modules():
            module.training = False
        rows = torch.randperm(self.rows, generator=torch.Generator().manual_seed(0))[: max(FEWEST_ROWS // 2, 1)]
        with torch.no_grad():
            whole = flat_tensors(self.outputs(twin, rows))[0]
            part = flat_tensors(self.outputs(twin, rows[::2]))[0]
            if self._tape.outputs and whole.dim() and whole.shape[0] == len(rows):
                close = part.shape == whole[::2].shape and torch.allclose(part, whole[::2], rtol=1e-3, atol=1e-5)
                if not close:
                    raise Unable("the model's output for one sample depends on the others")
            once, twice = (float(self._play(twin, each)[0]) for each in (rows, torch.cat([rows, rows])))
        if abs(twice - once) > 1e-3 * abs(once) + 1e-7:
            self._sum = abs(twice - 2 * once) <= 1e-3 * abs(once) + 1e-7
            if not self._sum:
                raise Unable("the loss compares the samples of a batch with each other")


@dataclass
class Column:
    """One tensor over all samples, [samples, ...], or what every call is given alike."""

    value: Any
    rows: bool

    def at(self, rows: torch.Tensor) -> Any:
        """The rows of these samples."""
        return self.value[rows] if self.rows else self.value


def _is_rows(value: Any, size: int) -> bool:
    return isinstance(value, torch.Tensor) and value.dim() > 0 and value.shape[0] == size


def _rows_of(sample: Sample) -> int:
    """The first dimension of the first tensor that the model is given."""
    found = next((each for each in sample.inputs if isinstance(each, torch.Tensor) and each.dim()), None)
    if found is None:
        raise Unable("the model is given no tensor")
    return int(found.shape[0])


def _shapes(sample: Sample, size: int) -> tuple[Any, ...]:
    return tuple(
        (True, *each.shape[1:]) if _is_rows(each, size) else (False, *each.shape)
        for each in (*sample.inputs, *sample.fed)
        if isinstance(each, torch.Tensor)
    )


def _stacked(values: list[Any], samples: list[Sample]) -> Column:
    if _is_rows(values[0], _rows_of(samples[0])):
        return Column(torch.cat(values), True)
    if isinstance(values[0], torch.Tensor) and not all(torch.equal(each, values[0]) for each in values[1:4]):
        raise Unable("something that is not given by sample differs from step to step")
    return Column(values[0], False)


def _first_of_each(columns: list[torch.Tensor], size: int) -> torch.Tensor:
    """The places of samples whose inputs were not there before, [different samples]."""
    tables = [each.reshape(size, -1).cpu().contiguous() for each in columns]
    seen: dict[bytes, int] = {}
    for row in range(size):
        digest = hashlib.blake2b(digest_size=16)
        for each in tables:
            digest.update(each[row].view(torch.uint8).numpy().tobytes())
        seen.setdefault(digest.digest(), row)
    return torch.tensor(list(seen.values()))


def _errors(tape: Tape, made: list[Any], fed: list[torch.Tensor]) -> float | None:
    """Wrongly classified samples, None where the loss is none of plain classification."""
    for each in tape.entries:
        name = getattr(each.function, "__name__", "")
        if name not in RATED or len(each.args) < 2:
            continue
        values = [(made if slot.made else fed)[slot.index] if hasattr(slot, "made") else None for slot in each.args[:2]]
        output, target = values
        if not isinstance(output, torch.Tensor) or not isinstance(target, torch.Tensor):
            return None
        if name in ("cross_entropy", "nll_loss"):
            if output.dim() != 2 or target.shape != output.shape[:1] or target.is_floating_point():
                return None
            return float((output.argmax(1) != target).sum())
        if output.numel() != output.shape[0] or output.shape != target.shape:
            return None
        return float(((output > (0.0 if name.endswith("logits") else 0.5)) != (target > 0.5)).sum())
    return None


def _updates(
    optimizer: torch.optim.Optimizer, rates: list[float], peak: float, model: nn.Module, twin: nn.Module
) -> Callable[[], None]:
    """A step of an optimizer of the same kind over the twin's parameters.

    It is built and called past what torch notes of optimizers: no hook of anybody hears of it.
    """
    twins = {id(one): other for one, other in zip(model.parameters(), twin.parameters(), strict=True)}
    cls = type(optimizer)
    step = getattr(cls.step, "__wrapped__", None)
    if step is None or isinstance(optimizer, torch.optim.LBFGS):
        raise Unable(f"{cls.__name__} cannot be rebuilt on other parameters")
    again = cls.__new__(cls)
    again.__dict__.update({k: v for k, v in vars(optimizer).items() if k not in ("state", "param_groups", "step")})
    again.state = defaultdict(dict)
    again.param_groups = []
    largest = max(rates, default=0.0)
    for index, group in enumerate(optimizer.param_groups):
        if any(id(each) not in twins for each in group["params"]):
            raise Unable("the optimizer trains something outside of the model")
        rate = peak * rates[index] / largest if largest > 0 and index < len(rates) else peak
        settings = {k: copy.deepcopy(v) for k, v in group.items() if k != "params"}
        again.param_groups.append({**settings, "lr": rate, "params": [twins[id(each)] for each in group["params"]]})
    return lambda: step(again)


def task_of(watch: Watch) -> Task:
    """The user's training as a task, made once. Raises Unable."""
    window = supervision(watch)
    if window.task is None:
        try:
            window.task = Task(watch)
        except Unable as why:
            window.task = why
    if isinstance(window.task, Unable):
        raise window.task
    assert isinstance(window.task, Task)
    return window.task


def supervision(watch: Watch) -> Supervision:
    """The window through which the training was taped."""
    return next(each for each in watch.windows.all if isinstance(each, Supervision))
