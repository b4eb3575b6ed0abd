"""The Python within a text: any text, cut anywhere, in time proportional to its length."""

from __future__ import annotations

import ast
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from speceyes_plugins.sandbox.worker import source

PIECES = [
    *("```", "~~~", "```python\n", "\n```\n", "`", "~", "'''", "'''python\n", '"""', " ", "\t"),
    *("\n", "\r\n", "%matplotlib\n", "!ls\n", "x = 1\n", "  ", "{.python}", "\u00a0", "#"),
]
WHOLE = "I look:\n```python\nx = '''a'''\nif x:\n    print(x)\n```\n"


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join) | st.text(max_size=200))
def test_any_text_is_python_or_a_syntax_error(text: str) -> None:
    try:
        parsed = source.parse(text)
    except (SyntaxError, ValueError):
        return
    assert ast.dump(parsed.tree) == ast.dump(ast.parse(parsed.source))


@given(st.lists(st.sampled_from(["x = 1", "y = [x,\n 2]", "print(x)", "# a"]), min_size=1))
def test_python_that_runs_as_it_stands_is_not_changed(lines: list[str]) -> None:
    code = "\n".join(lines)
    assert source.parse(code)[1:] == (code, ())
    assert source.parse(f"```python\n{code}\n```")[1:] == (code, ())


@pytest.mark.parametrize("end", range(len(WHOLE)))
def test_a_text_cut_anywhere_is_python_or_a_syntax_error(end: int) -> None:
    try:
        source.parse(WHOLE[:end])
    except SyntaxError:
        return


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("before", ["", "```python\n", "words\n"])
def test_fences_are_read_in_time_proportional_to_the_text(piece: str, before: str) -> None:
    def seconds(length: int) -> float:
        text = before + piece * (length // len(piece)) + "?"
        took = []
        for _ in range(3):
            began = time.process_time()
            source.unfenced(text)
            for _, mend in source.MENDS:
                mend(text)
            took.append(time.process_time() - began)
        return min(took)

    once, four = seconds(10_000), seconds(40_000)
    assert four < 10 * once + 0.01
