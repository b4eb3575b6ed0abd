"""What upstream writes into the name of a result file."""

from __future__ import annotations

import re
from typing import NamedTuple

BENCHMARKS = {"vstar": "vstar", "hr": "hrbench", "pope": "pope"}
"""Upstream's word for a benchmark, and ours."""
_SPLITS = {"4k": "hrbench_4k", "8k": "hrbench_8k"}
"""What upstream writes for a split where ours has another name."""
_START = re.compile(
    r"(?P<benchmark>vstar|hr|pope)_"
    r"(?P<split>direct_attributes|relative_position|(?:hr_bench_)?[48]k|adversarial|popular|random)_"
    r"(?P<rest>.+)"
)
_MODELS = re.compile(
    r"(?P<large>.+)_(?P<small>[^_]+)_(?P<batch>\d{1,9})_(?P<mode>[A-Za-z]\w*?)"
    r"_(?P<threshold>\d+(?:\.\d+)?|None)(?:_K=(?P<top_k>\d{1,9}))?(?P<small_screens>_PhaseIMs)?"
)
_SPECREASON = re.compile(r"(?P<large>.+)_(?P<small>[^_]+)_(?P<threshold>\d+(?:\.\d+)?)")
_DEFAULT_TOP_K = 64


class ResultName(NamedTuple):
    """A result file's name, taken apart."""

    dataset: str
    split: str
    """Our name of the split."""
    rest: str
    """All that follows benchmark and split: the same for every split of one experiment."""
    method: str
    """"speceyes", "baseline" or "specreason"; "draft" where the name tells of one model only."""
    large: str | None
    small: str | None
    batch: int | None
    mode: str | None
    """The gate."""
    threshold: float | None
    top_k: int | None


def parse_name(stem: str) -> ResultName | None:
    """The parts of a file's name without its ending; None for a file that is not upstream's."""
    start = _START.fullmatch(stem)
    if start is None:
        return None
    dataset = BENCHMARKS[start["benchmark"]]
    said, rest = start["split"].removeprefix("hr_bench_"), start["rest"]
    split = _SPLITS.get(said, said)
    if found := _MODELS.fullmatch(rest):
        baseline = found["small"] == "baseline"
        gated = not baseline and found["mode"] not in ("None", "log")
        return ResultName(
            dataset,
            split,
            rest,
            "baseline" if baseline else "speceyes",
            found["large"],
            None if baseline else found["small"],
            int(found["batch"]),
            _known(found["mode"]),
            None if found["threshold"] == "None" else float(found["threshold"]),
            (int(found["top_k"]) if found["top_k"] else _DEFAULT_TOP_K) if gated else None,
        )
    if found := _SPECREASON.fullmatch(rest):
        threshold = float(found["threshold"])
        models = found["large"], found["small"]
        return ResultName(dataset, split, rest, "specreason", *models, None, None, threshold, None)
    return ResultName(dataset, split, rest, "draft", None, rest, None, None, None, None)


def _known(word: str) -> str | None:
    return None if word == "None" else word
