"""How a device would compute what is computed on the meta device, which has neither mixed precision nor fused attention.

Tensors on the meta device have a shape and a type and no content: a model can be run there, forward and backward, to count
operations and to see what is kept in memory, without memory and in little time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

# What autocast computes in lower precision, and what in float32 (PyTorch's "Autocast Op Reference", CUDA): of either list, what
# models are made of and what keeps large tensors for its gradient.
_LOWER = frozenset(
    {
        F.linear,
        torch.conv1d,
        torch.conv2d,
        torch.conv3d,
        torch.conv_transpose1d,
        torch.conv_transpose2d,
        torch.conv_transpose3d,
        torch.matmul,
        Tensor.matmul,
        Tensor.__matmul__,
        Tensor.__rmatmul__,
        torch.mm,
        Tensor.mm,
        torch.bmm,
        Tensor.bmm,
        torch.addmm,
        torch.baddbmm,
        torch.einsum,
        F.scaled_dot_product_attention,
    }
)
_FLOAT32 = frozenset(
    {
        F.layer_norm,
        F.group_norm,
        F.softmax,
        torch.softmax,
        Tensor.softmax,
        F.log_softmax,
        torch.log_softmax,
        Tensor.log_softmax,
        F.cross_entropy,
        F.nll_loss,
        F.binary_cross_entropy_with_logits,
        F.mse_loss,
        F.l1_loss,
        torch.linalg.vector_norm,
    }
)


class MetaArithmetic(TorchFunctionMode):
    """Makes operations on meta tensors those of a device: its types under autocast, and fused attention.

    Autocast is taken to be on where it is on for the CPU, which nothing else asks for the meta device.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Carry out one operation."""
        kwargs = dict(kwargs or {})
        if func not in _LOWER and func not in _FLOAT32:
            return func(*args, **kwargs)
        if torch.is_autocast_enabled("cpu"):
            kind = torch.get_autocast_dtype("cpu") if func in _LOWER else torch.float32
            args, kwargs = pytree.tree_map_only(Tensor, lambda tensor: _cast(tensor, kind), (args, kwargs))
        if func is F.scaled_dot_product_attention and args[0].is_meta:
            return fused_attention(*args, **kwargs)
        return func(*args, **kwargs)


def _cast(tensor: Tensor, kind: torch.dtype) -> Tensor:
    eligible = tensor.is_meta and tensor.is_floating_point() and tensor.dtype is not torch.float64
    return tensor.to(kind) if eligible else tensor


def fused_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Attention (B, heads, T, D) as fused kernels compute it: the T×T weights are computed twice and never kept.

    On the meta device PyTorch would choose the plain computation, which keeps them. Dropout changes neither.
    """
    if query.dim() != 4 or enable_gqa:
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )
    if attn_mask is not None and attn_mask.dtype is torch.bool:
        attn_mask = torch.zeros_like(attn_mask, dtype=query.dtype)  # its values do not matter here, and kernels take no other
    output: Tensor = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query, key, value, 0.0, is_causal, attn_mask=attn_mask, scale=scale
    )[0]
    return output
