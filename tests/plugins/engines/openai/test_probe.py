from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
from speceyes_plugins.engines.openai.doctor import findings
from speceyes_plugins.engines.openai.engine import OpenAIEngine
from vllm_server import Behaviour

from speceyes_cli.core.chat import Role
from speceyes_cli.core.errors import UsageError

Serve = Callable[..., str]
Connect = Callable[..., OpenAIEngine]


@pytest.mark.parametrize(
    ("behaviour", "role", "says"),
    [
        ({"max_logprobs": 20}, "small", "serves 20 .* not 64; start vLLM with --max-logprobs 64"),
        ({"logprobs": False}, "small", "sends no log-probabilities; the gate cannot work"),
        ({"masked": True}, "small", "processed and hold -9999; .*--logprobs-mode raw_logprobs"),
        ({"pictures": 0}, "small", "takes no pictures .*not a multimodal model"),
        ({"pictures": 0}, "large", "takes no pictures"),
        ({"pictures": 1}, "large", "one picture a request.*--limit-mm-per-prompt"),
        ({"key": "sk-right"}, "small", "refuses the key .*SPECEYES_SMALL_API_KEY or OPENAI"),
        ({"page": True}, "large", "a web page that is no JSON: a proxy"),
    ],
)
def test_a_server_that_will_not_do_is_one_sentence(
    serve: Serve,
    connect: Connect,
    served: dict[Role, Any],
    behaviour: dict[str, Any],
    role: Role,
    says: str,
) -> None:
    address = serve(Behaviour(**behaviour), served[role])
    with pytest.raises(UsageError, match=says) as told:
        connect(address, role)
    assert str(told.value).startswith(f"--{role} {address.partition('#')[0]}: ")
    assert "\n" not in str(told.value)


def test_a_model_that_is_not_there_is_answered_with_those_that_are(
    serve: Serve, connect: Connect, served: dict[Role, Any]
) -> None:
    address = serve(Behaviour(), served["small"]).replace("#eyes", "#nose")
    with pytest.raises(UsageError, match="does not serve 'nose'; it serves eyes"):
        connect(address)


def test_the_only_model_needs_no_name(
    serve: Serve, connect: Connect, served: dict[Role, Any]
) -> None:
    address = serve(Behaviour(), served["small"]).partition("#")[0]
    assert connect(address).describe()["model"] == "eyes"


def test_nobody_is_there(connect: Connect) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and not listening
        port = taken.getsockname()[1]
        with pytest.raises(
            UsageError, match=r"cannot be reached .*the address is right and the server up\.$"
        ):
            connect(f"http://127.0.0.1:{port}/v1#eyes")


def test_a_path_that_is_not_the_interface(
    serve: Serve, connect: Connect, served: dict[Role, Any]
) -> None:
    address = serve(Behaviour(), served["small"]).replace("/v1", "/v2")
    with pytest.raises(UsageError, match=r"answered 404: Not Found; .*/v1 is right\.$"):
        connect(address)


@pytest.mark.parametrize(("processed", "mode"), [(False, "raw"), (True, "processed")])
def test_raw_and_processed_are_told_apart(
    serve: Serve, connect: Connect, served: dict[Role, Any], processed: bool, mode: str
) -> None:
    engine = connect(serve(Behaviour(processed=processed), served["small"]))
    assert engine.describe()["logprobs"] == mode


def test_a_frame_that_cannot_be_told_is_refused_where_boxes_count(
    serve: Serve, connect: Connect, served: dict[Role, Any]
) -> None:
    own: dict[str, Any] = {"min_pixels": None, "max_pixels": None}
    address = serve(Behaviour(), served["large"])  # it resizes every picture to one area
    with pytest.raises(UsageError, match=r"boxes could not be placed; .*factor=28"):
        connect(address, "large", **own)
    said = connect(f"{address}?factor=28", "large", **own)
    assert said.describe()["factor"] == 28
    free = connect(f"{address}?factor=none", "large", **own)
    assert free.describe()["factor"] is None
    assert connect(serve(Behaviour(), served["small"]), "small", **own).describe()["factor"] is None


def test_areas_the_server_does_not_keep_to_are_refused(
    serve: Serve, connect: Connect, served: dict[Role, Any]
) -> None:
    address = serve(Behaviour(takes_budget=False), served["large"])
    with pytest.raises(UsageError, match="--large-min-pixels and --large-max-pixels"):
        connect(address, "large", min_pixels=3136, max_pixels=112 * 112)


def test_a_server_that_counts_no_tokens_gives_no_frame(
    serve: Serve, connect: Connect, served: dict[Role, Any]
) -> None:
    address = serve(Behaviour(usage=False), served["large"])
    with pytest.raises(UsageError, match="does not keep to the areas"):
        connect(address, "large")


def test_a_limit_on_pictures_is_noted(
    serve: Serve, connect: Connect, served: dict[Role, Any]
) -> None:
    engine = connect(serve(Behaviour(pictures=3), served["large"]), "large")
    assert "3 pictures a request" in engine.introduction


def test_the_doctor_looks_at_the_endpoints_it_is_told_of(
    serve: Serve, served: dict[Role, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPECEYES_LARGE", raising=False)
    monkeypatch.setenv("SPECEYES_SMALL", "embedded")
    assert [finding.state for finding in findings()] == ["absent"]
    monkeypatch.setenv("SPECEYES_SMALL", serve(Behaviour(), served["small"]))
    monkeypatch.setenv("SPECEYES_LARGE", serve(Behaviour(pictures=1), served["large"]))
    small, large = findings()
    assert (small.name, small.state, large.state) == ("small endpoint", "ok", "failed")
    assert "serves eyes" in small.detail
    assert "one picture a request" in large.detail


@pytest.mark.parametrize(
    ("role", "frame", "told"),
    [
        ("small", "relative", "boxes from 0 to 1000"),  # an untrained Qwen3-VL
        ("large", "pixels", "boxes in pixels"),  # an untrained Qwen2.5-VL
    ],
)
def test_what_boxes_are_measured_in_follows_from_the_resize_rule(
    serve: Serve, connect: Connect, served: dict[Role, Any], role: Role, frame: str, told: str
) -> None:
    engine = connect(serve(Behaviour(), served[role]), "large")
    assert told in engine.introduction
    assert engine.describe()["box_frame"] == frame
