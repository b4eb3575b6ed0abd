"""The table of clients in docs/serve.md is the one that the tests hold."""

from __future__ import annotations

import client_matrix


def test_the_page_has_the_table_of_the_tested_clients() -> None:
    told = "docs/serve.md is behind: run python tests/real_clients/client_matrix.py"
    assert client_matrix.written() == client_matrix.table(), told


def test_what_a_client_cannot_do_has_a_reason() -> None:
    for client in client_matrix.CLIENTS:
        assert set(client.cannot) < set(client_matrix.COLUMNS)
        assert all(client.cannot.values())
