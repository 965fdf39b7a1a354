"""Follows a model's inputs to the operations that take them, and hears what those want them to be.

A convolution wants so many channels, an embedding integers, a recurrent layer three dimensions. Where the input is not
so, ``Wanted`` is raised with the input as it should be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from dnndoctor.observe.names import operation_name
from dnndoctor.subject.inputs import BATCH, Leaf

# All sizes differ from each other and from the batch, so that a size tells which dimension it was.
SAMPLES = 6
LENGTH = 7
SIZES: tuple[tuple[int, ...], ...] = ((), (11,), (LENGTH, 11), (5, 32, 32), (5, 8, 32, 32))
_CONVOLUTIONS = {f"conv{n}d": n + 2 for n in (1, 2, 3)}
_TRANSPOSED = {f"conv_transpose{n}d": n + 2 for n in (1, 2, 3)}
_POOLS = {f"{kind}_pool{n}d": n + 2 for kind in ("max", "avg", "adaptive_avg", "adaptive_max") for n in (1, 2, 3)}
_SUMS = frozenset("add sub mul div".split())
_SHAPE_ONLY = frozenset("squeeze unsqueeze view reshape flatten transpose permute contiguous getitem movedim".split())
_UNCHANGED = ("input", "float", "to", "type")
LEAST_SCALE = 16.0
_LOSSES = frozenset(
    "mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy binary_cross_entropy_with_logits".split()
)


class Wanted(BaseException):
    """An input should be something else; no ``except Exception`` of the model's is to hold it up."""

    def __init__(self, path: str, leaf: Leaf) -> None:
        self.path, self.leaf = path, leaf
        super().__init__(f"{path}: {leaf}")


@dataclass(frozen=True, slots=True)
class Misfit:
    """A size that no dimension of the input explains: dimension ``wanted`` where ``got`` came."""

    operation: str
    got: int
    wanted: int


class Tracer(TorchFunctionMode):
    """One pass. ``misfit``: what could not be mended; ``met``: the operations that each input reached."""

    def __init__(self, leaves: Mapping[str, Leaf]) -> None:
        super().__init__()
        self.leaves = dict(leaves)
        self.misfit: Misfit | None = None
        self.met: dict[str, list[str]] = {path: [] for path in leaves}
        self.maker: dict[int, str] = {}
        self._origin: dict[int, frozenset[str]] = {}
        self._kept: list[Any] = []  # an id must not be taken again within the pass

    def begin(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """These are the inputs."""
        for path, tensor in tensors.items():
            self._note(tensor, frozenset((path,)), "input")

    def hook(self, model: nn.Module) -> None:
        """Ask those modules that check their input before any operation sees it. ``model`` is a copy of ours."""
        for module in model.modules():
            check = _checker(module)
            if check is not None:
                module.register_forward_pre_hook(self._asking(check))

    def _asking(self, check: Callable[[Tracer, Any, tuple[Any, ...]], None]) -> Callable[..., None]:
        def ask(module: nn.Module, args: tuple[Any, ...]) -> None:
            if args and isinstance(args[0], torch.Tensor):
                with torch._C.DisableTorchFunction():
                    check(self, module, args)

        return ask

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        name = operation_name(func)
        tensors = list(_tensors((args, tuple(kwargs.values()))))
        sources = frozenset[str]().union(*(self._origin.get(id(each), frozenset()) for each in tensors))
        if sources:
            self._ask(name, args, kwargs)
            self._note_scale(name, args)
            for path in sources:
                self.met[path].append(name)
        result = func(*args, **kwargs)
        made = list(_tensors((result,)))
        for path in sources if not made else ():
            self.met[path].pop()  # it only asked for a size, a type or the like
        if name in _SHAPE_ONLY and tensors:
            name = self.maker.get(id(tensors[0]), name)
        for each in made:
            if sources and id(each) not in self._origin:
                self._note(each, sources, name)
        return result

    def _note(self, tensor: torch.Tensor, sources: frozenset[str], name: str) -> None:
        self._kept.append(tensor)
        self._origin[id(tensor)] = sources
        self.maker[id(tensor)] = name

    def sources(self, tensor: torch.Tensor) -> frozenset[str]:
        """The inputs that a tensor comes from."""
        return self._origin.get(id(tensor), frozenset())

    # what operations want

    def _ask(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        first = args[0] if args and isinstance(args[0], torch.Tensor) else None
        second = args[1] if len(args) > 1 else kwargs.get("weight")
        if name in ("embedding", "embedding_bag") and first is not None and isinstance(second, torch.Tensor):
            self.want_ids(first, int(second.shape[0]))
        elif name == "one_hot" and first is not None:
            self.want_ids(first, max(int(second or kwargs.get("num_classes") or 0), 0))
        elif name == "getitem" and first is not None:
            self._ask_index(first, second)
        elif name in ("view", "reshape") and first is not None:
            self._ask_view(first, args[1:])
        elif first is None or not isinstance(second, torch.Tensor):
            if first is not None and name in _POOLS:
                self.want_dims(first, _POOLS[name])
        elif name in _CONVOLUTIONS:
            groups = args[6] if len(args) > 6 else kwargs.get("groups", 1)
            self.want_dims(first, _CONVOLUTIONS[name])
            self.want_size(first, 1, int(second.shape[1]) * int(groups), name)
        elif name in _TRANSPOSED:
            self.want_dims(first, _TRANSPOSED[name], spatial=1)
            self.want_size(first, 1, int(second.shape[0]), name)
        elif name == "linear":
            self.want_size(first, first.dim() - 1, int(second.shape[-1]), name)
        elif name in ("matmul", "mm", "bmm") and first.dim() and second.dim() > 1:
            self._ask_product(first, second, name)
        elif name == "multi_head_attention_forward":
            self.want_dims(first, 3)
            self.want_size(first, first.dim() - 1, int(args[3]), name)
        elif name in ("cross_entropy", "nll_loss"):
            self._ask_labels(first, second)
        elif name in _LOSSES:
            self._ask_target(first, second)
        elif name in _SUMS:
            self._ask_sum(first, second, name)

    def _note_scale(self, name: str, args: tuple[Any, ...]) -> None:
        """``x / 255`` at the very beginning."""
        if name not in ("div", "mul") or len(args) < 2 or isinstance(args[1], torch.Tensor):
            return
        factor = float(args[1]) if isinstance(args[1], (int, float)) and args[1] else 1.0
        scale = factor if name == "div" else 1 / factor
        path = self.only(args[0]) if isinstance(args[0], torch.Tensor) else None
        if path is not None and self.maker.get(id(args[0])) in _UNCHANGED and scale >= LEAST_SCALE:
            self.leaves[path] = replace(self.leaves[path], scale=scale)

    def _ask_index(self, table: torch.Tensor, index: Any) -> None:
        """``table[ids]``: an input that names rows of a parameter or buffer."""
        if isinstance(index, tuple) and len(index) == 1:
            index = index[0]
        if isinstance(index, torch.Tensor) and self.sources(index) and not self.sources(table):
            self.want_ids(index, int(table.shape[0]))

    def _ask_view(self, tensor: torch.Tensor, sizes: tuple[Any, ...]) -> None:
        """``x.view(-1, 784)``: one dimension of samples, and all others are known."""
        if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
            sizes = tuple(sizes[0])
        path = self.only(tensor)
        if path is None or len(sizes) < 2 or sizes[0] not in (-1, SAMPLES) or -1 in sizes[1:]:
            return
        leaf, wanted = self.leaves[path], math.prod(map(int, sizes[1:]))
        if len(leaf.sizes) == 1 and leaf.sizes == tuple(tensor.shape[1:]) and leaf.sizes[0] != wanted:
            raise Wanted(path, replace(leaf, sizes=(wanted,)))

    def _ask_product(self, first: torch.Tensor, second: torch.Tensor, name: str) -> None:
        if self.sources(first) and not self.sources(second):
            self.want_size(first, first.dim() - 1, int(second.shape[-2]), name)
        elif self.sources(second) and not self.sources(first):
            self.want_size(second, second.dim() - 2, int(first.shape[-1]), name)
        elif self.sources(first) != self.sources(second) and first.shape[-1] != second.shape[-2]:
            self._ask_neighbours(first, second)

    def _ask_neighbours(self, first: torch.Tensor, second: torch.Tensor) -> None:
        """``adjacency @ features``: a square over the samples."""
        path = self.only(first)
        if path is not None and second.dim() and int(second.shape[-2]) == SAMPLES and self.leaves[path].batched:
            raise Wanted(path, Leaf((BATCH, BATCH), batched=False))

    def _ask_labels(self, scores: torch.Tensor, labels: torch.Tensor) -> None:
        path = self.only(labels)
        if path is None or not self.sources(scores) - {path}:
            return
        classes = int(scores.shape[1 if scores.dim() > 1 else 0])
        leaf = self.leaves[path]
        got = tuple(labels.shape)
        want = (int(scores.shape[0]), *map(int, scores.shape[2:]))
        if leaf.kind != "int" or not leaf.high or got != want:
            sizes = leaf.sizes if math.prod(leaf.shape(SAMPLES)) == math.prod(want) else want[1:]
            raise Wanted(path, Leaf(sizes, "int", classes))

    def _ask_target(self, output: torch.Tensor, target: torch.Tensor) -> None:
        path = self.only(target)
        if path is not None and self.sources(output) - {path} and target.shape != output.shape:
            raise Wanted(path, Leaf(tuple(map(int, output.shape[1:]))))

    def _ask_sum(self, first: torch.Tensor, second: torch.Tensor, name: str) -> None:
        """Broadcasting against a parameter or a constant, such as position embeddings."""
        for mine, other in ((first, second), (second, first)):
            if not self.sources(mine) or self.sources(other):
                continue
            for back in range(1, min(mine.dim(), other.dim()) + 1):
                got, want = int(mine.shape[-back]), int(other.shape[-back])
                if got != want and 1 not in (got, want):
                    self.want_size(mine, mine.dim() - back, want, name)

    def want_ids(self, tensor: torch.Tensor, high: int) -> None:
        """Integers below ``high``."""
        for path in self.sources(tensor) if len(self.sources(tensor)) == 1 else ():
            leaf = self.leaves[path]
            if leaf.kind != "int":
                raise Wanted(path, _ids(leaf, high))
            if high and (not leaf.high or 0 < high < leaf.high):
                self.leaves[path] = replace(leaf, high=high)

    def want_dims(self, tensor: torch.Tensor, dims: int, spatial: int = 0) -> None:
        """So many dimensions, the batch included: layers that also take a single sample would mistake the batch."""
        path = self.only(tensor)
        if path is None or tensor.dim() == dims:
            return
        leaf = self.leaves[path]
        rank = len(leaf.sizes) + dims - tensor.dim()
        if leaf.batched and 0 <= rank < len(SIZES):
            known = leaf.sizes if leaf.sizes not in SIZES else ()
            if rank == 2 and len(known) == 1:
                raise Wanted(path, replace(leaf, sizes=(LENGTH, *known)))
            sizes = (SIZES[rank][0], *[spatial] * (rank - 1)) if spatial and rank else SIZES[rank]
            raise Wanted(path, replace(leaf, sizes=sizes))

    def want_size(self, tensor: torch.Tensor, dim: int, size: int, name: str) -> None:
        """This size in that dimension."""
        got = int(tensor.shape[dim])
        paths = sorted(self.sources(tensor))
        if not paths or got == size:
            return
        if len(paths) == 1:
            mended = _resized(self.leaves[paths[0]], got, size)
            if mended is not None and mended != self.leaves[paths[0]]:
                raise Wanted(paths[0], mended)
        else:
            self._share_out(paths, got, size)
        self.misfit = Misfit(name, got, size)

    def _share_out(self, paths: list[str], got: int, size: int) -> None:
        """Inputs joined side by side: the one that the sizes leave free takes what is missing."""
        floats = [p for p in paths if self.leaves[p].kind == "float" and len(self.leaves[p].sizes) == 1]
        for path in reversed(floats):
            last = self.leaves[path].sizes[0]
            if last in (each[-1] for each in SIZES if each) and last + size - got >= 1:
                raise Wanted(path, replace(self.leaves[path], sizes=(last + size - got,)))
        for path in floats:
            if self.leaves[path].sizes[0] > 1:
                raise Wanted(path, replace(self.leaves[path], sizes=(max(self.leaves[path].sizes[0] + size - got, 1),)))

    def only(self, tensor: torch.Tensor) -> str | None:
        """The one input that a tensor comes from."""
        sources = self.sources(tensor)
        return next(iter(sources)) if len(sources) == 1 else None


def _ids(leaf: Leaf, high: int) -> Leaf:
    """The same input as integers; of sizes that were only tried, the length is kept small."""
    sizes = (LENGTH,) if leaf.sizes == SIZES[1] else leaf.sizes
    return Leaf(sizes, "int", high, leaf.batched)


def _resized(leaf: Leaf, got: int, size: int) -> Leaf | None:
    """The leaf with the dimension of size ``got``, or one that is a whole part of it, made to fit."""
    for part in (1, *range(2, 65)):
        if got % part or size % part:
            continue
        places = [i for i, each in enumerate(leaf.sizes) if each == got // part]
        if len(places) == 1 and (part == 1 or len(leaf.sizes) == 1):
            sizes = list(leaf.sizes)
            sizes[places[0]] = size // part
            return replace(leaf, sizes=tuple(sizes))
    return None


def _checker(module: nn.Module) -> Callable[[Tracer, Any, tuple[Any, ...]], None] | None:
    if isinstance(module, nn.RNNBase):
        return _ask_recurrent
    if isinstance(module, nn.RNNCellBase):
        return _ask_cell
    if isinstance(module, nn.modules.batchnorm._NormBase):
        return _ask_norm
    if isinstance(module, nn.LayerNorm):
        return lambda trace, one, args: trace.want_size(
            args[0], args[0].dim() - 1, one.normalized_shape[-1], "layer_norm"
        )
    if isinstance(module, (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer, nn.Transformer)):
        return _ask_transformer
    return None


def _ask_recurrent(trace: Tracer, module: Any, args: tuple[Any, ...]) -> None:
    trace.want_dims(args[0], 3)
    trace.want_size(args[0], args[0].dim() - 1, module.input_size, "recurrent")
    state = args[1] if len(args) > 1 else None
    if isinstance(state, torch.Tensor) and (path := trace.only(state)) is not None:
        layers = module.num_layers * (2 if module.bidirectional else 1)
        wanted = Leaf((layers, BATCH, module.hidden_size), batched=False)
        if trace.leaves[path] != wanted:
            raise Wanted(path, wanted)


def _ask_cell(trace: Tracer, module: Any, args: tuple[Any, ...]) -> None:
    trace.want_dims(args[0], 2)
    trace.want_size(args[0], 1, module.input_size, "recurrent")
    if len(args) > 1 and isinstance(args[1], torch.Tensor):
        trace.want_dims(args[1], 2)
        trace.want_size(args[1], 1, module.hidden_size, "recurrent")


def _ask_norm(trace: Tracer, module: Any, args: tuple[Any, ...]) -> None:
    dims = {"1d": None, "2d": 4, "3d": 5}.get(type(module).__name__[-2:])
    if dims:
        trace.want_dims(args[0], dims)
    if args[0].dim() > 1:
        trace.want_size(args[0], 1, module.num_features, "norm")


def _ask_transformer(trace: Tracer, module: Any, args: tuple[Any, ...]) -> None:
    size = module.d_model if isinstance(module, nn.Transformer) else module.self_attn.embed_dim
    for each in args[:2]:
        if isinstance(each, torch.Tensor):
            trace.want_dims(each, 3)
            trace.want_size(each, each.dim() - 1, size, "transformer")


def _tensors(values: Any) -> Iterable[torch.Tensor]:
    for each in values:
        if isinstance(each, torch.Tensor):
            yield each
        elif isinstance(each, (tuple, list)):
            yield from _tensors(each)
        elif isinstance(each, dict):
            yield from _tensors(each.values())
