"""Whether a benchmark's files are whole: every row read, every picture decoded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict

from speceyes_cli.core.errors import DataError, PictureError, RowError
from speceyes_cli.core.option_texts import places_kept
from speceyes_cli.core.samples import Sample
from speceyes_cli.host.specs import DatasetSpec, DataSource

DATASET_ORDER = "dataset"
"""Options are checked in the order of the files."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class DataFinding(_Model):
    """One thing that is wrong."""

    kind: Literal["split", "count", "row", "picture", "duplicate"]
    """What is wrong: a split that cannot be read, its number of samples, a row, a picture, or a
    sample that comes twice."""
    sample_id: str | None
    """The sample; None for a whole split."""
    text: str
    """One sentence, with file and row."""


class SplitCheck(_Model):
    """What was found in one split."""

    dataset: str
    """The benchmark."""
    split: str
    """Its split."""
    samples: int
    """Samples read, the broken ones included."""
    published: int | None
    """Samples in the published split; None when the benchmark does not say."""
    findings: tuple[DataFinding, ...]
    """Everything that is wrong, in the order of the files; empty for a whole split."""
    unshuffled: int = 0
    """Samples some of whose options a shuffle leaves in place: they mean others, such as "None of
    the above", or carry letters or numbers of their own."""
    unshuffled_example: str | None = None
    """The first such sample."""


def check_split(
    dataset: DatasetSpec, split: str, path: str | None, observe: Callable[[], None]
) -> SplitCheck:
    """Read a split to its end, opening every picture; `observe` is called after each sample.

    Never raises for what is wrong with the data: that is what it reports.
    """
    source = DataSource(path, DATASET_ORDER)
    published = dataset.published_sizes.get(split)
    samples = 0
    unshuffled: list[str] = []
    findings: list[DataFinding] = []
    try:
        dataset.check(split, source)
        seen: dict[bytes, str] = {}
        for sample in dataset.open(split, source):
            samples += 1
            findings += _check_sample(sample, seen)
            if places_kept(sample.options):
                unshuffled.append(sample.id)
            observe()
    except DataError as error:
        findings.append(DataFinding(kind="split", sample_id=None, text=str(error)))
    else:
        if published is not None and samples != published:
            text = f"{split} has {samples:,} samples; {published:,} were published."
            findings.append(DataFinding(kind="count", sample_id=None, text=text))
    return SplitCheck(
        dataset=dataset.name,
        split=split,
        samples=samples,
        published=published,
        findings=tuple(findings),
        unshuffled=len(unshuffled),
        unshuffled_example=next(iter(unshuffled), None),
    )


def _check_sample(sample: Sample, seen: dict[bytes, str]) -> Iterator[DataFinding]:
    """What is wrong with a sample; `seen` holds the samples so far by their contents."""
    repeated = sample.meta.get("repeated_id")
    if repeated is not None:
        text = f"{sample.picture.name}: the id {repeated!r} came before."
        yield DataFinding(kind="duplicate", sample_id=sample.id, text=text)
    try:
        image = sample.picture.open()
    except RowError as error:
        yield DataFinding(kind="row", sample_id=sample.id, text=str(error))
        return
    except PictureError as error:
        yield DataFinding(kind="picture", sample_id=sample.id, text=str(error))
        return
    content = hashlib.blake2b(image.tobytes(), digest_size=16)
    content.update(repr((image.size, sample.question, sample.options)).encode("utf-8", "replace"))
    first = seen.setdefault(content.digest(), sample.id)
    if first != sample.id:
        text = f"{sample.picture.name}: the same picture, question and options as {first!r}."
        yield DataFinding(kind="duplicate", sample_id=sample.id, text=text)


def check_dataset(
    dataset: DatasetSpec, splits: Iterable[str], path: str | None, observe: Callable[[], None]
) -> list[SplitCheck]:
    """Check split after split; `DataError` when none of them can be read at all."""
    checks = [check_split(dataset, split, path, observe) for split in splits]
    if not any(check.samples for check in checks):
        told = (finding.text for check in checks for finding in check.findings)
        names = ", ".join(check.split for check in checks)
        raise DataError(next(told, f"{dataset.name} has no sample in {names}."))
    return checks


def expected_samples(dataset: DatasetSpec, splits: Iterable[str], path: str | None) -> int | None:
    """Samples to be read, as counted or else as published; None when neither is known."""
    total = 0
    for split in splits:
        try:
            size = dataset.size(split, DataSource(path, DATASET_ORDER))
        except DataError:
            size = 0
        size = dataset.published_sizes.get(split) if size is None else size
        if size is None:
            return None
        total += size
    return total


def recognize(datasets: Iterable[DatasetSpec], path: str) -> DatasetSpec:
    """The one published benchmark whose files are in this place; `DataError` otherwise."""
    known = list(datasets)
    found = [one for one in known if one.published_sizes and _has_a_split(one, path)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(dataset.name for dataset in found or known)
    what = "holds several benchmarks" if found else "holds no benchmark that is known"
    raise DataError(f"{path} {what}: name one of {names}.")


def _has_a_split(dataset: DatasetSpec, path: str) -> bool:
    for split in dataset.splits:
        try:
            dataset.check(split, DataSource(path, DATASET_ORDER))
        except DataError:
            continue
        return True
    return False
