"""Where tensors have no values to look at: inside function transforms, tracing and compilation."""

from __future__ import annotations

import torch

_VALUELESS = (
    torch._C._TorchDispatchModeKey.FAKE,
    torch._C._TorchDispatchModeKey.PROXY,
    torch._C._TorchDispatchModeKey.FUNCTIONAL,
)
_peek = torch._C._functorch.peek_interpreter_stack
_tracing = torch._C._get_tracing_state


def transformed() -> bool:
    """Whether ``torch.func`` (grad, vmap, ...), ``torch.jit.trace`` or a compiler is at work here.

    Reading a value there raises, warns, or becomes part of what is traced.
    """
    return _peek() is not None or _tracing() is not None or torch.compiler.is_compiling() or _without_values()


def _without_values() -> bool:
    if not torch._C._len_torch_dispatch_stack():
        return False
    return any(torch._C._get_dispatch_mode(each) is not None for each in _VALUELESS)


def readable(tensor: torch.Tensor) -> bool:
    """Whether the tensor has values of its own: a plain one, not on "meta", not a fake, batched or wrapped one."""
    return type(tensor) in _PLAIN and not tensor.is_meta and not tensor.is_quantized


_PLAIN = frozenset((torch.Tensor, torch.nn.Parameter, torch.nn.Buffer))
