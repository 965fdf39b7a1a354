"""Finds what a model takes, by asking it: shapes are tried on fake tensors, which have no values and cost nothing.

The model itself is never called: a copy whose parameters are fake is. Models whose forward looks at values cannot run
on fake tensors; of those a real copy is tried, on a few samples.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import math
import re
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
    UnsupportedFakeTensorException,
)
from torch.utils.flop_counter import FlopCounterMode

from dnndoctor.probes.snapshot import RandomState
from dnndoctor.subject.given import GivenInput
from dnndoctor.subject.inputs import BATCH, Inputs, Leaf, forward_parameters, required, unwrapped
from dnndoctor.subject.outputs import Output, read_output
from dnndoctor.subject.tracing import LENGTH, SAMPLES, SIZES, Tracer, Wanted

SECONDS = 20.0
VALUES_SECONDS = 2.0  # to go on with fake tensors after one was asked for its value
MOST_MENDED = 40  # corrections of one first guess
LARGEST_COPY = 20_000_000  # parameters of a model of which a real copy is made
IMAGES = (32, 28, 64, 96, 128, 224, 48, 84, 256, 299, 384, 512, 16, 227, 8)
LENGTHS = (16, 32, 64, 100, 128, 24, 50, 200, 256, 512, 784, 1000, 1024, 4096, 8000, 16000)
# What an argument may be, by its name; what none of these patterns knows is tried in the order of ``_ANYTHING``.
_ANYTHING = (
    Leaf(SIZES[1]),
    Leaf(SIZES[3]),
    Leaf(SIZES[2]),
    Leaf((LENGTH,), "int"),
    Leaf((), "int"),
    Leaf(()),
    Leaf((LENGTH,), "bool"),
    Leaf((LENGTH, 3), "int"),
    Leaf(SIZES[4]),
)
_EDGES = Leaf((2, 12), "int", BATCH, batched=False)
_BY_NAME: tuple[tuple[str, tuple[Leaf, ...]], ...] = (
    (r"edge_index|edges|adj_t", (_EDGES,)),
    (r"edge_(attr|weight|features?)", (Leaf((12,), batched=False), Leaf((12, 11), batched=False))),
    (r"adj(acency)?(_matrix|_mat)?|a_hat", (Leaf((BATCH, BATCH), batched=False), Leaf((LENGTH, LENGTH)))),
    (r"t|ts|time_?steps?|time|sigmas?|noise_levels?|step", (Leaf(()), Leaf((), "int", 10), Leaf((1,)))),
    (r".*mask.*", (Leaf((LENGTH,), "bool"), Leaf((LENGTH,)), Leaf((LENGTH, LENGTH), batched=False))),
    (r".*len(gth)?s?", (Leaf((), "int", LENGTH), Leaf(()))),
    (
        r"users?|items?|movies?|products?|(item|user|movie|product|category|class|node)_?(ids?|idx|index|indices)|class_labels?",
        (Leaf((), "int"), Leaf((LENGTH,), "int")),
    ),
    (
        r"(input|token|word|text|label|src|tgt)_?(ids?|idx|index|indices|tokens?)|idx|ids|tokens?|words?|sentences?|captions?",
        (Leaf((LENGTH,), "int"), Leaf((), "int")),
    ),
    (r"offsets?", (Leaf((), "order"),)),
    (r"batch(_index|_idx)?", (Leaf(SIZES[1]), Leaf((), "int", 2))),
    (r"images?|imgs?|pixel_values|frames?|pictures?", (Leaf(SIZES[3]), Leaf(SIZES[4]))),
)
_POINTWISE = frozenset(
    "embedding cat linear relu leaky_relu gelu silu tanh sigmoid dropout squeeze mul add sub layer_norm".split()
)
USUAL = 16  # length of a sequence, where the model leaves it open
_LABELS = ("labels", "label", "targets", "target", "y", "ys")
_ARITY = re.compile(r"(?:not enough|too many) values to unpack \(expected (\d+)")
_NO_ATTRIBUTE = re.compile(r"has no attribute '(\w+)'")
_BY_KEY = (
    "too many indices",
    "only integers, slices",
    "indices must be integers",
    "new(): invalid data type 'str'",
    "'str'",
)


class NotFound(Exception):
    """No shape fits; the message says what to give."""


@dataclass(frozen=True)
class Found:
    """What the model takes and what comes out. ``flops``: multiply-adds twice, of one sample's forward."""

    inputs: Inputs
    output: Output
    flops: float
    tried: int


@dataclass
class _Attempt:
    output: Output
    inputs: Inputs
    flops: float


class Search:
    """The search for one model."""

    def __init__(self, model: nn.Module, seconds: float = SECONDS) -> None:
        self._model = model
        self._seconds = seconds
        self._deadline = 0.0
        self._tried = 0
        self._error: BaseException | None = None
        self._values_needed = False
        self._misfit: Any = None
        self._met: dict[str, list[str]] = {}
        self._last: dict[str, Leaf] = {}
        parameters = forward_parameters(model)
        self._arguments = required(parameters) or _most_likely(parameters)
        self._optional_labels = next(
            (p.name for p in parameters if p.name in _LABELS and p.default is not p.empty), None
        )
        keywords = {p.name for p in self._arguments if p.kind is p.KEYWORD_ONLY}
        convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
        self._convolves = bool(convolutions)
        self._channels = convolutions[0].in_channels if convolutions else SIZES[3][0]
        self._keywords = keywords | ({p.name for p in self._arguments[1:]} if not required(parameters) else set())

    def leaves(self, given: Sequence[GivenInput]) -> dict[str, Leaf]:
        """What the user says of the inputs, by argument. Raises NotFound where it does not fit ``forward``."""
        return _from_given(given, self._arguments)

    def find(self, leaves: dict[str, Leaf] | None = None) -> Found:
        """What the model takes; with ``leaves``, whether it takes those. Raises NotFound."""
        random = RandomState()
        self._error, self._values_needed = None, isinstance(self._model, torch.jit.ScriptModule)
        try:
            with _silence():
                return self._with_labels(self._find(leaves))
        finally:
            random.restore()

    def _find(self, given: dict[str, Leaf] | None) -> Found:
        with _fake_copy(self._model) as copied:
            self._run = copied
            found = self._look(given)
        if found is None and self._values_needed and _size(self._model) <= LARGEST_COPY:
            with _real_copy(self._model) as copied:
                self._run = copied
                found = self._look(given)
        if found is None:
            raise NotFound(self._told(given is not None))
        return found

    def _look(self, given: dict[str, Leaf] | None) -> Found | None:
        self._deadline = time.monotonic() + self._seconds
        names = [each.name for each in self._arguments]
        found = self._among([given] if given is not None else _firsts(names, self._channels), names, given is not None)
        if found is None and given is None and self._optional_labels:  # some make their decoder's input of the labels
            keywords, self._keywords = self._keywords, self._keywords | {self._optional_labels}
            ids = Leaf((LENGTH,), "int")
            found = self._among([{**dict.fromkeys(names, ids), self._optional_labels: ids}], names, False)
            self._keywords = self._keywords if found is not None else keywords
        return found

    def _among(self, firsts: Iterable[dict[str, Leaf]], names: list[str], fixed: bool) -> Found | None:
        doubtful = None
        for leaves in firsts:
            if time.monotonic() > self._deadline:
                break
            attempt = self._settle(leaves, fixed=fixed)
            if not fixed:
                attempt = attempt or self._other_sizes(self._last) or self._other_keys(names)
                attempt = self._refined(attempt) if attempt is not None else None
            if attempt is not None and (fixed or _by_sample(attempt.output)):
                return Found(attempt.inputs, attempt.output, attempt.flops / SAMPLES, self._tried)
            doubtful = doubtful or attempt
        if doubtful is not None:
            return Found(doubtful.inputs, doubtful.output, doubtful.flops / SAMPLES, self._tried)
        return None

    def _other_keys(self, names: list[str]) -> _Attempt | None:
        """A batch that is read by keys: its tensors may be of other kinds than they were first taken for."""
        keys = [path for path in self._last if "." in path and not path.endswith(".*")]
        if not keys or len(names) > 1:
            return None
        for leaves in islice(_firsts(keys, self._channels), 300):
            if time.monotonic() > self._deadline:
                return None
            attempt = self._settle(leaves)
            if attempt is not None and _by_sample(attempt.output):
                return attempt
        return None

    def _refined(self, attempt: _Attempt) -> _Attempt:
        """The same without a sequence where no layer looks along one, and else with one of usual length."""
        leaves = attempt.inputs.leaves
        free = [path for path, leaf in leaves.items() if LENGTH in leaf.sizes[:1] and leaf.batched]
        met = {name for path in free for name in self._met.get(path, ())}
        others: list[dict[str, Leaf]] = []
        if len(leaves) > 1 and len(free) == len(leaves) and met <= _POINTWISE:
            others.append({p: replace(leaf, sizes=leaf.sizes[1:]) for p, leaf in leaves.items()})
        elif free:
            longer = {p: replace(leaf, sizes=(USUAL, *leaf.sizes[1:])) for p, leaf in leaves.items() if p in free}
            others.append({**leaves, **longer})
        for other in others:
            again = self._settle(other)
            if again is not None and _by_sample(again.output) and set(again.inputs.leaves) == set(leaves):
                return again
        return attempt

    def _settle(self, leaves: dict[str, Leaf], fixed: bool = False) -> _Attempt | None:
        """Mend the guess until it fits, or until nobody says what to mend."""
        seen = []
        for _ in range(MOST_MENDED):
            if leaves in seen or time.monotonic() > self._deadline:
                return None
            seen.append(leaves)
            try:
                return self._try(leaves)
            except Wanted as want:
                if fixed and leaves.get(want.path, want.leaf).sizes != want.leaf.sizes:
                    self._error = ValueError(f"{want.path} would have to be {want.leaf.told(SAMPLES)}")
                    return None
                leaves = {**leaves, want.path: want.leaf}
            except (DataDependentOutputException, DynamicOutputShapeException, UnsupportedFakeTensorException) as error:
                if not self._values_needed and _size(self._model) <= LARGEST_COPY:
                    self._deadline = min(self._deadline, time.monotonic() + VALUES_SECONDS)  # a real copy is next
                self._values_needed, self._error = True, error
                return None
            except Exception as error:  # noqa: BLE001 - whatever the model says to a wrong input
                self._values_needed |= "data-dependent" in str(error) or "numpy" in str(error).lower()
                self._error = error
                other = None if fixed else _from_error(error, leaves)
                if other is None:
                    return None
                leaves = other
        return None

    def _try(self, leaves: dict[str, Leaf]) -> _Attempt:
        self._tried += 1
        self._last = leaves
        inputs = Inputs(leaves, frozenset(self._keywords))
        trace = Tracer(leaves)
        flops = FlopCounterMode(display=False)
        model, mode = self._run
        hooks = [(m, dict(m._forward_pre_hooks)) for m in model.modules()]
        try:
            trace.hook(model)
            with mode, torch.enable_grad():
                tensors = {path: _blank(leaf) for path, leaf in leaves.items() if not path.endswith(".*")}
                trace.begin(tensors)
                args, keywords = inputs.call({**dict.fromkeys(leaves), **tensors}, _ask_for_key)
                with trace, flops:
                    result = model(*args, **keywords)
                self._misfit, self._met = trace.misfit, trace.met
                output = read_output(result, {p: tuple(t.shape) for p, t in tensors.items()}, trace, model)
        finally:
            self._misfit, self._met = trace.misfit, trace.met
            for module, old in hooks:
                module._forward_pre_hooks.clear()
                module._forward_pre_hooks.update(old)
        kept = {path: leaf for path, leaf in trace.leaves.items() if not path.endswith(".*")}
        for path, leaf in kept.items():
            if leaf.kind == "int" and not leaf.high:
                kept[path] = replace(leaf, high=2)
        return _Attempt(output, Inputs(kept, inputs.keywords), float(flops.get_total_flops()))

    def _other_sizes(self, leaves: dict[str, Leaf]) -> _Attempt | None:
        """Images of other sizes, sequences of other lengths: where layers were met, and a size fits none of them."""
        images = [path for path, leaf in leaves.items() if len(leaf.sizes) >= 3 and leaf.kind == "float"]
        met = any("conv" in each or "pool" in each for path in images for each in self._met.get(path, ()))
        if images and (met or (self._convolves and len(leaves) == 1)):  # some check the size before they look at it
            sizes: Sequence[int] = (*IMAGES, *(n for n in range(4, 301, 4) if n not in IMAGES))
            return self._first_that_fits(leaves, images, sizes)
        longer = [path for path, leaf in leaves.items() if len(leaf.sizes) == 2 or (leaf.kind == "int" and leaf.sizes)]
        if longer and any(self._met.get(path) for path in longer):
            return self._first_that_fits(leaves, longer, LENGTHS)
        return None

    def _first_that_fits(self, leaves: dict[str, Leaf], paths: list[str], sizes: Sequence[int]) -> _Attempt | None:
        for size in sizes:
            sized = {path: _sized(leaf, size) if path in paths else leaf for path, leaf in leaves.items()}
            attempt = self._settle(sized)
            if attempt is not None or time.monotonic() > self._deadline:
                return attempt
        return None

    def _with_labels(self, found: Found) -> Found:
        """Where ``forward`` takes labels too and gives a loss for them, give it labels."""
        name = self._optional_labels
        scores = found.output.heads[0] if found.output.heads else None
        if name is None or found.output.loss is not None or scores is None or name in found.inputs.leaves:
            return found
        guesses = _label_guesses(scores.shape, next(iter(found.inputs.leaves.values())))
        with _fake_copy(self._model) as copied:
            self._run = copied
            self._deadline = time.monotonic() + self._seconds
            keywords = self._keywords
            self._keywords = keywords | {name}
            for guess in guesses:
                attempt = self._settle({**found.inputs.leaves, name: guess})
                if attempt is not None and attempt.output.loss is not None:
                    return Found(attempt.inputs, attempt.output, attempt.flops / SAMPLES, self._tried)
            self._keywords = keywords
        return found

    def _told(self, given: bool) -> str:
        name = type(unwrapped(self._model)).__name__
        takes = ", ".join(each.name for each in self._arguments) or "nothing that could be read"
        said = f"{type(self._error).__name__}: {self._error}".splitlines()[0][:160] if self._error else "nothing fitted"
        if given:
            return f"{name} does not take the inputs of --input: {said}"
        several = (
            "one --input for each argument"
            if len(self._arguments) > 1
            else "--input, such as --input 3,32,32 or --input 128:int"
        )
        return (
            f"what {name}.forward({takes}) takes could not be found by trying {self._tried} shapes "
            f"(the last said {said}); give {several}, or define train_loader in the file"
        )


def _label_guesses(scores: tuple[int, ...], first: Leaf) -> list[Leaf]:
    """Labels for scores of this shape: one for each sample or place, or as the model's own input ids are."""
    if len(scores) < 2:
        return []
    guesses = [Leaf(scores[1:-1], "int", scores[-1]), Leaf(scores[1:])]
    if len(scores) > 2 and first.kind == "int" and len(first.sizes) == 1:
        guesses.append(Leaf(first.sizes, "int", first.high))
    elif len(scores) > 2:
        guesses.append(Leaf(scores[2:], "int", scores[1]))
    return guesses


def _most_likely(parameters: Sequence[Any]) -> list[Any]:
    """Where every argument may be left out: the one that names the data."""
    known = [
        p
        for p in parameters
        if p.name in ("input_ids", "pixel_values", "inputs", "x", "input_values", "input_features")
    ]
    plain = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.name not in _LABELS]
    return (known or plain)[:1]


def _guesses(name: str) -> tuple[Leaf, ...]:
    for pattern, leaves in _BY_NAME:
        if re.fullmatch(pattern, name, re.IGNORECASE):
            return tuple(dict.fromkeys((*leaves, *_ANYTHING)))
    return _ANYTHING


def _firsts(names: Sequence[str], channels: int) -> Iterator[dict[str, Leaf]]:
    """First guesses, the likely ones of all arguments together before the unlikely ones of each."""
    kinds = [
        tuple(replace(leaf, sizes=(channels, *leaf.sizes[1:])) if leaf.sizes == SIZES[3] else leaf for leaf in guesses)
        for guesses in (_guesses(each.rpartition(".")[2]) for each in names)
    ]
    most = 9 if len(names) < 4 else 3
    places = product(*(range(min(len(each), most)) for each in kinds))
    for chosen in sorted(places, key=lambda p: (sum(p), max(p, default=0))):
        yield {name: kind[place] for name, kind, place in zip(names, kinds, chosen, strict=True)}


def _by_sample(output: Output) -> bool:
    """Whether the samples are still told apart in what comes out."""
    return output.loss is not None or any(SAMPLES in head.shape[:2] for head in output.heads)


def _ask_for_key(path: str) -> Any:
    """A batch is asked for a key that it does not have yet."""
    raise Wanted(path, _guesses(path.rpartition(".")[2])[0])


def _from_error(error: Exception, leaves: dict[str, Leaf]) -> dict[str, Leaf] | None:
    """What a message says of the input: how many dimensions, or that it is a batch to be read by keys."""
    said = str(error)
    plain = [path for path, leaf in leaves.items() if "." not in path and leaf.batched]
    arity = _ARITY.search(said)
    if arity is not None and plain:
        rank = int(arity[1]) - 1
        first = leaves[plain[0]]
        if 0 <= rank < len(SIZES) and len(first.sizes) != rank:
            return {**leaves, plain[0]: replace(first, sizes=SIZES[rank])}
    attribute = _NO_ATTRIBUTE.search(said) if isinstance(error, AttributeError) and "Tensor" in said else None
    by_key = isinstance(error, (IndexError, TypeError, KeyError)) and any(each in said for each in _BY_KEY)
    if (attribute or by_key) and len(plain) == 1:
        others = {path: leaf for path, leaf in leaves.items() if path != plain[0]}
        key = attribute[1] if attribute else "*"
        return {**others, f"{plain[0]}.{key}": _guesses(key)[0]}
    return None


def _from_given(given: Sequence[GivenInput], arguments: Sequence[Any]) -> dict[str, Leaf]:
    names = [each.name for each in arguments]
    free = [name for name in names if name not in {one.name for one in given}]
    unnamed = sum(one.name is None for one in given)
    if unnamed > len(free):
        raise NotFound(f"{len(given)} inputs were given and forward takes {len(names)}: {', '.join(names)}")
    found: dict[str, Leaf] = {}
    for one in given:
        name = one.name or free.pop(0)
        found[name] = Leaf(one.sizes, one.kind, one.high or 0)
    if free:
        raise NotFound(f"an --input for {', '.join(free)} is missing as well: forward takes {', '.join(names)}")
    return {name: found[name] for name in (*names, *(n for n in found if n not in names)) if name in found}


def _sized(leaf: Leaf, size: int) -> Leaf:
    if len(leaf.sizes) >= 3:
        return replace(leaf, sizes=(*leaf.sizes[:-2], size, size))
    if leaf.kind == "int":
        return replace(leaf, sizes=(size, *leaf.sizes[1:]))
    place = next((i for i, each in enumerate(leaf.sizes) if each in (LENGTH, 11)), len(leaf.sizes) - 1)
    return replace(leaf, sizes=tuple(size if i == place else each for i, each in enumerate(leaf.sizes)))


def _blank(leaf: Leaf) -> torch.Tensor:
    shape = leaf.shape(SAMPLES)
    if leaf.kind in ("int", "order"):
        return torch.arange(math.prod(shape)).reshape(shape) % max(leaf.high, 1)
    return torch.ones(shape, dtype=torch.bool) if leaf.kind == "bool" else torch.ones(shape)


def _size(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@contextlib.contextmanager
def _fake_copy(model: nn.Module) -> Iterator[tuple[nn.Module, Any]]:
    """A copy of the model with fake parameters; no values are copied."""
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    memo: dict[int, Any] = {}
    kept = []  # a deep copy's memory is by id
    for module in model.modules():
        for value in (*module._parameters.values(), *module._buffers.values(), *module.__dict__.values()):
            if isinstance(value, torch.Tensor) and id(value) not in memo:
                kept.append(value)
                memo[id(value)] = _fake(mode, value)
    yield _copied(model, memo), mode


def _fake(mode: FakeTensorMode, value: torch.Tensor) -> torch.Tensor:
    made: torch.Tensor = mode.from_tensor(value.detach())
    if isinstance(value, nn.Parameter):
        return nn.Parameter(made, requires_grad=value.requires_grad)
    return made


@contextlib.contextmanager
def _real_copy(model: nn.Module) -> Iterator[tuple[nn.Module, Any]]:
    yield _copied(model, {}), contextlib.nullcontext()


def _copied(model: nn.Module, memo: dict[int, Any]) -> nn.Module:
    try:
        made = copy.deepcopy(model, memo)
    except Exception as error:  # noqa: BLE001 - whatever the model's parts say to being copied
        said = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        name = type(model).__name__
        raise NotFound(
            f"{name} cannot be copied ({said}), so no shapes can be tried; define train_loader in the file"
        ) from None
    nn.Module.train(made)
    return made


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """What a model prints at each attempt is of no use to anybody, nor what torch logs of a shape that does not fit."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    with contextlib.ExitStack() as stack:
        stack.callback(setattr, logger, "disabled", logger.disabled)
        logger.disabled = True
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        yield


def batch_for(flops: float, most: int = 32, limit: float = 2e10) -> int:
    """Samples per step: forward and backward of a batch cost three forwards, within ``limit`` operations."""
    size = most
    while size > 4 and 3 * flops * size > limit:
        size //= 2
    return size
