from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from speceyes_plugins.agents.tolerant_json import MAX_DIGITS, UnreadableError, read_value

SLACK = 0.25  # seconds that a busy machine may take from a thread; time squared would be more
PIECES = (
    *("{", "}", "[", "]", "(", ")", ",", ":", "=", '"', "'", "“", "\\", "\n", " ", "1", "-", "."),
    *("//", "/*", "*/", "#", '"a"', '"a":', "null", "f(", '", "', '": "', '"}', "\\u12"),
)

numbers = st.integers(-(10**12), 10**12) | st.floats(allow_nan=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(values.filter(lambda value: isinstance(value, list | dict)), st.booleans(), st.booleans())
def test_json_is_read_as_it_stands(value: Any, ascii_only: bool, cut: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=2 if cut else None)
    read = read_value(text, complete=not cut)
    assert read.value == value
    assert read.end == len(text)
    assert "\n" in text or not read.mends


@pytest.mark.parametrize(
    ("text", "value", "mend"),
    [
        ("{'a': 'b'}", {"a": "b"}, "quotes"),
        ("{“a”: “b”}", {"a": "b"}, "quotes"),
        ("{a: 1}", {"a": 1}, "keys"),
        ("{a = 1}", {"a": 1}, '"="'),
        ('{"a": 1,}', {"a": 1}, "comma"),
        ('{"a" "b", "c" [1]}', {"a": "b", "c": [1]}, "missing"),
        ('{a": 1}', {"a": 1}, "keys"),
        ('{"a": 1, 2, 3], "b": 4}', {"a": [1, 2, 3], "b": 4}, "opening bracket"),
        ('{"a": 1 "b": 2}', {"a": 1, "b": 2}, "comma"),
        ('{"a": "x" "b": 2}', {"a": "x", "b": 2}, "comma"),
        ("[1 2 3]", [1, 2, 3], "comma"),
        ("[1, 2,, 3]", [1, 2, 3], "comma"),
        ("[1; 2; 3]", [1, 2, 3], ""),
        ("(1, 2)", [1, 2], "round"),
        ("[1, /* two */ 3] // end", [1, 3], "comments"),
        ("{ # first\n a: 1}", {"a": 1}, "comments"),
        ("[1, // two, 2\n 3]", [1, 3], "comments"),
        ('{"a": [1, 2}', {"a": [1, 2]}, "bracket"),
        ('{"a": {"b": [1, 2]}', {"a": {"b": [1, 2]}}, "bracket"),
        ('{"a": [1, 2)}', {"a": [1, 2]}, "bracket"),
        ('{"a": [[1, 2]}', {"a": [[1, 2]]}, "bracket"),
        ('{"a": "the "big" sign"}', {"a": 'the "big" sign'}, "quotes inside"),
        ('{"a": "the "big", red sign", "b": 1}', {"a": 'the "big", red sign', "b": 1}, "quotes in"),
        ("{'a': 'the dog's bowl', 'b': 1}", {"a": "the dog's bowl", "b": 1}, "quotes inside"),
        ('{"a": "two\nlines"}', {"a": "two\nlines"}, "line break"),
        ('{"a": "no end}', {"a": "no end"}, "closing quote"),
        ("[True, False, None]", [True, False, None], "Python"),
        ("zoom(a=1, b='c')", {"name": "zoom", "arguments": {"a": 1, "b": "c"}}, "function"),
        ("tools.zoom([1, 2])", {"name": "tools.zoom", "arguments": [1, 2]}, "function"),
        ("[red, green]", ["red", "green"], "without quotes"),
        ("[+1, .5, 1., 1e2]", [1, 0.5, 1.0, 100.0], ""),
    ],
)
def test_what_was_meant_is_read_and_noted(text: str, value: object, mend: str) -> None:
    read = read_value(text)
    assert read.value == value
    assert not mend or any(mend in note for note in read.mends), read.mends


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "ends"),
        ("}", "ends"),
        ("[1, :]", "':' stands"),
        ('{"a" b}', '":" is missing'),
        ('{"a", "b"}', '":" is missing'),
        ("[" * 100, "levels"),
        ('{"a":' * 100, "levels"),
        ("f(" * 100, "levels"),
        ("[" + "9" * 5000 + "]", "5,000 digits"),
        ("[-" + "9" * MAX_DIGITS + "]", "digits"),
    ],
)
def test_what_cannot_be_meant_is_said(text: str, said: str) -> None:
    with pytest.raises(UnreadableError, match=said):
        read_value(text)


@pytest.mark.parametrize("text", ["[1, 2, 12", '{"a": "the si', '{"a": tru', "12"])
def test_what_was_cut_is_not_taken_for_whole(text: str) -> None:
    read_value(text, complete=True)
    with pytest.raises(UnreadableError, match="cut off"):
        read_value(text, complete=False)


@given(st.lists(st.sampled_from(PIECES), max_size=80).map("".join) | st.text(), st.booleans())
def test_no_text_raises_anything_else(text: str, complete: bool) -> None:
    try:
        read = read_value(text, complete=complete)
    except UnreadableError:
        return
    assert 0 < read.end <= len(text)


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join))
@settings(max_examples=30)
def test_repeating_a_fragment_costs_in_proportion(fragment: str) -> None:
    def seconds(times: int) -> float:
        best = 1.0
        for _ in range(3):
            began = time.thread_time()
            with contextlib.suppress(UnreadableError):
                read_value('["' + fragment * times)
            best = min(best, time.thread_time() - began)
        return best

    assert seconds(4000) < 8 * seconds(1000) + SLACK
