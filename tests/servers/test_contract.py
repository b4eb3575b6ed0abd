"""The look-alike answers as the real server does: `tests/real_servers/test_contract.py`."""

from __future__ import annotations

from collections.abc import Iterator

import contract
import pytest
import vllm_server

from speceyes_cli.host.specs import EngineOptions


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    served = vllm_server.Served(
        EngineOptions("embedded", "small", batch_size=1, device="cpu", dtype="float32")
    )
    does = vllm_server.Behaviour(
        model=contract.MODEL, key=contract.KEY, context=contract.CONTEXT, trusts_budget=False
    )
    with vllm_server.serving(does, served) as url:
        yield url.partition("/v1")[0]


@pytest.mark.parametrize("case", contract.CASES, ids=lambda case: case.name)
def test_the_look_alike_keeps_the_contract(address: str, case: contract.Case) -> None:
    contract.hold(case, address)
