"""`transformers serve`: stricter than vLLM, and without log-probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import contract
import environment
import pytest
from speceyes_plugins.engines.openai.engine import OpenAIEngine
from starting import started

from speceyes_cli.core.errors import UsageError
from speceyes_cli.host.specs import EngineOptions

pytestmark = [pytest.mark.real_servers, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
MODEL = str(ROOT / "plugins" / "speceyes_plugins" / "embedded" / "weights" / "small")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    command = [*environment.transformers_serve(), MODEL, "--device", "cpu", "--dtype", "float32"]
    with started(command, "/health") as server:
        yield server.address


@pytest.mark.parametrize(
    "field",
    ["repetition_penalty", "top_k", "include_stop_str_in_output", "continue_final_message"],
)
def test_a_field_that_it_does_not_know_is_refused_by_name(address: str, field: str) -> None:
    case = contract.Case(field, 422, f"Unexpected fields in the request: .*{field}", {field: 1})
    contract.hold(case._replace(body={"model": MODEL, **(case.body or {})}), address)


def test_it_answers_without_them_and_leaves_log_probabilities_out(address: str) -> None:
    body = {"model": MODEL, "repetition_penalty": None, "top_k": None}
    scored = {**body, "logprobs": True, "top_logprobs": 5}
    for asked in (body, scored):
        case = contract.Case("plain", 200, "nothing, nothing, nothing", asked)
        contract.hold(case, address)
    assert "top_logprobs" not in contract.send(case, address)[1]


def test_a_stop_text_is_too_much_for_it(address: str) -> None:
    body = {"model": MODEL, "repetition_penalty": None, "top_k": None, "stop": [" not"]}
    contract.hold(contract.Case("stop", 500, "Internal Server Error", body), address)


def test_it_has_nothing_for_the_gate(address: str) -> None:
    options = EngineOptions(f"{address}/v1?factor=none#{MODEL}", "small")
    with pytest.raises(UsageError, match="sends no log-probabilities; the gate cannot work"):
        OpenAIEngine(options)
