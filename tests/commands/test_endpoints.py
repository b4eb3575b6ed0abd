from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import vllm_server
from typer.testing import Result

from speceyes_cli.core.run.store import read_run
from speceyes_cli.host.specs import EngineOptions

Invoke = Callable[..., Result]
KEY = "sk-do-not-tell"
LIMITED = ("--limit", "4", "--agent", "deepeyes")


def areas(role: str, model: Any) -> tuple[str, ...]:
    """The model's own picture areas, said aloud: it resizes all pictures to one."""
    size = model.size
    low, high = str(size.shortest_edge), str(size.longest_edge)
    return (f"--{role}-min-pixels", low, f"--{role}-max-pixels", high)


def patched(address: str, model: Any) -> str:
    """The address with the size of the model's patches: the speculator's are not its family's."""
    return f"{address}?factor={model.factor}"


@pytest.fixture(scope="module")
def pair() -> dict[str, Any]:
    """The embedded pair behind the form of a server."""
    roles = ("small", "large")
    return {r: vllm_server.Served(EngineOptions("embedded", r, batch_size=1)) for r in roles}


@pytest.fixture
def addresses(pair: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, ...]]:
    """The options that name both endpoints, which want a key."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    does = vllm_server.Behaviour(key=KEY)
    small = vllm_server.serving(does, pair["small"])
    large = vllm_server.serving(does, pair["large"])
    with small as first, large as second:
        yield (
            *("--small", patched(first, pair["small"]), *areas("small", pair["small"])),
            *("--large", second, *areas("large", pair["large"])),
        )


def told(record: Any) -> tuple[Any, ...]:
    return (record.split, record.sample_id, record.route, record.text, record.large_tokens)


def test_endpoints_answer_as_the_local_pair_does(
    invoke: Invoke, addresses: tuple[str, ...], tmp_path: Path
) -> None:
    done = invoke("eval", *LIMITED, *addresses, "--out", "remote", "--threshold", "0.9")
    assert done.exit_code == 0, done.output
    assert "serves eyes · top 64 log-probabilities, raw" in done.stderr
    local = invoke("eval", *LIMITED, "--out", "local", "--batch-size", "1", "--threshold", "0.9")
    assert local.exit_code == 0, local.output
    (info, far), (_, near) = read_run(tmp_path / "remote"), read_run(tmp_path / "local")
    assert [told(record) for record in far] == [told(record) for record in near]
    assert info.engines["small"]["engine"] == "openai"
    for a, b in zip(far, near, strict=True):
        assert (a.draft is None) == (b.draft is None)
        if a.draft is not None and b.draft is not None:
            for x, y in zip(a.draft.tokens, b.draft.tokens, strict=False):
                assert x.separability == pytest.approx(y.separability, abs=1e-4)


def test_roles_may_be_mixed_and_the_key_is_kept_nowhere(
    invoke: Invoke, addresses: tuple[str, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        done = invoke("eval", "--limit", "2", *addresses[:6], "--out", "mixed")
    assert done.exit_code == 0, done.output
    info, _ = read_run(tmp_path / "mixed")
    assert [info.engines[role]["engine"] for role in ("small", "large")] == [
        "openai",
        "transformers",
    ]
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert KEY.encode() not in written
    assert KEY not in done.output + caplog.text


@pytest.mark.parametrize(
    ("changes", "key", "says"),
    [
        ({}, "wrong", "refuses the key (status 401); put the right one into SPECEYES_SMALL_API"),
        ({"max_logprobs": 20}, KEY, "start vLLM with --max-logprobs 64"),
        ({"pictures": 0}, KEY, "takes no pictures"),
        ({"page": True}, KEY, "a web page that is no JSON"),
    ],
)
def test_an_endpoint_that_will_not_do_leaves_no_run(
    invoke: Invoke,
    pair: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    key: str,
    says: str,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    does = vllm_server.Behaviour(key=KEY, **changes)
    with vllm_server.serving(does, pair["small"]) as address:
        choice = ("--small", address, *areas("small", pair["small"]))
        done = invoke("eval", "--method", "draft", *choice, "--out", "r")
    assert done.exit_code == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("speceyes: --small http://127.0.0.1:")
    assert says in last
    assert KEY not in done.output
    assert done.stdout == ""
    assert not list(tmp_path.rglob("*"))


def test_a_key_that_is_withdrawn_stops_the_run_and_keeps_what_is_done(
    invoke: Invoke, pair: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    does = vllm_server.Behaviour()
    monkeypatch.setattr(
        pair["small"],
        "complete",
        lambda body, seen, whole=pair["small"].complete: withdraw(body, seen, whole),
    )
    with vllm_server.serving(does, pair["small"]) as address:
        areas_of = areas("small", pair["small"])
        choice = ("--small", patched(address, pair["small"]), *areas_of, "--concurrency", "1")
        done = invoke("eval", "--method", "draft", "--limit", "20", *choice, "--out", "r")
    assert done.exit_code == 2
    assert "refuses the key" in done.stderr
    lines = (tmp_path / "r" / "records.jsonl").read_text(encoding="utf-8").splitlines()
    assert 0 < len(lines) < 40
    assert all(json.loads(line)["route"] == "small" for line in lines)


def withdraw(body: Any, does: Any, whole: Any) -> Any:
    """After a few answers the key is another."""
    if does.load.served > 15:
        does.key = "another"
    return whole(body, does)
