from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speceyes_cli.host.plugin_options import OptionValues, PluginOption, deciding

VALUES: dict[type, st.SearchStrategy[Any]] = {
    int: st.integers(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    str: st.text(),
}


@given(st.sampled_from(list(VALUES)).flatmap(lambda kind: st.tuples(st.just(kind), VALUES[kind])))
def test_a_value_comes_back_from_its_text(case: tuple[Any, Any]) -> None:
    kind, value = case
    found = PluginOption("x", "", None, kind).read(str(value))
    assert type(found) is kind
    assert found == value


@given(st.sampled_from([int, float, bool]), st.text())
def test_any_text_is_a_finite_value_or_refused(kind: Any, text: str) -> None:
    try:
        found = PluginOption("x", "", None, kind).read(text)
    except ValueError:
        return
    assert type(found) is kind
    assert found == found  # noqa: PLR0124 - NaN is not


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "Max tiles"}, "needs a name"),
        ({"name": "small.x"}, "needs a name"),
        ({"default": "3"}, "cannot have the default '3'"),
        ({"default": True}, "cannot have the default True"),
        ({"type": str, "default": "c", "choices": ("a", "b")}, "cannot have the default 'c'"),
        ({"choices": ("a", "b")}, "is no text"),
    ],
)
def test_a_wrong_declaration_is_told(changes: dict[str, Any], told: str) -> None:
    declared: dict[str, Any] = {"name": "max-tiles", "help": "", "type": int, **changes}
    with pytest.raises(ValueError, match=told):
        PluginOption(**declared)


def test_values_are_a_mapping_that_can_be_a_key() -> None:
    values = OptionValues((("a", 1), ("b", None)))
    assert dict(values) == {"a": 1, "b": None}
    assert {values: 1}[OptionValues((("a", 1), ("b", None)))] == 1
    assert values != OptionValues((("a", 2), ("b", None)))


def test_what_decides_is_told_apart() -> None:
    options = (
        PluginOption("a", "", 1, int),
        PluginOption("b", "", 1, int, decides="time"),
        PluginOption("c", "", 1, int, decides="nothing"),
    )
    values = {"a": 1, "b": 2, "c": 3}
    assert deciding(options, values, "answers") == {"a": 1}
    assert deciding(options, values, "time") == {"b": 2}
