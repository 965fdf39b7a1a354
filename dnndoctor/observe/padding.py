"""Whether padded positions are told from others: by a mask, an embedding that leaves them out, packed sequences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch

from dnndoctor.observe.names import operation_name
from dnndoctor.observe.window import Window

_COMPARING = frozenset(("eq", "ne", "gt"))
_MASKING = frozenset(("masked_fill", "pack_padded_sequence", "_pack_padded_sequence"))
_MASKS = ("key_padding_mask", "attn_mask", "src_key_padding_mask", "attention_mask")


class PaddingMasks(Window):
    """Notes the ways in which the model knows its padding."""

    name: ClassVar[str] = "padding"

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self._ways: set[str] = set()

    def function(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: Any,  # noqa: ARG002
    ) -> None:
        """An embedding, a mask, or token indices compared with one of them."""
        name = operation_name(func)
        if name == "embedding":
            index = kwargs.get("padding_idx", args[2] if len(args) > 2 else None)
            if index is not None and index >= 0:
                self._ways.add("padding_idx")
        elif name in _MASKING or any(kwargs.get(key) is not None for key in _MASKS):
            self._ways.add("mask")
        elif name in _COMPARING and len(args) > 1 and isinstance(args[1], int):
            tokens = args[0]
            if isinstance(tokens, torch.Tensor) and not tokens.is_floating_point() and tokens.dim() == 2:
                self._ways.add("mask")

    def facts(self) -> dict[str, Any] | None:
        """The ways that were seen."""
        return {"ways": sorted(self._ways)} if self._ways else None
