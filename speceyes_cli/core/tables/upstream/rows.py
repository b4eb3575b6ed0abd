"""Upstream's results as rows of the table, by the definitions of its aggregation script.

Samples and the average latency count every line; all other counts leave failed samples out.
Speedup is the baseline's average latency over this file's, β = no / (yes + no) of the screen, and
α = share answered by the small model / β. Where nobody screened there is no α and no β.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from speceyes_cli.core.errors import DataError
from speceyes_cli.core.tables.intervals import wilson
from speceyes_cli.core.tables.summaries import ALL, BASELINE, SummaryRow
from speceyes_cli.core.tables.upstream.files import PERCENT, UpstreamResult, read_result
from speceyes_cli.core.tables.upstream.names import ResultName, parse_name
from speceyes_cli.core.text import writable

SOURCE = "upstream"
Choose = Callable[[str, Sequence[Path]], int]
"""(what for, files or folders) -> the place of the one meant; `UsageError` when nobody can tell."""


def upstream_rows(results: Sequence[UpstreamResult], choose: Choose) -> list[SummaryRow]:
    """A row for each result, and one of all splits for each experiment with several."""
    experiments: dict[object, list[UpstreamResult]] = {}
    for result in results:
        experiments.setdefault(result.experiment, []).append(result)
    rows = []
    for splits in experiments.values():
        baselines = [find_baseline(result, choose) for result in splits]
        rows += [_row(*pair) for pair in zip(splits, baselines, strict=True)]
        if len(splits) > 1:
            rows.append(_row_of_all(splits, baselines))
    return rows


def find_baseline(result: UpstreamResult, choose: Choose) -> UpstreamResult | None:
    """The baseline of the same benchmark, split and large model; of several, that of equal batch.

    It stands in the same folder or, for SpecReason, in the sibling that holds SpecEyes.
    """
    if result.method in (BASELINE, "draft"):
        return None
    found = {path: name for path, name in _beside(result) if _is_baseline_of(result.name, name)}
    same_batch = [path for path, name in found.items() if name.batch == result.name.batch]
    candidates = same_batch or list(found)
    if not candidates:
        return None
    place = choose(str(result.path), candidates) if len(candidates) > 1 else 0
    try:
        return read_result(candidates[place])
    except DataError:  # whoever gathers it is told
        return None


def _beside(result: UpstreamResult) -> Iterator[tuple[Path, ResultName]]:
    folder = result.path.parent.absolute()
    for place in dict.fromkeys([folder, Path(str(folder).replace("SpecReason", "SpecEyes"))]):
        for path in sorted(place.glob("*.jsonl")):
            if name := parse_name(path.stem):
                yield path, name


def _is_baseline_of(name: ResultName, other: ResultName) -> bool:
    same = (other.dataset, other.split, other.large) == (name.dataset, name.split, name.large)
    return same and other.method == BASELINE


def _row(result: UpstreamResult, baseline: UpstreamResult | None) -> SummaryRow:
    judged = result.judged or {}
    answers = result.answers
    answered = int(judged.get("all_cnt", answers.answered if answers else 0))
    if answers and answered > answers.lines:  # the judge's figures are of another file
        answered = answers.answered
    return _measured(
        result,
        split=result.name.split,
        n=answers.lines if answers else answered,
        answered=answered,
        accuracy=_share(judged.get("all_acc")),
        small=_small_share(result),
        beta=_beta(result) if result.method == "speceyes" else None,
        average=result.average,
        before=baseline.average if baseline is not None else None,
        baseline=baseline.path.stem if baseline is not None else None,
        small_tokens=_tokens(result, "small"),
        large_tokens=_tokens(result, "large"),
        tokens_per_second=judged.get("tokens_per_second"),
        notes=_notes(result, baseline),
    )


def _row_of_all(
    splits: Sequence[UpstreamResult], baselines: Sequence[UpstreamResult | None]
) -> SummaryRow:
    """All splits together, as if they were one file."""
    parts = [_row(*pair) for pair in zip(splits, baselines, strict=True)]
    answers = [result.answers for result in splits]
    n = sum(row.n for row in parts)
    answered = n - sum(row.n_error for row in parts)
    judged = answered > 0 and all(row.accuracy is not None for row in parts)
    right = sum(round((row.accuracy or 0) * (row.n - row.n_error)) for row in parts)
    known = all(one is not None for one in answers)
    betas = [(row.beta, a.yes + a.no if a else 0) for row, a in zip(parts, answers, strict=True)]
    befores = [
        (one.average, a.lines if (a := one.answers) else 0) if one else (None, 0)
        for one in baselines
    ]
    return _measured(
        splits[0],
        split=ALL,
        n=n,
        answered=answered,
        accuracy=right / answered if judged else None,
        small=_pooled([(row.accept_rate, row.n - row.n_error) for row in parts]),
        beta=_pooled(betas) if known else None,
        average=_pooled([(r.average, row.n) for r, row in zip(splits, parts, strict=True)]),
        before=_pooled(befores),
        small_tokens=_total([row.small_tokens for row in parts]),
        large_tokens=_total([row.large_tokens for row in parts]),
    )


def _measured(
    result: UpstreamResult,
    *,
    n: int,
    answered: int,
    accuracy: float | None,
    small: float | None,
    beta: float | None,
    average: float | None,
    before: float | None,
    **more: Any,
) -> SummaryRow:
    """A row from the counts that upstream keeps; `before` is the baseline's average latency."""
    right = round(accuracy * answered) if accuracy is not None else 0
    interval = wilson(right, answered) if accuracy is not None else None
    of_all = wilson(right, n) if accuracy is not None else None
    return SummaryRow(
        **_identity(result),
        n=n,
        n_error=n - answered,
        n_undecided=0,
        accuracy=accuracy,
        accuracy_low=interval.low if interval else None,
        accuracy_high=interval.high if interval else None,
        accuracy_all=of_all.value if of_all else None,
        accuracy_all_low=of_all.low if of_all else None,
        accuracy_all_high=of_all.high if of_all else None,
        speedup=before / average if before is not None and average else None,
        speedup_low=None,
        speedup_high=None,
        alpha=small / beta if beta and small is not None else None,
        beta=beta,
        accept_rate=small,
        latency_mean_s=average,
        latency_p50_s=None,
        latency_p95_s=None,
        phase_mean_s={},
        **more,
    )


def _identity(result: UpstreamResult) -> dict[str, Any]:
    name = result.name
    return {
        "source": SOURCE,
        "run": f"{result.path.parent.name}/{name.rest}",
        "method": result.method,
        "folder": writable(str(result.path.parent)),
        "agent": name.large or "–",
        "dataset": name.dataset,
        "gate": name.mode,
        "threshold": name.threshold,
        "top_k": name.top_k,
        "small": name.small,
        "large": name.large,
        "batch_size": name.batch,
    }


def _small_share(result: UpstreamResult) -> float | None:
    """Answers of the small model: the judge's figure, else counted; all of an export of it."""
    if result.method == "draft":
        return 1.0 if result.answers is None or result.answers.answered else None
    said = _share((result.judged or {}).get("small_ratio"))
    if said is not None or result.answers is None or not result.answers.answered:
        return said
    return result.answers.small / result.answers.answered


def _beta(result: UpstreamResult) -> float | None:
    counts = result.judged or {}
    answers = result.answers
    yes = counts.get("yes_cnt", answers.yes if answers else 0)
    no = counts.get("no_cnt", answers.no if answers else 0)
    return no / (yes + no) if yes + no else None


def _share(percent: float | None) -> float | None:
    """A share of 0 to 1."""
    return None if percent is None else percent / PERCENT


def _tokens(result: UpstreamResult, model: str) -> int | None:
    """Tokens of all answers of one model: counted, else from the judge's mean.

    Upstream keeps the length of answers only; drafts that were turned down are not in it.
    """
    counted = getattr(result.answers, f"{model}_tokens", None)
    if counted is not None:
        return int(counted)
    judged = result.judged or {}
    mean, count = judged.get(f"{model}_tokens"), judged.get(f"{model}_cnt")
    return round(mean * count) if mean is not None and count is not None else None


def _total(parts: Sequence[float | None]) -> int | None:
    known = [int(part) for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _pooled(parts: Sequence[tuple[float | None, int]]) -> float | None:
    """The mean of shares, weighted; None when one is unknown."""
    weight = sum(count for _, count in parts)
    if not weight or any(value is None for value, _ in parts):
        return None
    return sum((value or 0) * count for value, count in parts) / weight


def _notes(result: UpstreamResult, baseline: UpstreamResult | None) -> tuple[str, ...]:
    notes = []
    if result.answers is None:
        notes.append("only the judge's summary is there, so no latency")
    elif not result.answers.lines:
        notes.append("the file is empty")
    elif result.seconds is None:
        notes.append("latency_summary.json does not name it")
    if result.judged is None:
        notes.append("not judged, so no accuracy")
    if baseline is None and result.method not in (BASELINE, "draft"):
        notes.append("no baseline of the same benchmark, split and large model, so no speedup")
    return tuple(notes)
