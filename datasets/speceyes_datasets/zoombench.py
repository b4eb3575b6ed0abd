"""ZoomBench: details of large pictures, in options or in free words (Wei et al., arXiv 2602.11858).

The full picture is shown. The files also hold the part of it that decides, `crop_image`, which is
for measuring what zooming could bring and is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path

from speceyes_cli.plugin import (
    DatasetSpec,
    DataSource,
    Sample,
    hookimpl,
    score_by_rule,
)
from speceyes_datasets.files import Origin, find_files, fingerprint_of
from speceyes_datasets.lettered import LetteredQuestion, take_apart
from speceyes_datasets.rows import (
    Order,
    SampleRow,
    as_text,
    check_options,
    make_samples,
    option_of,
    parse_order,
    picture_of,
    shuffle_options,
)
from speceyes_datasets.tables import check_columns, read_table, row_count

SIZES = {"test": 845}
ORIGIN = Origin("ZoomBench", "inclusionAI/ZoomBench", "b788097e57d30510c6877824833234a73bf80d25")
COLUMNS = ("id", "query", "response")
KIND = "question_type"
"""A column that tells multiple choice from free answers, where the file has it."""


def open_split(split: str, source: DataSource) -> Iterator[Sample]:
    """The samples in the order of the files."""
    order = parse_order(source.option_order)
    rows = chain.from_iterable(
        read_table(file, COLUMNS, optional=(KIND,)) for file in split_files(split, source)
    )
    yield from make_samples(
        rows, split, lambda row: as_text(row.fields.get("id")), partial(parse_row, split, order)
    )


def check_split(split: str, source: DataSource) -> None:
    """Raise unless the files are there with their columns."""
    parse_order(source.option_order)
    for file in split_files(split, source):
        check_columns(file, COLUMNS)


def split_files(split: str, source: DataSource) -> tuple[Path, ...]:
    """The parquet files."""
    names = (f"{split}.parquet", f"{split}-*.parquet")
    return find_files(ORIGIN, source, split, (*(f"data/{name}" for name in names), *names))


def parse_row(split: str, order: Order, row: SampleRow, sample_id: str) -> Sample:
    """The sample of a row: with options where its text has some and the answer is a letter."""
    answer = row.text("response")
    said = as_text(row.fields.get(KIND))
    question, options = LetteredQuestion(row.text("query"), ())
    if len(answer.strip("(). ")) == 1:
        question, options = take_apart(row, "query")
    if options:
        options = check_options(row, options)
        answer = option_of(row, answer, options)
    sample = Sample(
        id=sample_id,
        split=split,
        picture=picture_of(row),
        question=question,
        options=options,
        answer=answer,
        cluster=sample_id,
        category=said or ("mcq" if options else "open"),
    )
    return shuffle_options(sample, order, sample_id)


@hookimpl
def speceyes_datasets() -> Iterable[DatasetSpec]:
    """Yield ZoomBench."""
    yield DatasetSpec(
        name="zoombench",
        splits=tuple(SIZES),
        open=open_split,
        check=check_split,
        score=score_by_rule,
        summary="ZoomBench: 845 questions about details, 621 with options and 224 in free words",
        size=lambda split, source: row_count(split_files(split, source)),
        hub_id=ORIGIN.hub_id,
        published_sizes=SIZES,
        fingerprint=fingerprint_of(split_files, open_split),
    )
