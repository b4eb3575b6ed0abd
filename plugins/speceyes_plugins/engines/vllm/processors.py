"""vLLM's two interfaces for code inside its sampler, both leading to `StepScores`.

`RunnerV1Scores` is for the older model runner, which CPUs use and `VLLM_USE_V2_MODEL_RUNNER=0`
keeps; `RunnerV2Scores` is for Model Runner V2, which GPUs use from vLLM 0.32 on. Neither changes a
logit. They are classes that vLLM makes itself, from its own configuration.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor
from vllm.v1.sample.logits_processor import BatchUpdate, MoveDirectionality
from vllm.v1.sample.logits_processor import LogitsProcessor as RunnerV1Processor

from speceyes_plugins.engines.vllm.slots import EXTRA, ScoredRow, ScoreSlot, StepScores

try:
    from vllm.v1.worker.gpu.sample.logits_processor.interface import (
        LogitsProcessor as RunnerV2Processor,
    )
except ImportError:  # before Model Runner V2
    RunnerV2Processor = object


def slot_of(parameters: Any) -> ScoreSlot | None:
    """The slot of a gated request; None for any other."""
    slot = (parameters.extra_args or {}).get(EXTRA)
    return slot if isinstance(slot, ScoreSlot) else None


def _grown(output: Sequence[int], before: int) -> int | None:
    """The place of the token that joined the output; None where none did."""
    return before if len(output) > before else None


class RunnerV1Scores(RunnerV1Processor):  # type: ignore[misc] # vLLM is not installed where types are checked
    """Follows the persistent batch: which row belongs to which gated request."""

    def __init__(self, *_: Any) -> None:
        """Take what vLLM gives: its configuration, the device, whether memory is pinned."""
        self._rows: dict[int, tuple[ScoreSlot, Sequence[int]]] = {}

    def is_argmax_invariant(self) -> bool:
        """It is, but one that says so is not called while every row is greedy."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Note who came, left and moved, in the order that vLLM prescribes."""
        if batch_update is None:
            return
        for row in batch_update.removed:
            self._rows.pop(row, None)
        for row, parameters, _, output in batch_update.added:
            self._rows.pop(row, None)
            slot = slot_of(parameters)
            if slot is not None:
                self._rows[row] = (slot, output)
        for first, second, direction in batch_update.moved:
            one, other = self._rows.pop(first, None), self._rows.pop(second, None)
            if one is not None:
                self._rows[second] = one
            if other is not None and direction == MoveDirectionality.SWAP:
                self._rows[first] = other

    def apply(self, logits: Tensor) -> Tensor:
        """Score the gated rows; a token counts once it has joined its request's output."""
        by_scores: dict[StepScores, list[ScoredRow]] = {}
        for row, (slot, output) in self._rows.items():
            if row < len(logits):
                before = len(output)
                by_scores.setdefault(slot.step, []).append(
                    ScoredRow(row, slot, partial(_grown, output, before))
                )
        for step, rows in by_scores.items():
            step.score(logits, sorted(rows, key=lambda one: one.row))
        return logits


class RunnerV2Scores(RunnerV2Processor):  # type: ignore[misc] # as above
    """Maps rows to request slots, which the runner hands out and recycles."""

    def __init__(self, _vllm_config: Any, req_states: Any) -> None:
        """Take what vLLM gives: its configuration, and the state of its request slots."""
        self._prompt_lengths = req_states.prompt_len
        self._slots: dict[int, ScoreSlot] = {}

    def add_request(self, req_idx: int, sampling_params: Any) -> bool:
        """Take up or clear a request slot; whether the request is gated."""
        slot = slot_of(sampling_params)
        if slot is None:
            self._slots.pop(req_idx, None)
        else:
            self._slots[req_idx] = slot
        return slot is not None

    def apply(self, logits: Tensor, ctx: Any) -> Tensor:
        """Score the gated rows, each at its place in its own reply.

        Raises `RuntimeError` where a request has several rows, as in speculative decoding.
        """
        requests = ctx.idx_mapping_np
        if len(requests) != len(logits):
            raise RuntimeError(
                "the gate needs one row of logits per request: no speculative decoding"
            )
        rows = []
        for row, request in enumerate(requests.tolist()):
            slot = self._slots.get(request)
            if slot is None:
                continue
            index = int(ctx.seq_lens_upper_bound_np[row] - self._prompt_lengths.np[request])
            if index >= 0:  # below, the prompt is still being read
                rows.append(ScoredRow(row, slot, partial(int, index)))
        by_scores: dict[StepScores, list[ScoredRow]] = {}
        for one in rows:
            by_scores.setdefault(one.slot.step, []).append(one)
        for step, alike in by_scores.items():
            step.score(logits, alike)
        return logits
