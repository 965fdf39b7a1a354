"""How sharp attention is: the largest logits and the entropy of the weights, from a few heads and queries."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from dnndoctor.observe.source import caller, is_user_class
from dnndoctor.observe.transforms import readable
from dnndoctor.observe.window import Window

if TYPE_CHECKING:
    from dnndoctor.findings import Location
    from dnndoctor.observe.watch import Watch

SAMPLES, HEADS, QUERIES, KEYS = 2, 4, 16, 512
MOST_SITES = 64
MASKED = -1e4  # a logit below it is masked out
BACK = 5  # operations between the product and the softmax: scaling, masks, a position bias
_PRODUCTS = frozenset(("matmul", "bmm", "baddbmm", "einsum"))


@dataclass
class Site:
    """One attention: where, and [step, largest logit, entropy as a share of the largest possible] on the device."""

    location: Location | None
    history: list[tuple[int, torch.Tensor | float, torch.Tensor | float]] = field(default_factory=list)


class AttentionLogits(Window):
    """Attention by torch's own functions, and by hand as a softmax of a product."""

    name = "attention"

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self._sites: dict[str, Site] = {}

    def function(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], _result: Any) -> None:
        """Take the logits of an attention apart, in sampled training steps."""
        look = _LOGITS.get(getattr(func, "__name__", ""))
        if look is None or not self.watch.forward.sampling or not torch.is_grad_enabled():
            return
        with torch.no_grad(), torch.autocast(self._device(args), enabled=False):
            logits = look(self, args, kwargs)
            if logits is not None and logits.numel() and logits.shape[-1] > 1:
                self._note(logits.float())

    @staticmethod
    def _device(args: tuple[Any, ...]) -> str:
        return next((str(each.device.type) for each in args if isinstance(each, torch.Tensor)), "cpu")

    def _note(self, logits: torch.Tensor) -> None:
        module, place = self.watch.stack[-1] if self.watch.stack else None, caller()
        key = str(place) if module is None else self.watch.modules.path(module) or type(module).__name__
        site = self._sites.get(key)
        if site is None:
            if len(self._sites) >= MOST_SITES:
                return
            library = module is not None and not is_user_class(type(module))
            site = self._sites[key] = Site(
                (self.watch.modules.location(module) if module is not None and library else None) or place
            )
        if site.history and site.history[-1][0] == self.watch.step:
            return  # once in a step
        open_ = logits > MASKED
        seen = torch.where(open_, logits, torch.zeros_like(logits))
        weights = logits.masked_fill(~open_, -math.inf).softmax(-1).nan_to_num()
        entropy = torch.special.entr(weights).sum(-1)
        most = open_.sum(-1).clamp(min=2).float().log()
        site.history.append((self.watch.step, seen.abs().amax(), (entropy / most).mean()))

    def softmax(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor | None:
        """The input of a softmax over the last dimension of a product."""
        given = args[0] if args else kwargs.get("input")
        dim = args[1] if len(args) > 1 and isinstance(args[1], int) else kwargs.get("dim")
        if not isinstance(given, torch.Tensor) or given.dim() < 3 or dim not in (-1, given.dim() - 1):
            return None
        return _few(given, queries=given.dim() - 2) if self._is_product(given) and readable(given) else None

    def _is_product(self, tensor: torch.Tensor) -> bool:
        index = self.watch.forward.maker(tensor)
        for _ in range(BACK):
            if index is None:
                return False
            one = self.watch.forward.operations[index]
            if one.name in _PRODUCTS:
                return not one.parameters
            index = one.inputs[0] if one.inputs else None
        return False

    def product(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor | None:
        """The logits of ``scaled_dot_product_attention``."""
        query, key = args[:2] if len(args) > 1 else (kwargs.get("query"), kwargs.get("key"))
        if not (isinstance(query, torch.Tensor) and isinstance(key, torch.Tensor) and readable(query)):
            return None
        scale = kwargs.get("scale") or query.shape[-1] ** -0.5
        causal = bool(kwargs.get("is_causal") or (len(args) > 5 and args[5]))
        positions = _spread(query.shape[-2], QUERIES)
        few, keys = _few(query, queries=-1)[..., positions, :], _few(key, queries=-1)[..., :KEYS, :]
        logits = few.float() @ keys.float().transpose(-2, -1)
        if causal:
            at = torch.tensor(positions, device=logits.device)[:, None]
            later = torch.arange(logits.shape[-1], device=logits.device)[None] > at
            logits = logits.masked_fill(later, -math.inf)
        mask = kwargs.get("attn_mask", args[3] if len(args) > 3 else None)
        # A mask's shape is for all of it; without the mask the entropy would be of other weights.
        return None if isinstance(mask, torch.Tensor) else logits * scale

    def heads(self, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> torch.Tensor | None:
        """The logits of ``multi_head_attention_forward``: [positions, batch, features] and the projections' weights."""
        if len(args) < 7 or not all(isinstance(each, torch.Tensor) for each in (*args[:2], args[5])):
            return None
        query, key, size, heads, weight, bias = *args[:2], args[3], args[4], args[5], args[6]
        if not readable(query) or query.dim() != 3:
            return None
        positions = _spread(query.shape[0], QUERIES)
        parts = [None, None] if bias is None else [bias[:size].float(), bias[size : 2 * size].float()]
        q: torch.Tensor = functional.linear(query[positions, :SAMPLES].float(), weight[:size].float(), parts[0])
        k: torch.Tensor = functional.linear(key[:KEYS, :SAMPLES].float(), weight[size : 2 * size].float(), parts[1])
        few = [each.view(*each.shape[:2], heads, -1).permute(1, 2, 0, 3)[:, :HEADS] for each in (q, k)]
        logits: torch.Tensor = torch.matmul(few[0], few[1].transpose(-2, -1)) * (size // heads) ** -0.5
        return logits

    def facts(self) -> dict[str, Any] | None:
        """Every attention with its history."""
        for each in self._sites.values():
            each.history = [(step, float(largest), float(entropy)) for step, largest, entropy in each.history]
        sites = [
            {
                "name": key,
                "location": each.location,
                "steps": [step for step, _, _ in each.history],
                "largest": [largest for _, largest, _ in each.history],
                "entropy": [entropy for _, _, entropy in each.history],
            }
            for key, each in self._sites.items()
        ]
        return {"sites": sites} if sites else None


_LOGITS: dict[str, Callable[[AttentionLogits, tuple[Any, ...], dict[str, Any]], torch.Tensor | None]] = {
    "softmax": AttentionLogits.softmax,
    "scaled_dot_product_attention": AttentionLogits.product,
    "multi_head_attention_forward": AttentionLogits.heads,
}


def _few(tensor: torch.Tensor, queries: int) -> torch.Tensor:
    """A few samples, and heads where there is a dimension of them; of the dimension ``queries`` a few positions."""
    taken = tensor.detach()[:SAMPLES]
    if tensor.dim() > 3:
        taken = taken[:, :HEADS]
    return taken if queries < 0 else taken.index_select(queries, _positions(taken, queries))


def _positions(tensor: torch.Tensor, dim: int) -> torch.Tensor:
    return torch.tensor(_spread(tensor.shape[dim], QUERIES), device=tensor.device)


def _spread(length: int, count: int) -> list[int]:
    """About ``count`` positions from all over the length, the last one among them."""
    return list(range(length - 1, -1, -max(length // count, 1)))[:count][::-1]
