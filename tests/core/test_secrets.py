from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.secrets import (
    Secrets,
    check_key,
    has_userinfo,
    hide_hub_token,
    hide_userinfo,
)
from speceyes_cli.core.text import one_line, strip_control

KEY = "sk-Secret/12+3"
SIGNS = st.characters(min_codepoint=33, max_codepoint=126)
UNSEEN = st.lists(st.sampled_from(["\x00", "\x1b[0m", "\u200e", "\x1b]0;title\x07", "\x7f"]))


@pytest.mark.parametrize(
    "said",
    [
        KEY,
        f"I was sent Bearer {KEY}!",
        KEY.lower(),
        "sk-Secret%2F12%2B3",
        "sk-Secret%2f12%2b3",
        "sk-\x00Secret/12+3",
        "sk-Sec\x1b[31mret/12+3",
        '{"key": "sk-Secret/12+3"}',
    ],
)
def test_a_key_is_hidden_however_it_comes(said: str) -> None:
    shown = one_line(Secrets(KEY).hide(said))
    assert "secret" not in shown.lower()
    assert "***" in shown


@given(st.text(SIGNS, min_size=6), st.text(), st.text(), st.data())
def test_no_text_shows_a_key(key: str, before: str, after: str, data: st.DataObject) -> None:
    broken = "".join(sign + "".join(data.draw(UNSEEN)) for sign in key)
    shown = strip_control(Secrets(key).hide(f"{before} {broken} {after}"))
    if key not in strip_control(f"{before}  {after}"):
        assert key not in shown.replace("***", "\n")


def test_a_json_value_is_filtered_throughout() -> None:
    told = {"a": [{KEY: KEY}, 1, None, True, 0.5], "b": {"c": f"x{KEY}y"}}
    assert Secrets(KEY).hide_in(told) == {
        "a": [{"***": "***"}, 1, None, True, 0.5],
        "b": {"c": "x***y"},
    }
    assert Secrets(KEY).hide_in({"a": [{"b": KEY}], "c": KEY}, but="b") == {
        "a": [{"b": KEY}],
        "c": "***",
    }


def test_without_a_key_or_with_a_placeholder_nothing_changes() -> None:
    for key in ("", "EMPTY", "none"):
        assert Secrets(key).hide("EMPTY, none and all") == "EMPTY, none and all"


@pytest.mark.parametrize(
    ("url", "holds"),
    [
        ("http://me:pw@host/v1", True),
        ("HTTPS://me@host", True),
        (" http://:pw@host", True),
        ("http://host/v1#me@model", False),
        ("http://host/a@b", False),
        ("http://host?x=a@b", False),
    ],
)
def test_addresses_with_a_user(url: str, holds: bool) -> None:
    assert has_userinfo(url) == holds
    assert ("***@" in hide_userinfo(f"at {url}")) == holds
    assert "pw" not in hide_userinfo(f"at {url}")


def test_a_key_is_what_a_header_can_carry() -> None:
    assert check_key("  sk-1 \n", ["X"]) == "sk-1"
    for key in ("schlüssel", "qx qy", "qx\nqy", "qx\x00"):
        with pytest.raises(UsageError, match="The key in --a or B holds") as told:
            check_key(key, ["--a", "B"])
        assert key not in str(told.value)


def test_the_hubs_token_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    said = hide_hub_token("401 for hf_secret through http://me:pw@proxy:80")
    assert said == "401 for *** through http://***@proxy:80"
