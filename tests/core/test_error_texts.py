from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speceyes_cli.core.error_texts import LONGEST, first_line


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("No such thing.\nTry another."), "No such thing"),
        (OSError("\n  it is gone...  \nreally"), "it is gone"),
        (KeyError(), "KeyError"),
        (RuntimeError(" .\n"), "RuntimeError"),
        (OSError("407 from http://me:secret@proxy:80"), "407 from http://***@proxy:80"),
        (ValueError("\x1b[31mred\x1b[0m\r\nblue"), "red"),
    ],
)
def test_one_line_is_told(error: Exception, told: str) -> None:
    assert first_line(error) == told


def test_a_token_is_hidden_also_where_the_line_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_" + "s" * 40)
    said = first_line(OSError("x" * (LONGEST - 20) + "hf_" + "s" * 40))
    assert "sss" not in said


@given(st.text())
def test_it_is_a_line_that_a_sentence_can_end_with(text: str) -> None:
    told = first_line(ValueError(text))
    assert told
    assert len(told) <= LONGEST
    assert told == told.rstrip(". ")
    assert len(told.splitlines()) == 1
