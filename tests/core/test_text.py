from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speceyes_cli.core.text import one_line, strip_control, without_tags, without_tokens


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("windows\r\nline", "windows\nline"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[1;1Hgone", "gone"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://example.org\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b31mred", "red"),
        ("over\rwrite", "overwrite"),
        ("bell\x07 back\x08space", "bell backspace"),
        ("right\u202eleft", "rightleft"),
        ("h\u00e9 \u4f60\u597d \U0001f600", "h\u00e9 \u4f60\u597d \U0001f600"),
        ("lone\ud800", "lone"),
    ],
)
def test_strip_control(text: str, shown: str) -> None:
    assert strip_control(text) == shown


@given(st.text() | st.text(st.characters(max_codepoint=0xFF)))
def test_nothing_that_controls_a_terminal_is_left(text: str) -> None:
    left = strip_control(text)
    assert not [c for c in left if unicodedata.category(c) == "Cc" and c not in "\n\t"]
    assert strip_control(left) == left
    left.encode()


@given(st.text(), st.integers(1, 50))
def test_one_line_is_one_line_of_that_width(text: str, width: int) -> None:
    line = one_line(text, width)
    assert len(line) <= width
    assert len(line.splitlines()) <= 1


TOKENS = ("<|im_end|>", "<|im_start|>", "</s>", "ab")


@given(st.lists(st.sampled_from(["<|im_", "end|>", "start|>", "</", "s>", "a", "b", " "])))
def test_no_token_is_left_nor_made(parts: list[str]) -> None:
    text = "".join(parts)
    left = without_tokens(text, TOKENS)
    assert not any(token in left for token in TOKENS)
    assert without_tokens(left, TOKENS) == left
    if not any(token in text for token in TOKENS):
        assert left == text


@given(st.lists(st.sampled_from(["<", "|im|", ">", "x", "<a>", "<|im|>"])))
def test_no_tag_is_left_nor_made(parts: list[str]) -> None:
    left = without_tags("".join(parts), lambda tag: tag == "<|im|>")
    assert "<|im|>" not in left
    assert "".join(parts).replace("<|im|>", "").count("x") == left.count("x")


def test_nested_tokens_are_taken_out_in_one_pass() -> None:
    deep = "<|im_" * 20_000 + "end|>" * 20_000
    assert without_tokens(deep, ("<|im_end|>",)) == ""
    assert without_tags(deep, lambda tag: tag == "<|im_end|>") == ""
