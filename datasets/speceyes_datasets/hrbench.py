"""HR-Bench: 200 questions on 4K and 8K pictures, each asked with its options in four rotations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from speceyes_cli.plugin import DatasetSpec, DataSource, Sample, Scored, hookimpl, score_choice
from speceyes_datasets.files import Origin, find_files, fingerprint_of, is_hub
from speceyes_datasets.rows import (
    Order,
    SampleRow,
    as_text,
    check_options,
    digest,
    make_samples,
    option_of,
    parse_order,
    picture_of,
    raise_row,
    shuffle_options,
)
from speceyes_datasets.tables import check_columns, read_table, row_count

SIZES = {"hrbench_4k": 800, "hrbench_8k": 800}
ORIGIN = Origin("HR-Bench", "DreamMr/HR-Bench", "main")
LETTERS = ("A", "B", "C", "D")
COLUMNS = ("index", "question", "answer", "category", *LETTERS, "cycle_category")
CATEGORIES = ("single", "cross")


def open_split(split: str, source: DataSource) -> Iterator[Sample]:
    """The samples of a split in the order of its file."""
    order = parse_order(source.option_order)
    files = split_files(split, source)
    rows = chain.from_iterable(read_table(file, COLUMNS) for file in files)
    yield from make_samples(
        rows, split, lambda row: as_text(row.fields.get("index")), partial(parse_row, split, order)
    )


def check_split(split: str, source: DataSource) -> None:
    """Raise unless the split's table is there with its columns."""
    parse_order(source.option_order)
    for file in split_files(split, source):
        check_columns(file, COLUMNS)


def split_files(split: str, source: DataSource) -> tuple[Path, ...]:
    """The split's TSV, or else its parquet files; the TSV needs the least memory."""
    size = split.removeprefix("hrbench_")
    names = (f"hr_bench_{size}.tsv", f"hr_bench_{size}.parquet", f"hrbench_{size}*.parquet")
    patterns = (*names, f"*/{names[2]}")
    return find_files(ORIGIN, source, split, names[:1] if is_hub(source) else patterns)


def parse_row(split: str, order: Order, row: SampleRow, sample_id: str) -> Sample:
    """The sample of a row; the four rotations of a question are shuffled alike.

    So shuffling keeps what the rotations are for: the right option stands once in each place. An
    empty option is left out, as the benchmark's own scripts do.
    """
    listed = [as_text(row.fields[letter]) or "" for letter in LETTERS]
    options = check_options(row, [text for text in listed if text])
    answer = option_of(row, row.text("answer"), listed)
    if not answer:
        raise_row(row, f"the answer {row.text('answer')[:40]!r} is an empty option")
    category = row.text("category")
    if category not in CATEGORIES:
        raise_row(row, f"the category {category[:40]!r} is neither single nor cross")
    question = row.text("question")
    cluster = digest(question, category, sorted(options))
    sample = Sample(
        id=sample_id,
        split=split,
        picture=picture_of(row),
        question=question,
        options=options,
        answer=answer,
        cluster=cluster,
        category=category,
        meta={"index": row.text("index"), "cycle": row.text("cycle_category")},
    )
    return shuffle_options(sample, order, cluster, rotated=True)


def metrics(scored: Sequence[Scored]) -> Mapping[str, float]:
    """Accuracy per category and over all, each the mean over rotations of the mean within one.

    This is how the benchmark's authors average. Failed and undecided samples count as wrong;
    a category without samples is left out.
    """
    groups = {name: [s for s in scored if s.category == name] for name in CATEGORIES}
    groups["all"] = list(scored)
    return {name: _rotation_mean(group) for name, group in groups.items() if group}


def _rotation_mean(scored: Sequence[Scored]) -> float:
    rotations: dict[object, list[bool]] = defaultdict(list)
    for one in scored:
        rotations[one.meta.get("cycle")].append(one.right is True)
    return sum(sum(rights) / len(rights) for rights in rotations.values()) / len(rotations)


@hookimpl
def speceyes_datasets() -> Iterable[DatasetSpec]:
    """Yield HR-Bench."""
    yield DatasetSpec(
        name="hrbench",
        splits=tuple(SIZES),
        open=open_split,
        check=check_split,
        score=score_choice,
        multiple_choice=True,
        summary="HR-Bench: 200 questions on 4K and 8K pictures in four rotations of the options",
        size=lambda split, source: row_count(split_files(split, source)),
        metrics=metrics,
        hub_id=ORIGIN.hub_id,
        published_sizes=SIZES,
        fingerprint=fingerprint_of(split_files, open_split),
    )
