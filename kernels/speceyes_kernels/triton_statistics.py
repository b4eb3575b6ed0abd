"""The gate's numerics in Triton: the logits are read once, by group maxima.

Stage one cuts every row into chunks, and each chunk leaves the maxima of its groups and its share
of the softmax's denominator. Stage two, one program per row, finds the K groups with the largest
maxima, reads those again, finds the K largest logits among them and takes their moments. Both
searches bisect integer keys that order as the floats do. Scratch has a fixed size, nothing waits
for the host, and a row's result does not depend on the rows beside it.

Import it only where triton is installed; `TRITON_INTERPRET=1`, set before the first import of
triton, runs the same kernels on CPU tensors.
"""

# mypy: allow-untyped-decorators
from __future__ import annotations

import contextlib
import functools
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from speceyes_kernels.groups import group_size
from speceyes_kernels.record import SPREAD_FLOOR, TokenStatistics

CHUNK = 4096  # logits per step of stage one: 8 KiB of bf16, 32 values a thread
PROGRAMS = 4096  # of stage one, about, once rows abound: 30 per H200 multiprocessor
WIDE = 4096  # values stage two holds at once before it takes 16 warps instead of 8
DROPPED_BITS = {torch.bfloat16: 16, torch.float16: 13, torch.float32: 0}
"""Low key bits that are the same in every value of a dtype once it is widened to fp32."""

LAUNCH = {"enable_fp_fusion": True}  # contracted multiply-adds only sharpen these sums

_NO_KEY = tl.constexpr(-(2**31))
_LARGEST_INDEX = tl.constexpr(2**31 - 1)
_NAN_KEY = tl.constexpr(0x7FC00000)
_INF_KEY = tl.constexpr(0x7F800000)
_MINUS_INF_KEY = tl.constexpr(-(2**31) + 0x007FFFFF)
_SPREAD_FLOOR = tl.constexpr(SPREAD_FLOOR)
_LOG2_E = tl.constexpr(1.4426950408889634)


class KernelPlan(NamedTuple):
    """The fixed sizes of both kernels for one vocabulary, k and dtype."""

    group: int
    groups: int
    chunks: int
    reduce: dict[str, int]
    """Compile-time arguments of `reduce_chunks`, warps included."""
    finish: dict[str, int]
    """Compile-time arguments of `finish_rows`, warps included."""


@functools.cache
def plan_kernels(vocabulary: int, k: int, dtype: torch.dtype) -> KernelPlan:
    """Derive every size from the vocabulary, k and the dtype alone, never from the batch."""
    group = group_size(vocabulary, k)
    groups = triton.cdiv(vocabulary, group)
    chunk_groups = CHUNK // group
    shared = {"group": group, "dropped_bits": DROPPED_BITS[dtype]}
    finish = {
        "k": k,
        "k_padded": triton.next_power_of_2(k),
        "groups_padded": triton.next_power_of_2(groups),
        "chunks_padded": triton.next_power_of_2(triton.cdiv(groups, chunk_groups)),
    }
    widest = max(finish["groups_padded"], finish["k_padded"] * group)
    return KernelPlan(
        group=group,
        groups=groups,
        chunks=triton.cdiv(groups, chunk_groups),
        reduce={**shared, "chunk_groups": chunk_groups, "num_warps": 4},
        finish={**shared, **finish, "num_warps": 8 if widest <= WIDE else 16},
    )


def score_rows(rows: Tensor, k: int) -> TokenStatistics:
    """Score `[outer, inner, vocabulary]` logits; one flat value per row in each statistic.

    Two launches and no host synchronisation, so it can be captured in a CUDA graph. Scratch is
    4 bytes per group and 8 per chunk of every row: 10 KiB a row at 151,936 logits and k = 64.
    """
    outer, inner, vocabulary = rows.shape
    count = outer * inner
    plan = plan_kernels(vocabulary, k, rows.dtype)

    def scratch(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.empty(shape, dtype=dtype, device=rows.device)

    keys = scratch(count, plan.groups, dtype=torch.int32)
    tops, sums = scratch(count, plan.chunks), scratch(count, plan.chunks)
    chosen = scratch(count, k, dtype=torch.int32)
    statistics, argmax = scratch(4, count), scratch(count, dtype=torch.int64)
    results = (chosen, statistics, argmax)
    per_program = min(plan.chunks, max(1, count * plan.chunks // PROGRAMS))
    scratched = (keys, tops, sums)
    place = (inner, rows.stride(0), rows.stride(1), vocabulary, plan.groups, plan.chunks)
    on_device = torch.cuda.device(rows.device) if rows.is_cuda else contextlib.nullcontext()
    with on_device:
        reduce_chunks[(count, triton.cdiv(plan.chunks, per_program))](
            rows, *scratched, *place, per_program, **plan.reduce, **LAUNCH
        )
        finish_rows[(count,)](rows, *scratched, *results, *place, count, **plan.finish, **LAUNCH)
    separability, logprob, margin, entropy = statistics.unbind(0)
    return TokenStatistics(separability, logprob, margin, entropy, argmax)


@triton.jit
def _flip(bits: tl.tensor) -> tl.tensor:
    """Turn fp32 bits into keys that order as the floats do; it is its own inverse."""
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


@triton.jit
def _mark_nan(keys: tl.tensor, z: tl.tensor) -> tl.tensor:
    """Give every NaN, of either sign, the one key above +inf."""
    return tl.where(z != z, _NAN_KEY, keys)  # noqa: PLR0124 - only NaN differs from itself


@triton.jit
def _row_start(
    logits: tl.tensor,
    row: tl.tensor,
    inner: tl.tensor,
    outer_stride: tl.tensor,
    inner_stride: tl.tensor,
) -> tl.tensor:
    wide = row.to(tl.int64)  # rows * vocabulary passes 2**31 at 14,134 rows of 151,936
    return logits + (wide // inner) * outer_stride + (wide % inner) * inner_stride


@triton.jit(do_not_specialize=["inner", "per_program"])
def reduce_chunks(  # noqa: PLR0917 - a kernel takes its whole world as arguments
    logits: tl.tensor,
    group_keys: tl.tensor,
    chunk_tops: tl.tensor,
    chunk_sums: tl.tensor,
    inner: tl.tensor,
    outer_stride: tl.tensor,
    inner_stride: tl.tensor,
    vocabulary: tl.tensor,
    groups: tl.tensor,
    chunks: tl.tensor,
    per_program: tl.tensor,
    group: tl.constexpr,
    chunk_groups: tl.constexpr,
    dropped_bits: tl.constexpr,
) -> None:
    """Stage one, grid (rows, splits): `per_program` chunks of one row each.

    Writes `group_keys[rows, groups]` int32, and per chunk its largest value and the sum of
    exp(z - largest), `[rows, chunks]` fp32. The sum is NaN if the chunk holds NaN or +inf.
    """
    row = tl.program_id(0)
    start = _row_start(logits, row, inner, outer_stride, inner_stride)
    row = row.to(tl.int64)
    first = tl.program_id(1) * per_program
    for chunk in range(first, tl.minimum(first + per_program, chunks)):
        ids = chunk * chunk_groups + tl.arange(0, chunk_groups)
        columns = ids[:, None] * group + tl.arange(0, group)[None, :]
        z = tl.load(start + columns, mask=columns < vocabulary, other=float("-inf"))
        z = z.to(tl.float32)
        keys = _flip(z.to(tl.int32, bitcast=True))
        maxima = tl.max(keys, axis=1)
        top = _flip(tl.max(maxima, axis=0)).to(tl.float32, bitcast=True)
        shift = tl.where(top == float("-inf"), 0.0, top)
        total = tl.sum(tl.exp2((z - shift) * _LOG2_E))
        if total != total:  # noqa: PLR0124 - NaN, rare: it must win its group, whatever its sign
            maxima = tl.max(_mark_nan(keys, z), axis=1)
        maxima = tl.where(maxima == -1, 0, maxima)  # -0.0 ties with 0.0
        tl.store(group_keys + row * groups + ids, maxima >> dropped_bits, mask=ids < groups)
        tl.store(chunk_tops + row * chunks + chunk, top)
        tl.store(chunk_sums + row * chunks + chunk, total)


@triton.jit
def _kth_largest(keys: tl.tensor, k: tl.constexpr) -> tl.tensor:
    """The k-th largest of at least k keys; `_NO_KEY` marks the places that hold none."""
    low = tl.min(tl.where(keys == _NO_KEY, _LARGEST_INDEX, keys))
    high = tl.max(keys) + 1
    reached = low * 0
    while (low + 1 < high) & (reached != k):
        middle = (low & high) + ((low ^ high) >> 1)  # their mean, without overflow
        reached = tl.sum((keys >= middle).to(tl.int32))
        low = tl.where(reached >= k, middle, low)
        high = tl.where(reached >= k, high, middle)
    return tl.min(tl.where(keys >= low, keys, _LARGEST_INDEX))


@triton.jit
def _choose_groups(
    keys: tl.tensor, ids: tl.tensor, chosen: tl.tensor, k: tl.constexpr, k_padded: tl.constexpr
) -> tl.tensor:
    """Ids of the k groups with the largest keys, the lowest ids among ties, `[k_padded]`."""
    kth = _kth_largest(keys, k)
    above = keys > kth
    level = keys == kth
    ranks = tl.cumsum((above.to(tl.int32) << 16) | level.to(tl.int32), axis=0)
    n_above = tl.sum(above.to(tl.int32))
    slots = tl.where(above, (ranks >> 16) - 1, n_above + (ranks & 0xFFFF) - 1)
    tl.store(chosen + slots, ids, mask=(above | level) & (slots < k))
    tl.debug_barrier()  # the other threads' ids are read next
    slot = tl.arange(0, k_padded)
    return tl.load(chosen + slot, mask=slot < k, other=_LARGEST_INDEX)


@triton.jit
def _store_moments(
    z: tl.tensor,
    others: tl.tensor,
    top: tl.tensor,
    kth: tl.tensor,
    sound: tl.tensor,
    out: tl.tensor,
    rows: tl.tensor,
    k: tl.constexpr,
) -> None:
    """Store separability, margin and entropy at `out`, `out + 2 * rows`, `out + 3 * rows`.

    `others` marks the values above the k-th that are not the top itself; the rest of the k are
    copies of the k-th value, which ties may leave in any number.
    """
    copies = (k - 1 - tl.sum(others.to(tl.int32))).to(tl.float32)
    below = tl.where(others, top - z, 0.0)
    gap = (tl.sum(below) + copies * (top - kth)) / (k - 1)
    lift = tl.where(others, z - kth, 0.0)
    mean = tl.sum(lift) / (k - 1)
    off = tl.where(others, lift - mean, 0.0)
    spread = tl.sqrt((tl.sum(off * off) + copies * mean * mean) / (k - 1))
    weight = tl.where(others, tl.exp2(-below * _LOG2_E), 0.0)
    tied = copies * tl.exp2((kth - top) * _LOG2_E)
    mass = 1.0 + tl.sum(weight) + tied
    entropy = tl.log(mass) + (tl.sum(weight * below) + tied * (top - kth)) / mass
    second = tl.maximum(tl.max(tl.where(others, z, float("-inf"))), kth)
    undefined = float("nan")
    tl.store(out, tl.where(sound, gap / (spread + _SPREAD_FLOOR), undefined))
    tl.store(out + 2 * rows, tl.where(sound, top - second, undefined))
    tl.store(out + 3 * rows, tl.where(sound, entropy, undefined))


@triton.jit(do_not_specialize=["inner", "rows"])
def finish_rows(  # noqa: PLR0917 - the same
    logits: tl.tensor,
    group_keys: tl.tensor,
    chunk_tops: tl.tensor,
    chunk_sums: tl.tensor,
    chosen: tl.tensor,
    statistics: tl.tensor,
    argmaxes: tl.tensor,
    inner: tl.tensor,
    outer_stride: tl.tensor,
    inner_stride: tl.tensor,
    vocabulary: tl.tensor,
    groups: tl.tensor,
    chunks: tl.tensor,
    rows: tl.tensor,
    k: tl.constexpr,
    k_padded: tl.constexpr,
    group: tl.constexpr,
    groups_padded: tl.constexpr,
    chunks_padded: tl.constexpr,
    dropped_bits: tl.constexpr,
) -> None:
    """Stage two, grid (rows,): from stage one's scratch to `statistics[4, rows]` and the argmax."""
    row = tl.program_id(0)
    start = _row_start(logits, row, inner, outer_stride, inner_stride)
    row = row.to(tl.int64)
    ids = tl.arange(0, groups_padded)
    keys = tl.load(group_keys + row * groups + ids, mask=ids < groups, other=_NO_KEY)
    kept = _choose_groups(keys, ids, chosen + row * k, k, k_padded)
    taken = kept < groups
    columns = tl.where(taken, kept, 0)[:, None] * group + tl.arange(0, group)[None, :]
    present = taken[:, None] & (columns < vocabulary)
    z = tl.load(start + columns, mask=present, other=float("-inf")).to(tl.float32)
    z = tl.where(z == 0.0, 0.0, z)  # -0.0 ties with 0.0
    keys = _flip(z.to(tl.int32, bitcast=True))
    keys = _mark_nan(keys, z) >> dropped_bits
    keys = tl.where(present, keys, _NO_KEY)
    kth_key = _kth_largest(keys, k)
    top_key = tl.max(keys)
    argmax = tl.min(tl.where(keys == top_key, columns, _LARGEST_INDEX))
    sound = (top_key < (_INF_KEY >> dropped_bits)) & (kth_key > (_MINUS_INF_KEY >> dropped_bits))
    top = tl.max(z)
    kth = tl.min(tl.where(keys >= kth_key, z, float("inf")))
    others = (keys > kth_key) & (columns != argmax)
    _store_moments(z, others, top, kth, sound, statistics + row, rows.to(tl.int64), k)
    part = tl.arange(0, chunks_padded)
    held = part < chunks
    tops = tl.load(chunk_tops + row * chunks + part, mask=held, other=float("-inf"))
    sums = tl.load(chunk_sums + row * chunks + part, mask=held, other=0.0)
    total = tl.sum(sums * tl.exp2((tops - top) * _LOG2_E))
    tl.store(statistics + rows + row, tl.where(sound, -tl.log(total), float("nan")))
    tl.store(argmaxes + row, argmax.to(tl.int64))


INTERPRETED = not isinstance(reduce_chunks, triton.runtime.JITFunction)
"""Whether the kernels run in Triton's interpreter, on the CPU."""
