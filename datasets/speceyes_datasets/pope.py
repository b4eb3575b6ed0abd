"""POPE: is this object in the picture? Yes or no (Li et al., 2023, arXiv 2305.10355)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from speceyes_cli.plugin import (
    DatasetSpec,
    DataSource,
    Sample,
    Scored,
    hookimpl,
    score_yes_no,
)
from speceyes_datasets.files import Origin, find_files, fingerprint_of
from speceyes_datasets.rows import (
    SampleRow,
    as_text,
    make_samples,
    parse_order,
    picture_of,
    raise_row,
)
from speceyes_datasets.tables import check_columns, read_table, row_count

SIZES = {"adversarial": 3000, "popular": 3000, "random": 3000}
ORIGIN = Origin("POPE", "lmms-lab/POPE", "4db1276663dfa5eb8ad16a52d24c31a09e470896")
COLUMNS = ("id", "question_id", "question", "answer", "image_source", "category")


def open_split(split: str, source: DataSource) -> Iterator[Sample]:
    """The samples of a split in the order of its files."""
    rows = chain.from_iterable(read_table(file, COLUMNS) for file in split_files(split, source))
    yield from make_samples(
        rows, split, lambda row: as_text(row.fields.get("id")), partial(parse_row, split)
    )


def check_split(split: str, source: DataSource) -> None:
    """Raise unless the split's files are there with their columns."""
    parse_order(source.option_order)
    for file in split_files(split, source):
        check_columns(file, COLUMNS)


def split_files(split: str, source: DataSource) -> tuple[Path, ...]:
    """The split's parquet files."""
    name = f"{split}-*.parquet"
    return find_files(ORIGIN, source, split, (f"Full/{name}", name))


def parse_row(split: str, row: SampleRow, sample_id: str) -> Sample:
    """The sample of a row; the six questions on one picture are one cluster."""
    answer = row.text("answer").casefold()
    if answer not in ("yes", "no"):
        raise_row(row, f"the answer {answer[:40]!r} is neither yes nor no")
    return Sample(
        id=sample_id,
        split=split,
        picture=picture_of(row),
        question=row.text("question"),
        answer=answer,
        cluster=row.text("image_source"),
        category=as_text(row.fields.get("category")),
        meta={"question_id": row.fields.get("question_id")},
    )


def metrics(scored: Sequence[Scored]) -> Mapping[str, float]:
    """POPE's figures by the verdicts, a judge's where there is one, "yes" being positive.

    Failed and undecided samples are neither yes nor no: they count as wrong in `accuracy`, against
    `recall` when the object is there, and not at all in `precision` and in `yes_ratio`, the share
    of "yes" among the predictions. A figure without a denominator is left out.
    """
    said = [said_by_verdict(one) for one in scored]
    golden = [one.answer for one in scored]
    hits = sum(a == b == "yes" for a, b in zip(said, golden, strict=True))
    right = sum(a == b for a, b in zip(said, golden, strict=True) if a is not None)
    counts = {
        "accuracy": (right, len(scored)),
        "precision": (hits, said.count("yes")),
        "recall": (hits, golden.count("yes")),
        "f1": (2 * hits, said.count("yes") + golden.count("yes")),
        "yes_ratio": (said.count("yes"), len(said) - said.count(None)),
    }
    return {name: part / whole for name, (part, whole) in counts.items() if whole}


def said_by_verdict(scored: Scored) -> str | None:
    """The word that an answer says according to its verdict; None where it is undecided."""
    if scored.right is None or scored.answer is None:
        return None
    return scored.answer if scored.right else {"yes": "no", "no": "yes"}[scored.answer]


@hookimpl
def speceyes_datasets() -> Iterable[DatasetSpec]:
    """Yield POPE."""
    yield DatasetSpec(
        name="pope",
        splits=tuple(SIZES),
        open=open_split,
        check=check_split,
        score=score_yes_no,
        summary="POPE: 9,000 yes/no questions on whether an object is in the picture",
        size=lambda split, source: row_count(split_files(split, source)),
        metrics=metrics,
        hub_id=ORIGIN.hub_id,
        published_sizes=SIZES,
        fingerprint=fingerprint_of(split_files, open_split),
    )
