"""Both sampler interfaces, driven as vLLM drives them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from speceyes_kernels import token_statistics
from speceyes_plugins.engines.vllm.processors import RunnerV1Scores, RunnerV2Scores
from speceyes_plugins.engines.vllm.slots import EXTRA, ScoreSlot, StepScores
from vllm import SamplingParams
from vllm.v1.sample.logits_processor import BatchUpdate, MoveDirectionality

from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.gate.early_rejection import min_hopeless
from speceyes_cli.core.gate.scores import min_score

VOCABULARY = 500


def make_slot(step: StepScores, *, early: bool = False, k: int = 64) -> ScoreSlot:
    gate = Gate("min", min_score, k, 0.98, min_hopeless)
    return ScoreSlot(step, gate, 20, early)


def parameters(slot: ScoreSlot | None) -> SamplingParams:
    extra = None if slot is None else {EXTRA: slot}
    return SamplingParams(temperature=0.0, extra_args=extra)


def logits(rows: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, VOCABULARY, generator=torch.Generator().manual_seed(seed))


def test_vllm_copies_parameters_and_the_slot_stays_the_same() -> None:
    slot = make_slot(StepScores())
    assert parameters(slot).clone().extra_args[EXTRA] is slot


def test_the_older_runner_follows_requests_through_the_batch() -> None:
    step = StepScores()
    processor = RunnerV1Scores(None, torch.device("cpu"), False)
    one, other = make_slot(step), make_slot(step, k=17)
    outputs: list[list[int]] = [[], [], []]
    added = [
        (0, parameters(one), [1], outputs[0]),
        (1, parameters(None), [1], outputs[1]),
        (2, parameters(other), [1], outputs[2]),
    ]
    processor.update_state(BatchUpdate(3, removed=[], added=added, moved=[]))
    assert not processor.is_argmax_invariant()
    first = logits(3)
    kept = first.clone()
    assert torch.equal(processor.apply(first), kept)
    for output in outputs:
        output.append(7)
    step.collect()
    assert one.tokens == [int(first[0].argmax())]
    expected = token_statistics(first, k=17).separability[2].item()
    assert other.scores[0].separability == pytest.approx(expected)

    moved = [(2, 0, MoveDirectionality.UNIDIRECTIONAL)]
    processor.update_state(BatchUpdate(2, removed=[0], added=[], moved=moved))
    second = logits(2, seed=1)
    processor.apply(second)
    for output in outputs:
        output.append(8)
    step.collect()
    assert len(one.tokens) == 1
    assert other.tokens[1] == int(second[0].argmax())


def test_a_row_of_a_prompt_read_in_parts_is_no_token() -> None:
    step = StepScores()
    processor = RunnerV1Scores(None, torch.device("cpu"), False)
    slot, output = make_slot(step, early=True), []
    added = [(0, parameters(slot), [1], output)]
    processor.update_state(BatchUpdate(1, removed=[], added=added, moved=[]))
    processor.apply(logits(1))  # a flat row, hopeless if it counted
    step.collect()
    assert not slot.tokens
    assert not slot.hopeless


def make_runner(lengths: list[int]) -> RunnerV2Scores:
    held = SimpleNamespace(prompt_len=SimpleNamespace(np=np.array(lengths)))
    return RunnerV2Scores(None, held)


def context(requests: list[int], visible: list[int]) -> SimpleNamespace:
    return SimpleNamespace(
        idx_mapping_np=np.array(requests), seq_lens_upper_bound_np=np.array(visible)
    )


def test_the_newer_runner_maps_rows_to_slots() -> None:
    step = StepScores()
    runner = make_runner([10, 20, 30])
    slot = make_slot(step)
    assert runner.add_request(2, parameters(slot))
    assert not runner.add_request(0, parameters(None))
    first = logits(2)
    runner.apply(first, context([2, 0], [30, 10]))
    step.collect()
    assert slot.tokens == [int(first[0].argmax())]
    second = logits(2, seed=1)
    runner.apply(second, context([0, 2], [11, 31]))
    step.collect()
    assert slot.tokens[1] == int(second[1].argmax())


def test_the_newer_runner_leaves_out_prompts_that_are_still_read_and_recycled_slots() -> None:
    step = StepScores()
    runner = make_runner([10])
    slot = make_slot(step)
    runner.add_request(0, parameters(slot))
    runner.apply(logits(1), context([0], [4]))
    step.collect()
    assert not slot.tokens
    runner.add_request(0, parameters(None))
    runner.apply(logits(1), context([0], [10]))
    step.collect()
    assert not slot.tokens


def test_several_rows_of_one_request_are_refused() -> None:
    runner = make_runner([10])
    runner.add_request(0, parameters(make_slot(StepScores())))
    with pytest.raises(RuntimeError, match="one row"):
        runner.apply(logits(2), context([0], [10]))


def test_a_draft_that_can_no_longer_pass_is_marked() -> None:
    step = StepScores()
    runner = make_runner([10])
    slot = make_slot(step, early=True)
    runner.add_request(0, parameters(slot))
    sure = torch.zeros(1, VOCABULARY)
    sure[0, 3] = 50.0
    runner.apply(sure, context([0], [10]))
    step.collect()
    assert not slot.hopeless
    runner.apply(logits(1), context([0], [11]))
    step.collect()
    assert slot.hopeless
