"""One experiment on one split: the answers, the judge's summary of them, and the time."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from speceyes_cli.core.errors import DataError
from speceyes_cli.core.files import read_file_text, require_file
from speceyes_cli.core.tables.upstream.names import ResultName, parse_name

LATENCIES = "latency_summary.json"
RAW, JUDGED = "eval_results", "judge_results"
_JUDGE = "judge_"
_JUDGED_END = "_acc.jsonl"
SHARES = ("all_acc", "small_acc", "large_acc", "small_ratio")
"""In percent, whatever their size: 0.87 is 0.87%."""
PERCENT = 100
COUNTS = ("all_cnt", "small_cnt", "large_cnt", "yes_cnt", "no_cnt")
MEANS = ("small_tokens", "large_tokens")
"""Tokens of an answer that this model gave, rounded to a tenth."""
RATES = ("tokens_per_second",)
_EXPORT = "confidence_score_infos"
"""What only an export of the small model alone holds: every gate's score."""
MOST = 10**12
"""No count, no number of seconds and no share is larger."""


class Answers(NamedTuple):
    """What a file of answers tells; all but `lines` leave failed samples out."""

    lines: int
    answered: int
    yes: int
    """Samples the screen kept for the agent."""
    no: int
    """Samples it let on to the small model."""
    small: int
    """Samples the small model answered."""
    small_tokens: int | None
    """Tokens of these answers; None where no line tells."""
    large_tokens: int | None
    """Tokens of the large model's answers."""
    confidences: bool
    """Whether every gate's score was exported, as for the small model alone."""


class UpstreamResult(NamedTuple):
    """A result file and what belongs to it."""

    path: Path
    """The file of answers, or where it would be."""
    name: ResultName
    answers: Answers | None
    """None where only the judge's summary is at hand."""
    judged: Mapping[str, float] | None
    """The judge's summary, NaN left out; None where there is none."""
    seconds: float | None
    """Time of the whole split."""

    @property
    def average(self) -> float | None:
        """Seconds per line, failed ones included, as upstream counts."""
        if not self.seconds or self.answers is None or not self.answers.lines:
            return None
        return self.seconds / self.answers.lines

    @property
    def method(self) -> str:
        """How samples were answered; an export of the small model is one of drafts."""
        exported = self.answers is not None and self.answers.confidences
        return "draft" if exported else self.name.method

    @property
    def experiment(self) -> tuple[Path, str, str]:
        """The same for all splits of one experiment."""
        return self.path.parent, self.name.dataset, self.name.rest


def find_results(path: Path) -> list[Path]:
    """Where each result of upstream's at or below a path is, by name; none where there is none."""
    files = [path] if path.is_file() else sorted(path.rglob("*.jsonl"))
    places = dict.fromkeys(raw_place(file) for file in files)
    return [place for place in places if parse_name(place.stem) is not None]


def raw_place(file: Path) -> Path:
    """Where the answers are that a file holds, or sums up."""
    if not file.name.endswith(_JUDGED_END):
        return file
    folder = file.parent.absolute()
    beside = folder.with_name(folder.name.removeprefix(_JUDGE))
    replaced = Path(str(folder).replace(JUDGED, RAW))
    is_beside = folder.name.startswith(_JUDGE) and (replaced == folder or beside.is_dir())
    folder = beside if is_beside else replaced
    return folder / f"{file.name.removesuffix(_JUDGED_END)}.jsonl"


def judged_place(file: Path) -> Path:
    """Where the judge's summary of a file of answers is, or would be.

    Upstream's judge puts it where "eval_results" in the path reads "judge_results"; in a path
    without it, into the folder judge_NAME beside the folder NAME.
    """
    folder = file.parent.absolute()
    beside = folder.with_name(f"{_JUDGE}{folder.name}")
    is_beside = RAW not in str(folder) or beside.is_dir()
    folder = beside if is_beside else Path(str(folder).replace(RAW, JUDGED))
    return folder / f"{file.stem}{_JUDGED_END}"


def read_result(place: Path) -> UpstreamResult:
    """Read what there is of a result; `DataError` names the file and line that is damaged."""
    name = parse_name(place.stem)
    if name is None:
        raise DataError(f"{place} is not named as a result of upstream's.")
    return UpstreamResult(
        path=place,
        name=name,
        answers=read_answers(place) if place.exists() else None,
        judged=read_summary(judged_place(place)),
        seconds=_number(read_object(place.parent / LATENCIES).get(place.name)),
    )


def read_answers(path: Path) -> Answers:
    """Count the lines of a file of answers."""
    lines = 0
    counts: Counter[str] = Counter()
    for row in _rows(path):
        lines += 1
        counts["confidences"] += _EXPORT in row
        if row.get("status") == "error":
            continue
        counts["answered"] += 1
        counts[f"screen {row.get('judge_tc')}"] += 1
        by = "small" if row.get("use_model") == "small" or _EXPORT in row else "large"
        counts[by] += 1
        if (length := _number(row.get("generated_length"))) is not None:
            counts[f"{by} tokens"] += int(length)
            counts["told"] += 1
    return Answers(
        lines,
        counts["answered"],
        counts["screen yes"],
        counts["screen no"],
        counts["small"],
        counts["small tokens"] if counts["told"] else None,
        counts["large tokens"] if counts["told"] else None,
        confidences=counts["confidences"] > 0,
    )


def read_summary(path: Path) -> dict[str, float] | None:
    """The judge's figures; None where there is none, or an empty one.

    A figure that no judge can have given, such as a share above 100 percent, is left out.
    """
    found = read_object(path)
    figures = {key: _number(found.get(key)) for key in (*SHARES, *COUNTS, *MEANS, *RATES)}
    known = {key: value for key, value in figures.items() if value is not None}
    return {key: v for key, v in known.items() if key not in SHARES or v <= PERCENT} or None


def _rows(path: Path) -> Iterable[dict[str, Any]]:
    number = 0
    try:
        require_file(path)
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _parse(line, f"{path}, line {number}")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.") from None


def read_object(path: Path) -> dict[str, Any]:
    """An object; empty where there is no file or nothing in it."""
    try:
        text = read_file_text(path)
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.") from None
    return _parse(text, str(path)) if text.strip() else {}


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        line = f", line {error.lineno}" if "\n" in text.strip() else ""
        raise DataError(f"{where}{line}: not JSON ({error.msg}).") from None
    except RecursionError:
        raise DataError(f"{where}: brackets are nested too deeply.") from None
    except ValueError:
        raise DataError(f"{where}: a number has too many digits.") from None
    if not isinstance(value, dict):
        raise DataError(f"{where}: not a JSON object.")
    return value


def _number(value: Any) -> float | None:
    """A number from 0 to `MOST` as it is; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST:
        return None
    return value
