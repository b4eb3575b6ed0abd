"""The layout of the paper's main table: methods down, splits across, accuracy beside speedup."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from speceyes_cli.commands.fitting_table import FittingTable
from speceyes_cli.commands.gather.columns import UNFINISHED as _UNENDED
from speceyes_cli.commands.gather.formats import escape_latex, latex_table
from speceyes_cli.commands.tables import CACHED, CACHED_NOTE, NOTHING
from speceyes_cli.core.run.info import RunConfig
from speceyes_cli.core.tables.summaries import ALL, BASELINE, LoadedRun, SummaryRow
from speceyes_cli.core.text import one_line

PAPER_GATES = ("log", "mean", "bottom20", "min")
UNFINISHED = "†"
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


class Line(NamedTuple):
    """One method: accuracy and speedup of each split."""

    agent: str
    name: str
    cells: Sequence[tuple[str, str]]


class PaperTable(NamedTuple):
    """The table of one dataset."""

    dataset: str
    splits: Sequence[str]
    lines: Sequence[Line]


def paper_tables(measured: Sequence[Measured]) -> list[PaperTable]:
    """A table for each dataset: the small model alone first, then each agent's methods.

    The small model alone stands in the part of every agent that it is measured against.
    """
    datasets = dict.fromkeys(one.run.info.config.dataset for one in measured)
    return [
        _table(name, [one for one in measured if one.run.info.config.dataset == name])
        for name in datasets
    ]


def _table(dataset: str, measured: Sequence[Measured]) -> PaperTable:
    splits = list(dict.fromkeys(row.split for one in measured for row in one.rows))
    splits = [split for split in splits if split != ALL] + [ALL]
    ordered = sorted(measured, key=_place)
    lines = []
    for one, name in zip(ordered, _names(ordered), strict=True):
        rows = {row.split: row for row in one.rows}
        mark = UNFINISHED if one.rows[-1].status in _UNENDED else ""
        lines.append(Line(one.agent, name + mark, [_cell(rows.get(split)) for split in splits]))
    return PaperTable(dataset, splits, lines)


def for_terminal(table: PaperTable) -> FittingTable:
    """The table with an agent's name once."""
    shown = FittingTable(table.dataset, ("agent", "method", *table.splits), keys=2, left=2)
    for place, line in enumerate(table.lines):
        is_first = place == 0 or line.agent != table.lines[place - 1].agent
        cells = ["  ".join(filter(None, cell)) for cell in line.cells]
        shown.add_row(line.agent if is_first else "", line.name, *cells)
    return shown


def for_latex(table: PaperTable) -> str:
    """The table with the rules of booktabs, two columns a split."""
    splits = table.splits
    heads = [rf"\multicolumn{{2}}{{c}}{{{escape_latex(split)}}}" for split in splits]
    rules = [rf"\cmidrule(lr){{{3 + 2 * i}-{4 + 2 * i}}}" for i in range(len(splits))]
    lines = [
        " & & " + " & ".join(heads) + r" \\",
        " ".join(rules),
        "agent & method" + " & accuracy & speedup" * len(splits) + r" \\",
        r"\midrule",
    ]
    for place, line in enumerate(table.lines):
        is_first = place == 0 or line.agent != table.lines[place - 1].agent
        if is_first and place:
            lines.append(r"\midrule")
        words = [line.agent if is_first else "", line.name]
        words += [word or NOTHING for cell in line.cells for word in cell]
        lines.append(" & ".join(map(escape_latex, words)) + r" \\")
    return latex_table("ll" + "rr" * len(splits), lines)


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


def _cell(row: SummaryRow | None) -> tuple[str, str]:
    """Accuracy in percent and the speedup, starred where it rests on cached calls."""
    if row is None or row.latency_mean_s is None:
        return NOTHING, ""
    accuracy = NOTHING if row.accuracy is None else f"{100 * row.accuracy:.2f}"
    if row.method == BASELINE:
        return accuracy, "1.00×"
    if row.speedup is None:
        return accuracy, NOTHING
    return accuracy, f"{row.speedup:.2f}×{CACHED if row.speedup_cached else ''}"


def paper_note(measured: Sequence[Measured]) -> str:
    """What stands under the table."""
    note = "Accuracy in percent and speedup over the agent's baseline on the same samples."
    rows = [row for one in measured for row in one.rows]
    if any(row.speedup_cached for row in rows):
        note += f" {CACHED_NOTE}"
    if any(row.status in _UNENDED for row in rows):
        note += f" {UNFINISHED} has not ended: its figures are of the samples so far."
    return note
