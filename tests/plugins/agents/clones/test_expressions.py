from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st
from speceyes_plugins.agents.clones.expressions import evaluate
from speceyes_plugins.agents.clones.statements import follow
from speceyes_plugins.agents.clones.values import Items, Listed, Place, Text, Value


class Nothing:
    """No other module, and no function."""

    def name(self, name: str) -> Value | None:  # noqa: ARG002
        return None

    def attribute(self, owner: str, name: str) -> Value | None:  # noqa: ARG002
        return None

    def call(
        self,
        function: str,  # noqa: ARG002
        arguments: Sequence[Value],  # noqa: ARG002
        named: Mapping[str, Value],  # noqa: ARG002
    ) -> Value | None:
        return None


words = st.text(alphabet="ab {}%\n'\"\\", max_size=8)


def literal(text: str) -> str:
    return repr(text)


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Longer expressions from shorter ones, each with a value that Python gives it."""
    two = st.tuples(inner, inner)
    return st.one_of(
        two.map(lambda pair: f"({pair[0]} + {pair[1]})"),
        two.map(lambda pair: f"''.join([{pair[0]}, {pair[1]}])"),
        two.map(lambda pair: f"'<{{0}}|{{b}}>'.format({pair[0]}, b={pair[1]})"),
        two.map(lambda pair: f"('%s %%%s' % ({pair[0]}, {pair[1]}))"),
        two.map(lambda pair: "{'k': [" + pair[0] + ", " + pair[1] + "]}['k'][1]"),
        inner.map(lambda one: f"{one}.strip()"),
        inner.map(lambda one: f"{one}.rstrip('a')"),
        inner.map(lambda one: f"{one}.replace('a', 'xy')"),
        inner.map(lambda one: f"str({one})"),
        inner.map(lambda one: f"dict(t={one})['t']"),
    )


expressions = st.recursive(words.map(literal), grown, max_leaves=8)


@given(expressions)
def test_what_is_read_is_what_python_gives(expression: str) -> None:
    found = evaluate(ast.parse(expression, mode="eval").body, {}, Nothing())
    assert isinstance(found, Text)
    assert found.plain == eval(expression)  # noqa: S307 - an expression of ours


@given(st.lists(st.tuples(st.sampled_from("abc"), expressions), max_size=6))
def test_statements_leave_what_python_leaves(assigned: list[tuple[str, str]]) -> None:
    lines = [f"{name} = {value}" for name, value in assigned]
    lines += [f"{name} += 'x'" for name, _ in assigned]
    source = "\n".join(lines)
    expected: dict[str, str] = {}
    exec(source, {}, expected)  # noqa: S102 - statements of ours
    names: dict[str, Value] = {}
    follow(ast.parse(source).body, names, Nothing())
    assert {n: v.plain for n, v in names.items() if isinstance(v, Text)} == expected


@given(st.text(max_size=40))
def test_no_source_raises(source: str) -> None:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    follow(tree.body, {}, Nothing())


def names_of(source: str) -> dict[str, Value]:
    names: dict[str, Value] = {}
    follow(ast.parse(source).body, names, Nothing())
    return names


def test_a_loop_is_one_round_repeated() -> None:
    names = names_of("t = 'x'\nfor i in range(n):\n    t += L[i + 1] + '. ' + o[i] + '\\n'\n")
    each = Text((Place("L[i + 1]"), ". ", Place("o[i]"), "\n"))
    assert names["t"] == Text(("x", Items(each)))


def test_a_list_that_grows_is_joined() -> None:
    names = names_of("t = []\nfor a in b:\n    t.append(f'- {a}')\ns = '|'.join(t)\n")
    assert names["t"] == Listed((), Text(("- ", Place("a"))))
    assert names["s"] == Text((Items(Text(("- ", Place("a"))), "|"),))


def test_branches_that_agree_are_known_and_others_open() -> None:
    source = "if x:\n    a = 'same'\n    b = 'one'\nelse:\n    a = 'same'\n    b = 'other'\n"
    assert names_of(source) == {"a": Text(("same",)), "b": Text((Place("b"),))}


def test_a_loop_that_runs_for_ever_is_not_run() -> None:
    assert names_of("t = 'x'\nwhile True:\n    t += t\n")["t"] is not None
    doubling = "t = 'x' * 1\n" + "t = t + t\n" * 60
    assert isinstance(names_of("t = 'x'\n" + "t = t + t\n" * 60)["t"], Text)
    assert doubling
