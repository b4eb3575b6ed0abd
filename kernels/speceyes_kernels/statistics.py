"""The public entry point of the gate's numerics: checks the logits and picks an implementation."""

from __future__ import annotations

import functools
import importlib.util
import logging
import operator
from enum import IntEnum
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from speceyes_kernels import torch_statistics
from speceyes_kernels.record import TokenStatistics

Implementation = Literal["auto", "triton", "torch"]

DEFAULT_K = 64  # paper, section 3.3
SMALLEST_K = 2  # one rival, or there is nothing to stand clear of
LARGEST_K = 1024
MOST_STRIDED = 2  # leading dimensions that are read through their own strides
DTYPES = (torch.bfloat16, torch.float16, torch.float32)

logger = logging.getLogger(__name__)


class RowFault(IntEnum):
    """Why a row has no statistics; the values of `row_faults`."""

    NONE = 0
    NAN = 1
    """A logit is NaN."""
    INFINITE = 2
    """A logit is +inf."""
    TOO_FEW = 3
    """Fewer than K logits are finite."""


class _Cut(NamedTuple):
    """Logits as `[outer, inner, vocabulary]`, a view wherever the vocabulary is contiguous."""

    rows: Tensor
    leading: torch.Size


def token_statistics(
    logits: Tensor, k: int = DEFAULT_K, implementation: Implementation = "auto"
) -> TokenStatistics:
    """Score how far each row's top logit stands clear of the next k-1.

    Args:
        logits: raw logits `[..., vocabulary]` in bf16, fp16 or fp32, on any device. Row strides
            are free and are read without a copy, so `logits[:, t]` and `logits[:, -n:]` cost
            nothing; a vocabulary axis that is not contiguous is copied once. Any number of
            leading dimensions that a view can flatten, or any two.
        k: how many of the largest logits count, 2 to 1,024.
        implementation: "triton" and "torch" run that one or raise; "auto" takes Triton on a GPU
            where it is installed and torch elsewhere, and logs its choice at debug level.

    Returns:
        Tensors shaped like the leading dimensions, on the logits' device. A row with NaN, +inf or
        fewer than k finite logits has NaN in every statistic; `row_faults` tells which it was.

    Raises:
        TypeError: the logits are not bf16, fp16 or fp32, or k is no whole number.
        ValueError: no row, a k outside its range, or leading dimensions that cannot be flattened.
        RuntimeError: the implementation asked for cannot run here.

    Source: paper, section 3.3, equation 4, computed from the k largest logits found exactly.
    """
    k = operator.index(k)
    _require_scorable(logits, k)
    cut = _cut_into_rows(logits.detach())
    chosen = choose_implementation(implementation, logits.device)
    if logger.isEnabledFor(logging.DEBUG):
        shape = tuple(logits.shape)
        logger.debug("token statistics by %s on %s: %s, k=%d", chosen, logits.device, shape, k)
    if chosen == "triton":
        from speceyes_kernels import triton_statistics  # noqa: PLC0415 - works without triton

        found = triton_statistics.score_rows(cut.rows, k)
    else:
        found = torch_statistics.score_rows(cut.rows, k)
    return TokenStatistics(*(column.view(cut.leading) for column in found))


def row_faults(logits: Tensor, statistics: TokenStatistics) -> Tensor:
    """Say which fault each row has, as `RowFault` values.

    Reads one logit per row, the one at `argmax`, and never waits for the device.

    Args:
        logits: the tensor that was scored, `[..., vocabulary]`.
        statistics: what `token_statistics` returned for it.

    Returns:
        uint8, shaped like the leading dimensions.
    """
    top = logits.detach().gather(-1, statistics.argmax.unsqueeze(-1)).squeeze(-1)
    faults = statistics.logprob.isnan().to(torch.uint8) * RowFault.TOO_FEW
    faults.masked_fill_(top == torch.inf, RowFault.INFINITE)
    return faults.masked_fill_(top.isnan(), RowFault.NAN)


def choose_implementation(
    implementation: Implementation, device: torch.device
) -> Literal["triton", "torch"]:
    """Settle who computes for this device; an explicit choice that cannot run raises.

    Raises:
        ValueError: the name is unknown.
        RuntimeError: Triton was asked for and is missing, or the device is not its own.
    """
    if implementation not in ("auto", "triton", "torch"):
        raise ValueError(f"implementation is {implementation!r}; use auto, triton or torch")
    if implementation == "torch":
        return "torch"
    installed = _triton_is_installed()
    if implementation == "auto":
        return "triton" if installed and device.type == "cuda" else "torch"
    if not installed:
        raise RuntimeError("implementation 'triton' was asked for, but triton is not installed")
    from speceyes_kernels import triton_statistics  # noqa: PLC0415 - works without triton

    if device.type != "cuda" and not triton_statistics.INTERPRETED:
        raise RuntimeError(
            f"implementation 'triton' needs logits on a GPU, these are on {device}; "
            "use auto or torch, or set TRITON_INTERPRET=1 before the start to debug on CPU"
        )
    return "triton"


@functools.cache  # the search costs as much as scoring a row
def _triton_is_installed() -> bool:
    return importlib.util.find_spec("triton") is not None


def _require_scorable(logits: Tensor, k: int) -> None:
    if logits.dtype not in DTYPES:
        raise TypeError(f"logits are {logits.dtype}; they must be bfloat16, float16 or float32")
    if logits.ndim == 0 or logits.numel() == 0:
        raise ValueError(f"logits of shape {tuple(logits.shape)} hold no row to score")
    if not SMALLEST_K <= k <= LARGEST_K:
        raise ValueError(f"k is {k}; it must be between {SMALLEST_K} and {LARGEST_K}")
    if k > logits.shape[-1]:
        raise ValueError(f"k is {k}, but a row holds only {logits.shape[-1]} logits")


def _cut_into_rows(logits: Tensor) -> _Cut:
    leading = logits.shape[:-1]
    if logits.stride(-1) != 1:
        logits = logits.contiguous()
    try:
        return _Cut(logits.view(1, -1, logits.shape[-1]), leading)
    except RuntimeError as error:
        if len(leading) == MOST_STRIDED:
            return _Cut(logits, leading)
        raise ValueError(
            f"logits of shape {tuple(logits.shape)} and strides {logits.stride()} have leading "
            "dimensions that cannot be flattened; call .contiguous() or pass at most two"
        ) from error
