from __future__ import annotations

import pytest
from speceyes_plugins.engines.openai.addresses import Address, api_key, check, parse_address, takes

from speceyes_cli.core.errors import UsageError
from speceyes_cli.host.specs import EngineOptions


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("http://localhost:8000/v1#m", True),
        ("HTTPS://host/v1", True),
        ("embedded", False),
        ("Qwen/Qwen3-VL-2B-Instruct", False),
        ("ftp://host/v1#m", False),
        ("", False),
    ],
)
def test_which_names_are_taken(name: str, taken: bool) -> None:
    assert takes(name) is taken


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("http://h:8000/v1#a/b", Address("http://h:8000/v1", "a/b", None)),
        ("http://h:8000", Address("http://h:8000/v1", "", None)),
        ("http://h/#m", Address("http://h/v1", "m", None)),
        ("https://h/team/api/#m", Address("https://h/team/api", "m", None)),
        ("http://h/v1#a/b?factor=28", Address("http://h/v1", "a/b", 28)),
        ("http://h/v1#?factor=none", Address("http://h/v1", "", 0)),
        ("http://h/v1#m?factor=40", Address("http://h/v1", "m", 40)),
        ("http://h/v1?factor=32", Address("http://h/v1", "", 32)),
        ("http://h:8000?factor=none#a/b", Address("http://h:8000/v1", "a/b", 0)),
    ],
)
def test_an_address_and_its_parts(name: str, parts: Address) -> None:
    assert parse_address(name, "large") == parts


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("http://", "names no host"),
        ("http://h:99999/v1", "out of range"),
        ("http://h/v1#m?factor=27.5", "28 for Qwen2.5-VL, 32 for Qwen3-VL"),
        ("http://h/v1#m?factor=0", "or none"),
        ("http://h/v1#m?frame=28", r"\? only factor="),
        ("http://h/v1?factor=27.5#m", "28 for Qwen2.5-VL"),
        ("http://h/v1?factor=", "or none"),
        ("http://h/v1?factor=28#m?factor=32", "no user, password or query"),
    ],
)
def test_a_wrong_address_is_one_sentence(name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        check(EngineOptions(name, "small"))


@pytest.mark.parametrize(
    "name",
    [
        "http://me:sk-secret@h/v1#m",
        "http://h/v1?key=sk-secret#m",
        "http://h/v1?factor=28&key=sk-secret#m",
    ],
)
def test_a_key_in_the_address_is_refused_and_not_repeated(name: str) -> None:
    with pytest.raises(UsageError, match="SPECEYES_SMALL_API_KEY") as told:
        check(EngineOptions(name, "small"))
    assert "secret" not in str(told.value)


def test_numbers_out_of_range() -> None:
    with pytest.raises(UsageError, match="--concurrency"):
        check(EngineOptions("http://h/v1#m", "small", concurrency=0))
    with pytest.raises(UsageError, match="--small-max-pixels"):
        check(EngineOptions("http://h/v1#m", "small", min_pixels=100, max_pixels=50))


def test_the_key_of_the_role_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SPECEYES_SMALL_API_KEY", "SPECEYES_LARGE_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert api_key("small") == ""
    monkeypatch.setenv("OPENAI_API_KEY", "general")
    monkeypatch.setenv("SPECEYES_LARGE_API_KEY", " special \n")
    assert (api_key("small"), api_key("large")) == ("general", "special")
