"""MME-RealWorld-Lite: large pictures of the real world, five options (Zhang et al., 2408.13257)."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from speceyes_cli.plugin import DatasetSpec, DataSource, Sample, Scored, hookimpl, score_choice
from speceyes_datasets.files import Origin, find_files, fingerprint_of
from speceyes_datasets.lettered import without_letter
from speceyes_datasets.rows import (
    Order,
    SampleRow,
    as_text,
    check_options,
    make_samples,
    option_of,
    parse_order,
    picture_of,
    raise_row,
    shuffle_options,
)
from speceyes_datasets.tables import check_columns, read_table, row_count

SIZES = {"lite": 1919}
ORIGIN = Origin("MME-RealWorld-Lite", "yifanzhang114/MME-RealWorld-lite-lmms-eval", "main")
OPTIONS = "multi-choice options"
COLUMNS = ("index", "question", OPTIONS, "answer", "category", "l2-category")
PICTURE = ("bytes", "image")
"""The picture's column in the parquet files, and in the TSV that VLMEvalKit reads."""
FILES = ("data/train-*.parquet", "train-*.parquet", "mme_realworld_lite.tsv")
KINDS = ("perception", "reasoning")


def open_split(split: str, source: DataSource) -> Iterator[Sample]:
    """The samples in the order of the files."""
    order = parse_order(source.option_order)
    rows = chain.from_iterable(
        read_table(file, COLUMNS, image=PICTURE) for file in split_files(split, source)
    )
    yield from make_samples(
        rows, split, lambda row: as_text(row.fields.get("index")), partial(parse_row, split, order)
    )


def check_split(split: str, source: DataSource) -> None:
    """Raise unless the files are there with their columns."""
    parse_order(source.option_order)
    for file in split_files(split, source):
        check_columns(file, COLUMNS, PICTURE)


def split_files(split: str, source: DataSource) -> tuple[Path, ...]:
    """The parquet files, or else the TSV."""
    return find_files(ORIGIN, source, split, FILES)


def parse_row(split: str, order: Order, row: SampleRow, sample_id: str) -> Sample:
    """The sample of a row; options are published with their letters, which are taken off."""
    options = check_options(row, listed_options(row))
    sample = Sample(
        id=sample_id,
        split=split,
        picture=picture_of(row),
        question=row.text("question"),
        options=options,
        answer=option_of(row, row.text("answer"), options),
        cluster=sample_id,
        category=row.text("category"),
        meta={"task": as_text(row.fields.get("l2-category"))},
    )
    return shuffle_options(sample, order, sample_id)


def listed_options(row: SampleRow) -> list[str]:
    """The options, which a TSV holds as a list in Python's words."""
    listed: Any = row.fields.get(OPTIONS)
    if isinstance(listed, str):
        try:
            listed = ast.literal_eval(listed)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise_row(row, f"the text under {OPTIONS!r} is no list")
    if not isinstance(listed, list):
        raise_row(row, f"there is no list under {OPTIONS!r}")
    return [without_letter(str(option).strip(), place) for place, option in enumerate(listed)]


def metrics(scored: Sequence[Scored]) -> Mapping[str, float]:
    """Accuracy of perception, of reasoning, and over all; undecided answers count as wrong.

    The kind of a question is the first word of its category, "Perception/Remote Sensing". A kind
    without samples is left out.
    """
    groups = {kind: [one for one in scored if kind_of(one) == kind] for kind in KINDS}
    groups["all"] = list(scored)
    return {
        name: sum(one.right is True for one in group) / len(group)
        for name, group in groups.items()
        if group
    }


def kind_of(scored: Scored) -> str:
    """Perception or reasoning."""
    return (scored.category or "").partition("/")[0].casefold()


@hookimpl
def speceyes_datasets() -> Iterable[DatasetSpec]:
    """Yield MME-RealWorld-Lite."""
    yield DatasetSpec(
        name="mmerealworld",
        splits=tuple(SIZES),
        open=open_split,
        check=check_split,
        score=score_choice,
        multiple_choice=True,
        summary="MME-RealWorld-Lite: 1,919 questions on large pictures, five options",
        size=lambda split, source: row_count(split_files(split, source)),
        metrics=metrics,
        hub_id=ORIGIN.hub_id,
        published_sizes=SIZES,
        fingerprint=fingerprint_of(split_files, open_split),
    )
