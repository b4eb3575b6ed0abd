"""Registers needle, the procedural benchmark that the embedded pair was trained beside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from speceyes_cli.plugin import DatasetSpec, DataSource, Picture, Sample, hookimpl
from speceyes_datasets.needle.problems import SPLITS, Split, make_problem
from speceyes_datasets.needle.scene import SIDE, draw
from speceyes_datasets.needle.scoring import score_answer

SIZE = 250  # samples a split
DEFAULT_LIMIT = 60  # samples a split in the default run, which should take about a minute


def open_split(split: str, source: DataSource) -> Iterator[Sample]:
    """The samples of a split; training draws from other seeds."""
    del source  # nothing is read from disk, and the options come shuffled
    for name in SPLITS:
        if name == split:
            for seed in range(SIZE):
                yield make_sample(name, seed)


def make_sample(split: Split, seed: int) -> Sample:
    """One sample, its picture drawn when it is opened."""
    problem = make_problem(split, seed)
    name = f"{split}/{seed:04d}"
    meta: dict[str, object] = {"large": problem.target.large}
    if not problem.options:
        meta["disc"] = problem.target.colour
    return Sample(
        id=name,
        split=split,
        picture=Picture(name, partial(draw, problem.scene)),
        question=problem.question,
        options=problem.options,
        answer=problem.answer,
        meta=meta,
    )


@hookimpl
def speceyes_datasets() -> Iterable[DatasetSpec]:
    """The embedded benchmark."""
    yield DatasetSpec(
        name="needle",
        splits=SPLITS,
        open=open_split,
        check=lambda _split, _source: None,
        score=score_answer,
        summary=f"{SIDE}x{SIDE} drawings of discs; half-hidden dots need a zoom (no download)",
        size=lambda _split, _source: SIZE,
        default_limit=DEFAULT_LIMIT,
        named_only=("descriptions",),
        fingerprint=lambda split, _source: f"needle-1/{split}/{SIZE}",
    )
