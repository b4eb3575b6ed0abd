"""Samples for a notebook: of a dataset, or one's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from speceyes_cli.api.settings import installed
from speceyes_cli.core.digests import digest_bytes, digest_row
from speceyes_cli.core.errors import DataError
from speceyes_cli.core.judging.answer_rules import score_by_rule
from speceyes_cli.core.pictures.loading import picture_from
from speceyes_cli.core.replies.clean import fold
from speceyes_cli.core.samples import Sample
from speceyes_cli.host.planning.splits import choose_splits, require_splits
from speceyes_cli.host.specs import DatasetSpec, DataSource

OWN = "samples"
"""The name of a dataset that is a list of samples."""
OWN_ORDER = "dataset"
"""How options of such a list are ordered: as they stand in it."""
FIELDS = ("picture", "question", "options", "answer", "id", "split", "cluster", "category")


def samples(
    dataset: str = "needle",
    *,
    split: str = "all",
    limit: int | None = None,
    data: str | None = None,
    option_order: str = "shuffle:0",
) -> list[Sample]:
    """The samples of a benchmark, at most `limit` of each split; pictures are opened when needed.

    `data` is the folder of its files, or "hub". Raises `SpecEyesError` when it cannot be read.

    >>> from speceyes_cli import samples
    >>> [sample] = samples("needle", split="direct_attributes", limit=1)
    >>> sample.split, sample.picture.open().mode
    ('direct_attributes', 'RGB')
    """
    spec = installed().datasets.get(dataset)
    source = DataSource(data, option_order)
    found: list[Sample] = []
    names = choose_splits(spec, split)
    require_splits(spec, names, source)
    for name in names:
        found += islice(spec.open(name, source), limit)
    return found


def own_dataset(given: Iterable[Sample | Mapping[str, Any]]) -> DatasetSpec:
    """A list of samples as a dataset, judged by the rules; `DataError` for a wrong one."""
    rows = [_sample(item, number) for number, item in enumerate(given)]
    if not rows:
        raise DataError("There are no samples to be answered.")
    splits = tuple(dict.fromkeys(row.split for row in rows))

    def of(split: str) -> list[Sample]:
        return [row for row in rows if row.split == split]

    def fingerprint(split: str, _source: DataSource) -> str:
        said = [f"{row.id} {digest_row(row)} {row.picture.digest()}" for row in of(split)]
        return digest_bytes("\n".join(said).encode("utf-8", "replace"))

    return DatasetSpec(
        name=OWN,
        splits=splits,
        open=lambda split, _source: of(split),
        check=lambda _split, _source: None,
        score=score_by_rule,
        summary="a list of samples",
        size=lambda split, _source: len(of(split)),
        fingerprint=fingerprint,
    )


def _sample(item: Sample | Mapping[str, Any], number: int) -> Sample:
    if isinstance(item, Sample):
        return _with_known_option(item, f"Sample {number}")
    if not isinstance(item, Mapping) or not {"picture", "question"} <= set(item):
        raise DataError(f"Sample {number} is no Sample, and no mapping with picture and question.")
    if unknown := sorted(set(item) - set(FIELDS)):
        raise DataError(f"Sample {number} has {unknown[0]!r}; known: {', '.join(FIELDS)}.")
    where = f"Sample {number}"
    names = ("answer", "cluster", "category")
    rest: dict[str, Any] = {
        name: _text(item[name], where, name) for name in names if item.get(name) is not None
    }
    listed = item.get("options")
    if not isinstance(listed, list | tuple | None):
        raise DataError(f"{where}: its options are no list of texts.")
    sample = Sample(
        id=str(item.get("id", number)),
        split=str(item.get("split", "all")),
        picture=picture_from(item["picture"], f"the picture of sample {number}"),
        question=str(item["question"]),
        options=tuple(_text(option, where, "an option") for option in listed or ()),
        **rest,
    )
    return _with_known_option(sample, where)


def _text(value: Any, where: str, what: str) -> str:
    """A text, or a number as text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise DataError(f"{where}: {what} is neither a text nor a number, but {value!r:.80}.")
    return str(value)


def _with_known_option(sample: Sample, where: str) -> Sample:
    """The sample with its right option's text as its answer, which may be named by its letter.

    Raises `DataError` for an answer that is none of the options: no reply could be right.
    """
    if not sample.options or sample.answer is None or sample.answer in sample.options:
        return sample
    said = sample.answer.strip()
    letter = said.strip("().").upper()
    place = ord(letter) - ord("A") if len(letter) == 1 else -1
    alike = [option for option in sample.options if fold(option) == fold(said)]
    if not alike and not 0 <= place < len(sample.options):
        raise DataError(
            f"{where}: the answer {sample.answer[:40]!r} is none of its options, neither a text "
            "nor a letter."
        )
    return replace(sample, answer=alike[0] if alike else sample.options[place])
