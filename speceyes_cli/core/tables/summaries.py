"""Figures of a run, a row for each split and one for all of them together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Self, TypeVar

from pydantic import BaseModel, ConfigDict

from speceyes_cli.core.errors import DataError
from speceyes_cli.core.run.columns import UNKNOWN, Columns, columns_of
from speceyes_cli.core.run.info import (
    RUN_FILE,
    RunConfig,
    RunInfo,
    identity_of,
    read_run_info,
    same_data,
)
from speceyes_cli.core.run.liveness import status_of
from speceyes_cli.core.run.reading import read_columns, read_record
from speceyes_cli.core.run.records import Record
from speceyes_cli.core.run.store import read_run
from speceyes_cli.core.run.tags import AGENT_KEYS, tagged
from speceyes_cli.core.tables.comparison import Pairs, mcnemar_of, net_benefit, paired
from speceyes_cli.core.tables.measures import (
    accuracies,
    shares,
    speedups,
    tied_drafts,
    times,
    tool_errors,
    verdict_shares,
)
from speceyes_cli.core.tables.position_bias import Letters, position_bias, read_letters
from speceyes_cli.core.text import writable

if TYPE_CHECKING:
    from speceyes_cli.core.run.columns import Ints

Used = TypeVar("Used")
ALL = "all"
SHOWN = 5
"""Places of which nothing can be made that a sentence names."""
BASELINE = "baseline"
TWO_METHODS = "both branches ran, so its seconds are those of two methods"
"""What a reader should know of the times of such a run."""


class SummaryRow(BaseModel):
    """One run and split; shares are 0 to 1, None where there is nothing to tell."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    run: str
    """The run's name."""
    method: str
    """How samples were answered."""
    agent: str
    """The tool-using agent."""
    dataset: str
    """The benchmark."""
    split: str
    """Its split, or "all"."""
    n: int
    """Finished samples, failed ones included."""
    n_error: int
    """Samples that failed."""
    n_undecided: int
    """Answers that neither rule nor judge could decide; they count as wrong."""
    n_unjudged: int = 0
    """Answers on which the judge itself failed: left out of `accuracy`."""
    accuracy: float | None
    """Right answers among answered samples, as papers report it; None where no answer is known.

    Samples without a known answer are left out, of `accuracy_all` too."""
    accuracy_all: float | None
    """Right answers among all samples: an error is wrong, the judge's too."""
    accuracy_all_low: float | None = None
    """Lower bound of `accuracy_all`, 95%."""
    accuracy_all_high: float | None = None
    """Upper bound of `accuracy_all`."""
    accuracy_low: float | None
    """Lower bound of `accuracy`, 95%: Wilson's, or by clusters where samples share them."""
    accuracy_high: float | None
    """Upper bound of `accuracy`."""
    speedup: float | None
    """Mean seconds of the baseline over this run's, on the samples both answered."""
    speedup_low: float | None
    """Lower bound of `speedup`, paired bootstrap at 95%."""
    speedup_high: float | None
    """Upper bound of `speedup`."""
    cached_share: float = 0.0
    """Share of this row's seconds that was replayed from the call cache, not measured."""
    speedup_n: int | None = None
    """Samples that `speedup` rests on: those that both runs answered."""
    speedup_cached: bool = False
    """`speedup` rests on cached calls, of this run or of its baseline."""
    alpha: float | None
    """Drafts accepted, among those of samples that no screen held back."""
    beta: float | None
    """Samples that passed the screen, among those screened."""
    accept_rate: float | None
    """Samples answered by the small model, among answered ones."""
    latency_mean_s: float | None
    """Seconds a sample cost: its share of each batch, and its tools."""
    latency_p50_s: float | None
    """The median of the same."""
    latency_p95_s: float | None
    """The 95th percentile of the same."""
    phase_mean_s: dict[str, float]
    """Mean seconds per answered sample and phase."""
    small_tokens: int | float | None
    """Tokens the small model generated."""
    large_tokens: int | float | None
    """Tokens the large model generated."""
    tokens_per_second: float | None = None
    """Tokens of both models for each second that samples cost."""
    answers_by_letter: dict[str, float] = {}
    """Share of answers that name each option by its place; empty without options."""
    right_by_letter: dict[str, float] = {}
    """Share of right options in each place."""
    metrics: dict[str, float] = {}
    """The dataset's own figures."""
    verdicts: dict[str, float] = {}
    """Share of answered samples by where their verdict comes from."""
    both_right: int | None = None
    """Accepted samples that draft and agent had right."""
    both_wrong: int | None = None
    """Accepted samples that neither had right."""
    gain: int | None = None
    """Accepted samples that the draft alone had right."""
    harm: int | None = None
    """Accepted samples that the agent alone would have had right."""
    n_tied: int | None = None
    """Drafts of which an exact tie of the two largest logits decided a token; None without any."""
    n_tool_errors: int = 0
    """Errors of tools that were told to the model, such as boxes that cannot be."""
    tool_errors: dict[str, int] = {}
    """The same by kind."""
    mcnemar_p: float | None = None
    """McNemar's exact p that this run and its baseline are right equally often."""
    folder: str = ""
    """Where the run is: two of one name differ in it."""
    created: str | None = None
    """When it was begun, ISO 8601 in UTC; None where its files do not tell."""
    status: str | None = None
    """"finished", "running" or "interrupted"; None where its files do not tell."""
    baseline: str | None = None
    """The run it is measured against."""
    baseline_folder: str | None = None
    """Where that run is."""
    source: str = "speceyes"
    """Whose files they are: "speceyes" or "upstream"."""
    gate: str | None = None
    """How a draft's tokens became one confidence."""
    threshold: float | None = None
    """The confidence a draft had to exceed."""
    top_k: int | None = None
    """Logits per token that the gate looked at."""
    small: str | None = None
    """The model that drafts."""
    large: str | None = None
    """The model that screens and runs the agent."""
    batch_size: int | None = None
    """Asks an engine took at once."""
    option_order: str | None = None
    """"dataset" or "shuffle:SEED"; None where that is not known."""
    parity: str | None = None
    """"paper": with `--parity paper`, as the paper's own code has it."""
    notes: tuple[str, ...] = ()
    """What a reader should know about this row."""


class LoadedRun(NamedTuple):
    """A run read back from its folder."""

    folder: Path
    info: RunInfo
    columns: Columns
    """Its records as arrays."""
    known: Sequence[Record] | None = None
    """The records where they are in memory, as those just answered are; None: in the folder."""

    @classmethod
    def of(cls, folder: Path, info: RunInfo, records: Sequence[Record]) -> Self:
        """A run whose records are in memory."""
        return cls(folder, info, columns_of(records), records)

    @property
    def records(self) -> Sequence[Record]:
        """Every record whole: of a large run this takes more memory than its columns."""
        return self.known if self.known is not None else read_run(self.folder)[1]

    def record(self, place: int) -> Record:
        """The record in one place of the columns."""
        if self.known is not None:
            return self.known[place]
        return read_record(self.folder, self.columns.key(place))


class _Part(NamedTuple):
    """The samples of one row."""

    split: str
    places: Ints
    """Theirs in the run's columns."""
    pairs: Pairs | None
    """Those that the baseline answered too; None without a baseline."""
    letters: Sequence[Letters | None]


def summarize(run: LoadedRun, baseline: LoadedRun | None) -> list[SummaryRow]:
    """A row per split in the run's order, then the row of all."""
    columns = run.columns
    pairs = paired(baseline.columns, columns) if baseline is not None else None
    letters = read_letters(columns)
    present = set(columns.split)
    groups = [(s, columns.places(s)) for s in run.info.config.splits if s in present]
    groups.append((ALL, columns.places()))
    rows = []
    for split, places in groups:
        among = pairs.among(places) if pairs is not None else None
        part = _Part(split, places, among, [letters[place] for place in places.tolist()])
        rows.append(_row(run, part, baseline))
    return rows


def _row(run: LoadedRun, part: _Part, baseline: LoadedRun | None) -> SummaryRow:
    columns, config, places = run.columns, run.info.config, part.places
    judged = places[columns.judged[places]]
    n_answered = int(columns.answered[places].sum())
    bias = position_bias(part.letters)
    return SummaryRow(
        run=run.info.name,
        folder=writable(str(run.folder)),
        created=run.info.created,
        status=status_of(run.folder, run.info),
        method=config.method,
        agent=config.agent,
        dataset=config.dataset,
        split=part.split,
        n=len(places),
        n_error=len(places) - n_answered,
        n_undecided=int((columns.right[judged] == UNKNOWN).sum()),
        n_unjudged=int(columns.judge_failed[places].sum()),
        **accuracies(columns, places),
        **shares(columns, places, gated=config.threshold is not None),
        **times(columns, places),
        # A both-branches run did the work of two methods: its time is no method's.
        **speedups(None if config.both_branches else part.pairs),
        small_tokens=int(columns.small_tokens[places].sum()),
        large_tokens=int(columns.large_tokens[places].sum()),
        answers_by_letter=dict(bias.predicted) if bias else {},
        right_by_letter=dict(bias.golden) if bias else {},
        verdicts=verdict_shares(columns, places),
        n_tied=tied_drafts(columns, places),
        **tool_errors(columns, places),
        **net_benefit(columns, places, part.pairs)._asdict(),
        mcnemar_p=mcnemar_of(part.pairs) if part.pairs is not None else None,
        baseline=baseline.info.name if baseline is not None else None,
        baseline_folder=writable(str(baseline.folder)) if baseline is not None else None,
        **_settings(config),
        notes=(TWO_METHODS,) if config.both_branches and part.split == ALL else (),
    )


def _settings(config: RunConfig) -> dict[str, Any]:
    names = ("gate", "threshold", "top_k", "small", "large", "batch_size", "option_order", "parity")
    return {name: getattr(config, name) for name in names}


def load_run(folder: Path) -> LoadedRun:
    """Read a run folder; `DataError` when it is none."""
    return LoadedRun(folder, *read_columns(folder))


class Tried(NamedTuple, Generic[Used]):
    """What was made of several runs or results."""

    found: list[Used]
    left_out: list[str]
    """A sentence for each of which nothing could be made."""


def try_each(places: Iterable[Path], use: Callable[[Path], Used]) -> Tried[Used]:
    """What `use` gives for each place; one that raises `DataError` keeps no other from it."""
    tried: Tried[Used] = Tried([], [])
    for place in places:
        try:
            tried.found.append(use(place))
        except DataError as error:
            tried.left_out.append(str(error))
    return tried


def require_any(found: Sequence[object], left_out: Sequence[str]) -> None:
    """Raise `DataError` when all was left out, saying why."""
    if left_out and not found:
        raise DataError(" ".join(left_out[:SHOWN]))


def run_folders(paths: Iterable[Path]) -> list[Path]:
    """Every run folder at or below the paths, once, by path; `DataError` for one without any."""
    folders: dict[Path, Path] = {}
    for path in paths:
        found = sorted(file.parent for file in path.rglob(RUN_FILE))
        if not found:
            what = "holds no run" if path.exists() else "does not exist"
            raise DataError(f"{path} {what}; a run is a folder with a {RUN_FILE}.")
        folders |= {folder.resolve(): folder for folder in found}
    return list(folders.values())


def find_baseline(run: LoadedRun, others: Iterable[LoadedRun]) -> LoadedRun | None:
    """The baseline run to measure against: of several that match equally well, the latest."""
    return max(matching_baselines(run, others), key=lambda found: found.info.created, default=None)


def matching_baselines(run: LoadedRun, others: Iterable[LoadedRun]) -> list[LoadedRun]:
    """The baseline runs of the same agent, models and data that share the most samples with it.

    Of these, those of as many samples if there are any. None when the run is a baseline itself or
    none matches.
    """
    shared = [
        (len(run.columns.by_key.keys() & other.columns.by_key.keys()), other)
        for other in others
        if is_baseline_of(run.info.config, other.info.config)
    ]
    most = max((count for count, _ in shared), default=0)
    best = [other for count, other in shared if count == most and most]
    return [one for one in best if one.info.config.limit == run.info.config.limit] or best


def baselines_beside(run: LoadedRun) -> list[LoadedRun]:
    """The baseline runs in the run's parent folder; those that cannot be read are left out."""
    found = []
    for file in sorted(run.folder.resolve().parent.glob(f"*/{RUN_FILE}")):
        try:
            if is_baseline_of(run.info.config, read_run_info(file.parent).config):
                found.append(load_run(file.parent))
        except DataError:
            continue
    return found


def is_baseline_of(config: RunConfig, other: RunConfig) -> bool:
    """Whether a run of the other configuration is a baseline of one of this."""
    if config.method == BASELINE or other.method != BASELINE:
        return False
    mine, theirs = identity_of(config), identity_of(other)
    if not same_data(config, other):
        return False
    if config.large is None:  # the small model alone is measured against any agent on this data
        return all(mine[key] == theirs[key] for key in ("dataset", "device"))
    decisive = tagged(RunConfig, ("answers", "time"), ("samples", "agent", "machine"))
    keyed = tagged(RunConfig, ("answers", "time"), ["keyed"])
    return all(mine[name] == theirs[name] for name in decisive) and all(
        mine[name].get(key) == theirs[name].get(key) for name in keyed for key in AGENT_KEYS
    )
