"""The layout of the paper's main table: methods down, splits across, accuracy beside speedup."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

from speceyes_cli.commands.tables import NOTHING
from speceyes_cli.core.run.info import RunConfig
from speceyes_cli.core.tables.summaries import LoadedRun, SummaryRow
from speceyes_cli.core.text import one_line

PAPER_GATES = ("log", "mean", "bottom20", "min")
_METHODS = ("draft", "baseline", "specreason", "speceyes")


class Measured(NamedTuple):
    """A run and its figures, a row for each split and one for all."""

    run: LoadedRun
    rows: Sequence[SummaryRow]
    beside: str | None = None
    """The agent whose baseline a run without an agent is measured against, where several are."""

    @property
    def agent(self) -> str:
        """In whose part of the table it stands."""
        config = self.run.info.config
        own = config.agent if config.large is not None else self.beside
        return NOTHING if own is None else one_line(own)


def paper_tables(measured: Sequence[Measured]) -> list[Table]:
    """A table for each dataset: the small model alone first, then each agent's methods.

    The small model alone stands in the part of every agent that it is measured against.
    """
    datasets = dict.fromkeys(one.run.info.config.dataset for one in measured)
    return [
        _table(name, [one for one in measured if one.run.info.config.dataset == name])
        for name in datasets
    ]


def _table(dataset: str, measured: Sequence[Measured]) -> Table:
    splits = list(dict.fromkeys(row.split for one in measured for row in one.rows))
    splits = [split for split in splits if split != "all"] + ["all"]
    table = Table(title=Text(dataset), title_justify="left")
    table.add_column("agent")
    table.add_column("method")
    for split in splits:
        table.add_column(Text(split), justify="right")
    ordered = sorted(measured, key=_place)
    names = _names(ordered)
    before = None
    for one, name in zip(ordered, names, strict=True):
        agent = one.agent
        if before is not None and agent != before:
            table.add_section()
        rows = {row.split: row for row in one.rows}
        cells = [Text(_cell(rows.get(split))) for split in splits]
        table.add_row(Text("" if agent == before else agent), Text(name), *cells)
        before = agent
    return table


def _place(one: Measured) -> tuple[object, ...]:
    """Where a run stands: as in the paper, then by its variation."""
    config = one.run.info.config
    method = _METHODS.index(config.method) if config.method in _METHODS else len(_METHODS)
    gate = config.gate or ""
    known = PAPER_GATES.index(gate) if gate in PAPER_GATES else len(PAPER_GATES)
    variation = (config.threshold or 0, config.top_k or 0, config.model_dump_json())
    return (one.agent != NOTHING, one.agent, method, config.method, known, gate, variation)


def _names(measured: Sequence[Measured]) -> list[str]:
    """What each run is called; where two would be the same, with what tells them apart."""
    configs = [one.run.info.config for one in measured]
    names = [_name(config) for config in configs]
    for detail in (_threshold, _top_k, _rest):
        keys = [(one.agent, name) for one, name in zip(measured, names, strict=True)]
        several = {key for key, count in Counter(keys).items() if count > 1}
        names = [
            f"{name}{detail(config)}" if key in several else name
            for config, name, key in zip(configs, names, keys, strict=True)
        ]
    return names


def _name(config: RunConfig) -> str:
    if config.method == "draft":
        return "draft only"
    if config.method == "specreason":
        return "SpecReason"
    name = f"SpecEyes {config.gate}" if config.method == "speceyes" else config.method
    return one_line(name + (" (both branches)" if config.both_branches else ""))


def _threshold(config: RunConfig) -> str:
    return "" if config.threshold is None else f" > {config.threshold:g}"


def _top_k(config: RunConfig) -> str:
    return "" if config.top_k is None else f", K {config.top_k}"


def _rest(config: RunConfig) -> str:
    """The small method_options: batch, serial fallbacks, screen."""
    parts = [f"batch {config.batch_size}"]
    if config.fallbacks is not None:
        parts.append(f"{config.fallbacks} at once")
    if config.screen not in (None, "large"):
        parts.append(f"screen {config.screen}")
    return ", " + ", ".join(parts)


def _cell(row: SummaryRow | None) -> str:
    """Accuracy in percent and the speedup, starred where it rests on cached calls."""
    if row is None or row.accuracy is None:
        return NOTHING
    if row.method == "baseline":
        return f"{100 * row.accuracy:.2f}  1.00×"
    if row.speedup is None:
        return f"{100 * row.accuracy:.2f}  {NOTHING}"
    return f"{100 * row.accuracy:.2f}  {row.speedup:.2f}×{'*' if row.speedup_cached else ''}"


def paper_note(measured: Sequence[Measured]) -> str:
    """What stands under the table."""
    note = "Accuracy in percent and speedup over the agent's baseline on the same samples."
    if any(row.speedup_cached for one in measured for row in one.rows):
        note += " * rests on calls replayed from the cache, so it was not measured in these runs."
    return note
