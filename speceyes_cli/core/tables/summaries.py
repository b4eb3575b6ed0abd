"""Figures of a run, a row for each split and one for all of them together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict

from speceyes_cli.core.errors import DataError
from speceyes_cli.core.judging.verdicts import KINDS, kind_of
from speceyes_cli.core.run.info import (
    RUN_FILE,
    RunConfig,
    RunInfo,
    identity_of,
    read_run_info,
    same_data,
)
from speceyes_cli.core.run.records import Record
from speceyes_cli.core.run.store import read_run
from speceyes_cli.core.run.tags import AGENT_KEYS, tagged
from speceyes_cli.core.tables.comparison import (
    accuracy_of,
    is_judged,
    mcnemar_of,
    net_benefit,
    paired,
    speedup_of,
)
from speceyes_cli.core.tables.intervals import percentile
from speceyes_cli.core.tables.position_bias import position_bias

Used = TypeVar("Used")
ALL = "all"
SHOWN = 5
"""Places of which nothing can be made that a sentence names."""
BASELINE = "baseline"
_PHASES = ("screen", "draft", "propose", "score", "agent", "tool")
"""The order in which people think of them."""


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
    """Right answers among answered samples, as papers report it."""
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
    mcnemar_p: float | None = None
    """McNemar's exact p that this run and its baseline are right equally often."""
    baseline: str | None = None
    """The run it is measured against."""
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
    notes: tuple[str, ...] = ()
    """What a reader should know about this row."""


class LoadedRun(NamedTuple):
    """A run read back from its folder."""

    folder: Path
    info: RunInfo
    records: list[Record]


def summarize(run: LoadedRun, baseline: LoadedRun | None) -> list[SummaryRow]:
    """A row per split in the run's order, then the row of all."""
    config = run.info.config
    splits = [s for s in config.splits if any(record.split == s for record in run.records)]
    groups = [(split, [r for r in run.records if r.split == split]) for split in splits]
    groups.append((ALL, run.records))
    return [_row(run.info, split, records, baseline) for split, records in groups]


def _row(
    info: RunInfo, split: str, records: Sequence[Record], baseline: LoadedRun | None
) -> SummaryRow:
    answered = [record for record in records if record.error is None]
    judged = [record for record in answered if is_judged(record)]
    undecided = sum(record.verdict is None or record.verdict.right is None for record in judged)
    accuracy, of_all = accuracy_of(judged), accuracy_of(records)
    pairs = paired(baseline.records, records) if baseline is not None else []
    # A both-branches run did the work of two methods: its time is no method's.
    timed = [] if info.config.both_branches else pairs
    speedup = speedup_of(timed)
    seconds = [record.seconds for record in answered]
    screened = [record for record in records if record.passed_screen is not None]
    tokens = sum(record.small_tokens + record.large_tokens for record in answered)
    bias = position_bias(records)
    passed = [r for r in records if r.passed_screen is not False and r.draft is not None]
    gated = info.config.threshold is not None
    return SummaryRow(
        run=info.name,
        method=info.config.method,
        agent=info.config.agent,
        dataset=info.config.dataset,
        split=split,
        n=len(records),
        n_error=len(records) - len(answered),
        n_undecided=undecided,
        n_unjudged=len(answered) - len(judged),
        accuracy=accuracy.value if accuracy else None,
        accuracy_all=of_all.value if of_all else None,
        accuracy_all_low=of_all.low if of_all else None,
        accuracy_all_high=of_all.high if of_all else None,
        accuracy_low=accuracy.low if accuracy else None,
        accuracy_high=accuracy.high if accuracy else None,
        speedup=speedup.value if speedup else None,
        speedup_low=speedup.low if speedup else None,
        speedup_high=speedup.high if speedup else None,
        cached_share=_share(math.fsum(r.cached_seconds for r in answered), math.fsum(seconds))
        or 0.0,
        speedup_cached=any(r.cached_seconds for pair in timed for r in pair),
        alpha=_share(sum(r.draft is not None and r.draft.accepted for r in passed), len(passed))
        if gated
        else None,
        beta=_share(sum(r.passed_screen is True for r in screened), len(screened)),
        accept_rate=_share(sum(r.route == "small" for r in answered), len(answered)),
        latency_mean_s=_mean(seconds),
        latency_p50_s=percentile(seconds, 0.5),
        latency_p95_s=percentile(seconds, 0.95),
        phase_mean_s=_phase_means(answered),
        small_tokens=sum(record.small_tokens for record in records),
        large_tokens=sum(record.large_tokens for record in records),
        tokens_per_second=tokens / total if (total := math.fsum(seconds)) else None,
        answers_by_letter=dict(bias.predicted) if bias else {},
        right_by_letter=dict(bias.golden) if bias else {},
        verdicts=_verdict_shares(answered),
        **net_benefit(records, pairs)._asdict(),
        mcnemar_p=mcnemar_of(pairs),
        baseline=baseline.info.name if baseline is not None else None,
        **_settings(info.config),
    )


def _settings(config: RunConfig) -> dict[str, Any]:
    names = ("gate", "threshold", "top_k", "small", "large", "batch_size", "option_order")
    return {name: getattr(config, name) for name in names}


def _verdict_shares(answered: Sequence[Record]) -> dict[str, float]:
    kinds = [kind_of(r.verdict.right, r.verdict.provenance) for r in answered if r.verdict]
    return {kind: kinds.count(kind) / len(answered) for kind in KINDS if kind in kinds}


def load_run(folder: Path) -> LoadedRun:
    """Read a run folder; `DataError` when it is none."""
    return LoadedRun(folder, *read_run(folder))


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
    keys = {(record.split, record.sample_id) for record in run.records}
    shared = [
        (len(keys & {(r.split, r.sample_id) for r in other.records}), other)
        for other in others
        if _is_baseline_of(run.info.config, other.info.config)
    ]
    most = max((count for count, _ in shared), default=0)
    best = [other for count, other in shared if count == most and most]
    return [one for one in best if one.info.config.limit == run.info.config.limit] or best


def baselines_beside(run: LoadedRun) -> list[LoadedRun]:
    """The baseline runs in the run's parent folder; those that cannot be read are left out."""
    found = []
    for file in sorted(run.folder.resolve().parent.glob(f"*/{RUN_FILE}")):
        try:
            if _is_baseline_of(run.info.config, read_run_info(file.parent).config):
                found.append(load_run(file.parent))
        except DataError:
            continue
    return found


def _is_baseline_of(config: RunConfig, other: RunConfig) -> bool:
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


def _phase_means(answered: Sequence[Record]) -> dict[str, float]:
    found = dict.fromkeys(phase for record in answered for phase in record.phase_seconds)
    phases = [phase for phase in _PHASES if phase in found]
    phases += [phase for phase in found if phase not in _PHASES]
    return {
        phase: math.fsum(r.phase_seconds.get(phase, 0.0) for r in answered) / len(answered)
        for phase in phases
    }


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
