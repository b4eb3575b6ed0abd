from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from speceyes_kernels import token_statistics
from speceyes_plugins.engines.token_scores import (
    LogprobsError,
    Token,
    read_tokens,
    score_tokens,
)


def entry(text: str, values: list[float]) -> dict[str, Any]:
    top = [{"token": "x", "logprob": value, "bytes": None} for value in values]
    return {"token": text, "bytes": list(text.encode()), "logprob": values[0], "top_logprobs": top}


def choice(text: str, entries: list[Any], finish: str = "stop") -> dict[str, Any]:
    return {
        "message": {"content": text},
        "finish_reason": finish,
        "logprobs": {"content": entries},
    }


VALUES = [-0.1, -3.0, -4.0, -5.0]


LOGITS = st.integers(-30 * 64, 30 * 64).map(lambda steps: steps / 64)
"""Apart by more than what float32 rounds away of their log-probabilities, or equal."""


@given(logits=st.lists(LOGITS, min_size=70, max_size=90), seed=st.integers())
def test_log_probabilities_score_as_logits_do(logits: list[float], seed: int) -> None:
    row = torch.tensor(logits)
    wanted = token_statistics(row.unsqueeze(0), k=64)
    values = row.double().log_softmax(-1).topk(64).values.tolist()
    torch.manual_seed(seed % 2**32)
    shuffled = tuple(values[i] for i in torch.randperm(64).tolist())  # any order may come
    told = entry("a", list(shuffled)) | {"logprob": max(values)}
    (token,) = read_tokens(choice("a", [told]), 2)
    (score,) = score_tokens([token], 64)
    assert score.separability == pytest.approx(wanted.separability.item(), rel=1e-3, abs=1e-4)
    assert score.margin == pytest.approx(wanted.margin.item(), abs=1e-4)
    assert score.entropy == pytest.approx(wanted.entropy.item(), abs=1e-4)
    assert score.logprob == pytest.approx(wanted.logprob.item(), abs=1e-4)


@pytest.mark.parametrize("end", ["<|im_end|>", ""])
def test_the_end_of_sequence_has_an_entry_that_is_dropped(end: str) -> None:
    entries = [entry("re", VALUES), entry("d", VALUES), entry(end, VALUES)]
    assert [token.text for token in read_tokens(choice("red", entries), 3)] == [b"re", b"d"]


def test_a_last_token_that_is_in_the_text_stays() -> None:
    entries = [entry("re", VALUES), entry("d", VALUES)]
    assert len(read_tokens(choice("red", entries), 3)) == 2


def test_half_a_character_is_in_the_text_by_its_bytes() -> None:
    halves = [entry("?", VALUES) | {"bytes": [part]} for part in "é".encode()]
    assert len(read_tokens(choice("é", halves), 3)) == 2


def test_a_cut_reply_keeps_its_last_token() -> None:
    assert len(read_tokens(choice("", [entry("<eos>", VALUES)], "length"), 1)) == 1


def test_an_end_at_once_is_no_token() -> None:
    assert read_tokens(choice("", [entry("<|im_end|>", VALUES)]), 1) == []
    assert read_tokens(choice("", []), 1) == []


@pytest.mark.parametrize(
    ("told", "generated", "says"),
    [
        (choice("red", []), 2, "no log-probabilities"),
        ({"message": {"content": "red"}, "logprobs": None}, 2, "no log-probabilities"),
        ({"message": {"content": "red"}}, None, "no log-probabilities"),
        (choice("red", [entry("r", VALUES)]), 4, "1 of its 4"),
        (choice("red", [{"token": "red"}]), 2, "OpenAI's form"),
        (choice("red", ["red"]), 2, "OpenAI's form"),
        (choice("red", [entry("red", VALUES) | {"bytes": [999]}]), 2, "OpenAI's form"),
    ],
)
def test_what_is_missing_is_never_sure(told: Any, generated: int | None, says: str) -> None:
    with pytest.raises(LogprobsError, match=says):
        read_tokens(told, generated)


def test_too_few_and_processed_values_are_refused() -> None:
    with pytest.raises(LogprobsError, match="4 log-probabilities of a token; 5"):
        score_tokens([Token(b"a", -0.1, tuple(VALUES))], 5)
    with pytest.raises(LogprobsError, match="processed"):
        score_tokens([Token(b"a", -0.1, (-0.1, -2.0, -9999.0))], 3)


@pytest.mark.parametrize(
    ("logprob", "top", "fault"),
    [
        (-2.0, (-0.1, -2.0, -3.0), "not_greedy"),
        (math.nan, (math.nan, -2.0, -3.0), "nan"),
        (math.inf, (math.inf, -2.0, -3.0), "infinite"),
    ],
)
def test_an_odd_token_is_named(logprob: float, top: tuple[float, ...], fault: str) -> None:
    (score,) = score_tokens([Token(b"a", logprob, top)], 3)
    assert score.fault == fault
    assert math.isnan(score.separability)


def test_gaps_are_kept_when_a_gate_keeps_them() -> None:
    (score,) = score_tokens([Token(b"a", -0.1, tuple(VALUES))], 3, kept=128)
    assert score.rivals == (2.9, 3.9, 4.9)
    assert score_tokens([Token(b"a", -0.1, tuple(VALUES))], 3)[0].rivals == ()


def test_no_token_is_no_score() -> None:
    assert score_tokens([], 64) == ()
