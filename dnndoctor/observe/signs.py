"""Facts that tell kinds of training apart: whose output went where, what was drawn at random, what was compared.

Every tensor of the first steps carries labels of what it was made of. A label is handed on by every operation;
labels of a way for the gradient end where a result needs none. What the labels at a loss say is counted per step;
what a count means is judged elsewhere.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, MutableMapping
from typing import TYPE_CHECKING, Any
from weakref import ref

import torch
from torch import nn
from torch.utils.weak import WeakIdKeyDictionary

from dnndoctor.observe.data import flat_tensors
from dnndoctor.observe.latent import Latent, squares_mean
from dnndoctor.observe.names import operation_name

if TYPE_CHECKING:
    from dnndoctor.observe.watch import Watch

LAST_STEP = 12  # labels cost time, and the signs are there from the first steps on
MOST_LABELS = 64  # an unrolled recurrence calls its model hundreds of times
MARKED_DEPTH = 3  # modules below the model whose calls are told apart
FEWEST_COMPARED = 4  # samples in a similarity matrix

Label = tuple[Any, ...]
Labels = frozenset[Label]
NONE: Labels = frozenset()

# These follow the gradient's way and end with it.
_DIFFERENTIABLE = frozenset(
    "via judges log_prob score picked bootstrapped similar exponential contrasted apart metric denoised scaled".split()
)
_NOISE = frozenset(("randn", "randn_like", "normal"))
_DRAWS = frozenset(("multinomial", "bernoulli", "normal", "poisson", "binomial"))
_SQUARED = frozenset(("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "sub", "rsub"))
_PRODUCTS = frozenset("matmul mm bmm einsum linear bilinear addmm baddbmm scaled_dot_product_attention".split())
_METRIC = frozenset("triplet_margin_loss triplet_margin_with_distance_loss cosine_embedding_loss".split())
_COMPARED = frozenset("cosine_similarity pairwise_distance margin_ranking_loss hinge_embedding_loss".split())
_NORMALISED = frozenset(("cross_entropy", "log_softmax", "logsumexp", "logsigmoid"))
_PAIRING = frozenset(("matmul", "mm", "einsum", "cosine_similarity", "cdist"))
_CUT = frozenset(("clamp", "clamp_min", "relu", "maximum", "max"))


class Signs:
    """Labels of the tensors of the first steps, and what was counted from them."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._labels: dict[int, tuple[ref[torch.Tensor], Labels]] = {}
        self._calls = 0
        self._draws = 0
        self._territories: list[tuple[nn.Module, int | str]] = []
        self._owner: MutableMapping[nn.Module, int | str | None] = WeakIdKeyDictionary()
        self._loose: MutableMapping[nn.Module, str] = WeakIdKeyDictionary()
        self._holders: dict[int, int] = {}
        self._sizes: list[int] = []  # of the optimizers
        self._optimizers: list[ref[Any]] = []
        self._latents: list[Latent] = []
        self._roots: list[Labels] = []
        self._stepped: list[int] = []
        self._acting = 0
        self._drawn = 0
        self._seen_in: dict[str, set[int]] = {}
        self._learned_from: dict[int, set[int]] = {}  # steps of an optimizer whose targets a model put out
        self._teaching: Counter[tuple[int, int]] = Counter()
        self._judging: Counter[tuple[int, int]] = Counter()
        self._most_acting = 0
        self.called: MutableMapping[nn.Module, None] = WeakIdKeyDictionary()

    @property
    def _looking(self) -> bool:
        return self._watch.deep and self._watch.step < LAST_STEP

    # modules

    def enter(self, module: nn.Module) -> None:
        """A module is called; the outermost one whose parameters one optimizer trains is a territory."""
        if not self._looking:
            return
        root = not self._watch.stack or self._watch.stack[0] is module
        if root:
            self.called[module] = None
        owner = self._owner_of(module, root)
        if owner is None or any(each == owner for _, each in self._territories):
            return
        self._territories.append((module, owner))
        if not torch.is_grad_enabled() and isinstance(owner, int):
            self._acting += 1

    def leave(self, module: nn.Module, output: Any) -> None:
        """A module has returned."""
        if not self._territories:
            return
        inside, owner = self._territories[-1]
        if inside is not module:
            self._mark_call(module, inside, output)
            return
        self._territories.pop()
        if not self._looking:
            return
        self._calls += 1
        for tensor in _outputs(output):
            known = self._of(tensor)
            others = {label[1] for label in known if label[0] == "out" and label[1] != owner}
            labels: set[Label] = {("out", owner)}
            if len(known) < MOST_LABELS:
                labels.add(("call", id(module), self._calls))
            if tensor.requires_grad:
                labels |= {("via", owner)} | {("judges", owner, other) for other in others}
            self._put(tensor, known | labels)

    def _mark_call(self, module: nn.Module, inside: nn.Module, output: Any) -> None:
        """Parts of a model may be called more than once, too: a siamese network does that in its own forward."""
        stack = self._watch.stack
        depth = next((d for d, each in enumerate(reversed(stack)) if each is inside), 0)
        if not 0 < depth <= MARKED_DEPTH or not self._looking:
            return
        self._calls += 1
        for tensor in flat_tensors(output):
            if tensor.requires_grad and len(known := self._of(tensor)) < MOST_LABELS:
                self._put(tensor, known | {("call", id(module), self._calls)})

    def _owner_of(self, module: nn.Module, root: bool) -> int | str | None:
        self._look_at_optimizers()
        if module not in self._owner:
            parameters = list(module.parameters())
            held = {self._holders[id(p)] for p in parameters if id(p) in self._holders}
            self._owner[module] = held.pop() if len(held) == 1 else None
            if root and parameters and not held and self._owner[module] is None:
                self._owner[module] = f"model {len(self._loose)}"
                self._loose[module] = self._owner[module]  # type: ignore[assignment]
        return self._owner[module]

    def _look_at_optimizers(self) -> None:
        known = {id(each()) for each in self._optimizers}
        new = [each for each in self._watch.optimizer_built if id(each) not in known]
        if not new:
            return
        for optimizer in new:
            number = len(self._optimizers)
            self._optimizers.append(ref(optimizer))
            held = [id(p) for group in optimizer.param_groups for p in group["params"]]
            self._sizes.append(len(held))
            for key in held:  # one over both networks of a pair does not tell them apart: the narrower one does
                if len(held) <= self._sizes[self._holders.get(key, number)]:
                    self._holders[key] = number
        self._owner.clear()

    def _number(self, optimizer: Any) -> int | None:
        return next((i for i, each in enumerate(self._optimizers) if each() is optimizer), None)

    # operations

    def see(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """A torch function was called."""
        if not self._looking:
            return
        name = operation_name(func)
        inputs = flat_tensors((args, list(kwargs.values())))
        outputs = flat_tensors(result)
        if name == "setitem":
            outputs = inputs[:1]
        if not outputs:
            return
        labels = self._union(inputs)
        if not labels and name not in _NOISE and name not in _PAIRING:
            return
        labels = self._read(name, inputs, outputs[0], labels)
        if labels:
            for each in outputs:
                self._put(each, labels)

    def _read(self, name: str, inputs: list[torch.Tensor], output: torch.Tensor, labels: Labels) -> Labels:
        more: set[Label] = set()
        if name in _NOISE and not any(label[0] == "out" for label in labels):
            self._draws += 1
            more.add(("noise", self._watch.step, self._draws))
        if name in _DRAWS and (sources := {label[1] for label in labels if label[0] == "out"}):
            more |= {("drawn", each) for each in sources}
            self._drawn += 1
        if len(inputs) > 1:
            more |= self._two(name, inputs, output)
        if output.requires_grad:
            more |= self._score(name, inputs, output)
            more |= self._similarity(name, inputs, output, labels)
        if name in _PRODUCTS:
            labels = frozenset(each for each in labels if each[0] not in ("similar", "exponential"))
        return labels | more

    def _two(self, name: str, inputs: list[torch.Tensor], output: torch.Tensor) -> set[Label]:
        """What becomes of two operands."""
        first, second = inputs[0], inputs[1]
        more: set[Label] = set()
        if name in ("add", "sub", "rsub", "lerp"):
            more |= self._mixed(first, second) | self._mixed(second, first)
            self._reparametrized(first, second, output)
            self._reparametrized(second, first, output)
        elif name == "addcmul" and len(inputs) > 2:
            scaled = self._scaled(inputs[1], inputs[2]) | self._scaled(inputs[2], inputs[1])
            if scaled and first.requires_grad and not first.is_leaf:
                self._latents.append(Latent(output, first))
        elif name == "mul":
            more |= self._scaled(first, second) | self._scaled(second, first)
        if name in _SQUARED or name == "add":
            more |= self._compared(name, first, second) | self._compared(name, second, first)
        return more

    def _mixed(self, data: torch.Tensor, noise: torch.Tensor) -> set[Label]:
        """Data and noise of this step are added."""
        drawn = {label for label in self._of(noise) if label[0] == "noise" and label[1] == self._watch.step}
        plain = not data.requires_grad and data.numel() > 1 and data.shape == noise.shape
        if not drawn or not plain or drawn & self._of(data):
            return set()
        self._draws += 1
        return {("mixed", self._draws, label[2]) for label in drawn}

    def _compared(self, name: str, prediction: torch.Tensor, target: torch.Tensor) -> set[Label]:
        """A prediction meets what it is measured by."""
        mine = self._of(prediction)
        if target.requires_grad:
            theirs = self._of(target)
            return {("apart",)} if name in ("sub", "rsub") and _vectors(target) and _other_call(mine, theirs) else set()
        if not any(label[0] == "via" for label in mine):
            return set()
        more: set[Label] = set()
        theirs = self._of(target)
        noise = {label[2] for label in theirs if label[0] == "noise" and label[1] == self._watch.step}
        for label in mine:
            if label[0] == "mixed" and label[2] in noise and label not in theirs:
                more.add(("denoised",))
        if name != "add" and any(label[0] == "out" for label in theirs):
            more |= {("bootstrapped", label[1], ("picked",) in mine) for label in mine if label[0] == "via"}
        return more

    def _scaled(self, noise: torch.Tensor, scale: torch.Tensor) -> set[Label]:
        """Noise times a scale that the model computes: the first half of a reparametrised draw."""
        drawn = [label for label in self._of(noise) if label[0] == "noise" and label[1] == self._watch.step]
        if not drawn or noise.requires_grad or not scale.requires_grad or not _positive(scale.grad_fn):
            return set()
        return {("scaled", label[2]) for label in drawn}

    def _reparametrized(self, mean: torch.Tensor, scaled: torch.Tensor, output: torch.Tensor) -> None:
        """The second half: the mean is added."""
        noise = {label[1] for label in self._of(scaled) if label[0] == "scaled"}
        inside = {label[1] for label in self._of(mean) if label[0] == "scaled"}
        if noise and not noise & inside and mean.requires_grad and not mean.is_leaf:
            self._latents.append(Latent(output, mean))

    def _score(self, name: str, inputs: list[torch.Tensor], output: torch.Tensor) -> set[Label]:
        """The logarithm of a probability, of what was drawn from the model or of what was given."""
        source = next((each for each in inputs if each.requires_grad), None)
        given = [each for each in inputs if not each.requires_grad]
        if source is None:
            return set()
        drawn = any(label[0] == "drawn" for each in given for label in self._of(each))
        more: set[Label] = set()
        picks = name in ("gather", "getitem") and any(_index(each) for each in given)
        if picks and source.dim() == 2 and source.shape[1] > 1 and output.numel() == source.shape[0]:
            more.add(("picked",))
        if _in_log_prob():
            more |= {("log_prob",), ("score",)} if drawn else {("log_prob",)}
        elif drawn and (picks or name in ("cross_entropy", "nll_loss")):
            more |= {("log_prob",), ("score",)}
        return more

    def _similarity(self, name: str, inputs: list[torch.Tensor], output: torch.Tensor, labels: Labels) -> set[Label]:
        """All samples of a batch against each other, or two calls of one model against each other."""
        more: set[Label] = set()
        kinds = {label[0] for label in labels}
        if name in _PAIRING and _all_pairs(inputs, output):
            more.add(("similar",))
        if "similar" in kinds:
            if name in _NORMALISED:
                more.add(("contrasted",))
            elif name in ("exp", "softmax"):
                more.add(("exponential",))
        if "exponential" in kinds and name == "log":
            more.add(("contrasted",))
        if "apart" in kinds and name in _CUT:
            more.add(("metric", "margin"))
        if name in _METRIC | _COMPARED and self._metric(name, inputs):
            more.add(("metric", name))
        return more

    def _metric(self, name: str, inputs: list[torch.Tensor]) -> bool:
        """Whether what is compared was computed, and is not a model's output beside a target."""
        computed = [each for each in inputs if each.is_floating_point() and not _given(each)]
        if name in _METRIC:
            return sum(each.requires_grad for each in computed) > 1
        return len(computed) > 1 and _other_call(self._of(computed[0]), self._of(computed[1]))

    # backward and step

    def backward(self, tensors: Iterable[torch.Tensor]) -> None:
        """Backward runs on these."""
        if not self._looking:
            return
        if self._stepped:
            self._close()
        for tensor in tensors:
            labels = self._of(tensor)
            self._roots.append(labels)
            for label in labels:
                if label[0] in ("score", "denoised", "contrasted", "log_prob", "picked"):
                    self._note(label[0])
                elif label[0] == "metric":
                    self._note(f"metric {label[1]}")
                elif label[0] == "bootstrapped" and label[2]:
                    self._note("valued")
            self._look_for_divergence(tensor)
        self._latents.clear()

    def _look_for_divergence(self, tensor: torch.Tensor) -> None:
        if not self._latents or len(self._seen_in.get("divergence", ())) >= 2:
            return
        if any(squares_mean(tensor, each) for each in self._latents[:4]):
            self._note("divergence")

    def step(self, optimizer: Any) -> None:
        """An optimizer has stepped."""
        if not self._looking:
            return
        self._note("steps")
        self._look_at_optimizers()
        number = self._number(optimizer)
        if number is not None:
            self._stepped.append(number)
        self._most_acting = max(self._most_acting, self._acting)
        self._acting = 0
        self._latents.clear()
        self._prune()

    def _close(self) -> None:
        """The backward passes since the last steps belong to the steps that followed them."""
        roots, stepped = self._roots, set(self._stepped)
        self._roots, self._stepped = [], []
        for root in roots:
            for judge, student in ((label[1], label[2]) for label in root if label[0] == "judges"):
                through = ("via", student) in root
                detached_too = any(("judges", judge, student) in r and ("via", student) not in r for r in roots)
                if through and student in stepped and (judge not in stepped or detached_too):
                    self._teaching[judge, student] += 1
                if judge in stepped and (not through or student not in stepped):
                    self._judging[judge, student] += 1
            for label in root:
                if label[0] == "bootstrapped" and label[1] in stepped:
                    self._learned_from.setdefault(label[1], set()).add(self._watch.step)

    def _note(self, sign: str) -> None:
        self._seen_in.setdefault(sign, set()).add(self._watch.step)

    # labels

    def _of(self, tensor: torch.Tensor) -> Labels:
        found = self._labels.get(id(tensor))
        return found[1] if found is not None and found[0]() is tensor else NONE

    def _union(self, tensors: list[torch.Tensor]) -> Labels:
        labels = NONE
        for each in tensors:
            labels |= self._of(each)
        return labels

    def _put(self, tensor: torch.Tensor, labels: Labels) -> None:
        if tensor.is_leaf and tensor.requires_grad:
            return  # parameters: what is added to them is no part of a sample
        if not tensor.requires_grad:
            labels = frozenset(each for each in labels if each[0] not in _DIFFERENTIABLE)
        self._labels[id(tensor)] = (ref(tensor), labels)

    def _prune(self) -> None:
        self._labels = {key: each for key, each in self._labels.items() if each[0]() is not None}

    def facts(self) -> dict[str, Any]:
        """Plain counts: of each sign, the steps in which it was seen; pairs of optimizers by number of events."""
        index = {
            number: each.index
            for each in self._watch.optimizers
            if (number := self._number(each.optimizer)) is not None
        }
        steps = {sign: len(seen) for sign, seen in self._seen_in.items()}
        for number, own in index.items():
            if count := len(self._learned_from.get(number, ())):
                steps[f"bootstrapped {own}"] = count
        return {
            "steps": steps,
            "most_acting": self._most_acting,
            "drawn": self._drawn,
            "teaching": _by_index(self._teaching, index),
            "judging": _by_index(self._judging, index),
        }


def _by_index(pairs: Counter[tuple[int, int]], index: dict[int, int]) -> list[tuple[int, int, int]]:
    return [(index[one], index[two], count) for (one, two), count in pairs.items() if one in index and two in index]


def _outputs(output: Any) -> list[torch.Tensor]:
    if isinstance(output, torch.distributions.Distribution):
        inner = vars(output)
        return [t for value in inner.values() for t in _outputs(value)]
    if hasattr(output, "keys") and hasattr(output, "values"):
        return flat_tensors(dict(output))
    return flat_tensors(output)


def _index(tensor: torch.Tensor) -> bool:
    return not tensor.is_floating_point() and tensor.dtype is not torch.bool


def _vectors(tensor: torch.Tensor) -> bool:
    return tensor.dim() > 1 and tensor.shape[-1] > 1


def _other_call(mine: Labels, theirs: Labels) -> bool:
    """Outputs of one module, each of a call that the other has no part in."""
    only = [
        {label[1] for label in one - other if label[0] == "call"} for one, other in ((mine, theirs), (theirs, mine))
    ]
    return bool(only[0] & only[1])


def _given(tensor: torch.Tensor) -> bool:
    """A parameter, or a view of one."""
    base = tensor._base if tensor._is_view() else None
    return (tensor.is_leaf and tensor.requires_grad) or (base is not None and base.is_leaf and base.requires_grad)


def _all_pairs(inputs: list[torch.Tensor], output: torch.Tensor) -> bool:
    """A square matrix from two sets of as many vectors, neither of which is a weight."""
    operands = [each for each in inputs if each.is_floating_point()][:2]
    if len(operands) < 2 or output.dim() != 2 or output.shape[0] != output.shape[1]:
        return False
    size = output.shape[0]
    enough = size >= FEWEST_COMPARED and all(size in each.shape[:3] for each in operands)
    return enough and not any(map(_given, operands))


_POSITIVE = ("ExpBackward", "SoftplusBackward", "SqrtBackward", "AbsBackward", "SigmoidBackward")
_PASSED = ("MulBackward", "AddBackward", "ClampBackward", "ClampMinBackward", "ExpandBackward", "DivBackward")


def _positive(node: Any, depth: int = 5) -> bool:
    """Whether what this node makes went through a function whose values are positive, a few nodes back at most."""
    if node is None or depth == 0:
        return False
    name = node.name()
    if name.startswith(_POSITIVE):
        return True
    return name.startswith(_PASSED) and any(_positive(each, depth - 1) for each, _ in node.next_functions)


def _in_log_prob() -> bool:
    frame = sys._getframe(1)
    for _ in range(9):
        code = frame.f_code
        if code.co_name == "log_prob" and "distributions" in code.co_filename:
            return True
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return False
