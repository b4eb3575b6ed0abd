"""Clients of `speceyes serve`, each in an environment of its own: `pytest -m real_clients`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from asked import KEY, Endpoint, Questions, make_questions
from client_matrix import Client
from running import Running, running
from starting import started


@pytest.fixture(scope="session")
def endpoint() -> Iterator[Endpoint]:
    """The embedded pair, served by the real program."""
    command = [sys.executable, "-m", "speceyes_cli", "serve", "--api-key", KEY]
    with started(command, "/v1/models", KEY) as server:
        yield Endpoint(server.address)


@pytest.fixture(scope="session")
def questions(endpoint: Endpoint) -> Questions:
    """What every client asks, with the answers that no client's doing has touched."""
    return make_questions(endpoint)


@pytest.fixture(scope="module")
def client(request: pytest.FixtureRequest, endpoint: Endpoint) -> Iterator[Running]:
    """A client's program, at work."""
    chosen: Client = request.param
    with running(chosen, f"{endpoint.address}/v1", KEY) as one:
        yield one
