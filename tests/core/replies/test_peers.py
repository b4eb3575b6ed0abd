"""Our reading of a table of replies beside that of other evaluation programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from speceyes_cli.core.replies.choices import parse_choice

TABLE = json.loads((Path(__file__).parent / "peers.json").read_text("utf-8"))
"""Written by benchmarks/peers.py: what each reply says, and how each program reads it."""
PEERS = {"VLMEvalKit", "lmms-eval", "inspect_ai", "evalscope"}


def ours(row: dict[str, str | list[str]]) -> str | None:
    option = parse_choice(str(row["reply"]), row["options"]).option
    return None if option is None else chr(ord("A") + option)


def test_the_table_has_sixty_replies_read_by_every_program() -> None:
    assert set(TABLE["versions"]) == PEERS
    assert len({(row["reply"], tuple(row["options"])) for row in TABLE["rows"]}) == 60
    assert all(set(row["reads"]) == PEERS for row in TABLE["rows"])


@pytest.mark.parametrize("row", TABLE["rows"], ids=lambda row: row["reply"][:40])
def test_ours_names_no_option_that_the_reply_does_not_say(row: dict[str, str | list[str]]) -> None:
    assert ours(row) in (None, row["says"])


@pytest.mark.parametrize("peer", sorted(PEERS))
def test_ours_reads_more_replies_as_what_they_say(peer: str) -> None:
    rows = TABLE["rows"]
    assert sum(ours(row) == row["says"] for row in rows) >= sum(
        row["reads"][peer] == row["says"] for row in rows
    )
