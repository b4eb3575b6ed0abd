"""The paper's published figures, beside a row of ours (arXiv 2603.23483)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from speceyes_cli.core.gate.defaults import DEFAULT_THRESHOLD, DEFAULT_TOP_K
from speceyes_cli.core.tables.summaries import BASELINE, SummaryRow

MODELS = "DeepEyes-7B or Thyme-RL with Qwen3-VL-2B-Instruct"
_BATCH = 8
"""The batch size of the paper's main table: its POPE speedups are those of the batch table."""


class Published(NamedTuple):
    """What the paper gives for a row; None where it gives nothing."""

    accuracy: float | None = None
    """0 to 1."""
    speedup: float | None = None


def published(row: SummaryRow) -> Published:
    """The paper's figures of the same agent, benchmark, split, method, gate, K and threshold."""
    split = f"{row.dataset}/{row.split}"
    tables = paper_tables()
    if split not in tables["splits"]:
        return Published()
    place = tables["splits"].index(split)
    agents = (name for name, table in tables.items() if BASELINE in table)
    agent = next((name for name in agents if name in row.agent.casefold()), None)
    if row.method == "draft":
        return _at(tables["draft_only"], place)
    if agent is not None and row.method in ("baseline", "specreason"):
        return _at(tables[agent][row.method], place)
    if agent is not None and row.method == "speceyes" and row.gate in tables[agent]:
        return _gated(tables, agent, row, place)
    return Published()


def _gated(tables: Mapping[str, Any], agent: str, row: SummaryRow, place: int) -> Published:
    if row.top_k not in (None, DEFAULT_TOP_K):
        return _swept(tables, "top_k", agent, row, "k", row.top_k)
    if row.threshold != DEFAULT_THRESHOLD:
        return _swept(tables, "sweep", agent, row, "threshold", row.threshold)
    usual = _at(tables[agent][row.gate], place)
    if row.batch_size not in (None, _BATCH):
        return usual._replace(speedup=_batched(tables, agent, row))
    return usual


def _at(table: Mapping[str, Sequence[float]], place: int) -> Published:
    speedups = table.get("speedup")
    return Published(table["accuracy"][place] / 100, speedups[place] if speedups else None)


def _swept(
    tables: Mapping[str, Any],
    name: str,
    agent: str,
    row: SummaryRow,
    axis: str,
    value: float | None,
) -> Published:
    """A figure of a sweep that varied one thing, with the gate `min` and all else as usual.

    At another batch size without the speedup: no answer depends on it.
    """
    usual = row.gate == "min"
    if name == "top_k":
        usual = usual and row.threshold == DEFAULT_THRESHOLD
    table = tables[name].get(agent, {}).get(row.dataset, {})
    if not usual or row.split not in table or value not in table[axis]:
        return Published()
    found = _at(table[row.split], table[axis].index(value))
    return found if row.batch_size in (None, _BATCH) else found._replace(speedup=None)


def _batched(tables: Mapping[str, Any], agent: str, row: SummaryRow) -> float | None:
    """The speedup at another batch size, on which no answer depends."""
    table = tables["batch"].get(agent, {}).get(row.dataset, {})
    if row.gate != "min" or row.split not in table or row.batch_size not in table["batch"]:
        return None
    return float(table[row.split][table["batch"].index(row.batch_size)])


@cache
def paper_tables() -> dict[str, Any]:
    """The figures published with the paper (arXiv 2603.23483), as in `paper.toml`."""
    return tomllib.loads(Path(__file__).with_name("paper.toml").read_text(encoding="utf-8"))
