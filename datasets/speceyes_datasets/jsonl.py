"""A benchmark of one's own: a JSON object a line with `image`, `question`, `options`, `answer`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from speceyes_cli.plugin import (
    DataError,
    DatasetSpec,
    DataSource,
    Sample,
    hookimpl,
    picture_from,
    score_by_rule,
)
from speceyes_datasets.files import fingerprint_of
from speceyes_datasets.json_lines import read_json_lines
from speceyes_datasets.rows import (
    Order,
    SampleRow,
    as_text,
    check_options,
    digest,
    make_samples,
    option_of,
    parse_order,
    raise_row,
    shuffle_options,
)

SPLIT = "questions"
_SHORT = 200
"""Characters of a picture's path or address; what is longer is base64."""


def open_split(split: str, source: DataSource) -> Iterator[Sample]:
    """The samples in the order of their lines."""
    file = find_file(source)
    order = parse_order(source.option_order)
    yield from make_samples(
        read_json_lines(file),
        split,
        lambda row: as_text(row.fields.get("id")) or str(row.number),
        partial(parse_row, split, order, file.parent),
    )


def check_split(split: str, source: DataSource) -> None:
    """Raise unless there is a file with at least one line."""
    del split  # there is one
    parse_order(source.option_order)
    file = find_file(source)
    if next(read_json_lines(file), None) is None:
        raise DataError(f"{file} is empty; it needs a JSON object a line.")


def find_file(source: DataSource) -> Path:
    """The file named, or the only .jsonl file of the folder named; `DataError` otherwise."""
    if source.path is None:
        raise DataError(
            "The jsonl dataset needs --data: a file with a JSON object a line "
            '({"image": "a.jpg", "question": "…?", "options": ["…", "…"], "answer": "…"}), '
            "or a folder with one such file."
        )
    path = Path(source.path).expanduser()
    if path.is_file():
        return path
    if not path.is_dir():
        raise DataError(f"There is no file or folder {path} to read questions from.")
    files = sorted(file for file in path.glob("*.jsonl") if file.is_file())
    if len(files) == 1:
        return files[0]
    found = ", ".join(file.name for file in files[:5]) or "none"
    raise DataError(f"{path} should hold one .jsonl file, found {found}; name the file itself.")


def parse_row(split: str, order: Order, folder: Path, row: SampleRow, sample_id: str) -> Sample:
    """The sample of a line; pictures are found from the file's folder."""
    image = row.text("image")
    listed = row.fields.get("options")
    if not isinstance(listed, list | None):
        raise_row(row, "the options are no list")
    options = check_options(row, listed) if listed is not None else ()
    sample = Sample(
        id=sample_id,
        split=split,
        picture=picture_from(image, row.where, folder),
        question=row.text("question"),
        options=options,
        answer=known_answer(row, options),
        cluster=image if len(image) <= _SHORT else digest(image),
        category=as_text(row.fields.get("category")),
    )
    return shuffle_options(sample, order, sample_id)


def known_answer(row: SampleRow, options: tuple[str, ...]) -> str | None:
    """The answer's text, which may be given as an option's letter; None when there is none."""
    said: Any = row.fields.get("answer")
    if said is None:
        return None
    answer = row.text("answer")
    if not options or answer in options:
        return answer
    return option_of(row, answer, options)


@hookimpl
def speceyes_datasets() -> Iterable[DatasetSpec]:
    """Yield the dataset of one's own questions."""
    yield DatasetSpec(
        name="jsonl",
        splits=(SPLIT,),
        open=open_split,
        check=check_split,
        score=score_by_rule,
        summary="your own questions: image, question, options?, answer? as a JSON object a line",
        size=lambda _split, source: sum(1 for _ in read_json_lines(find_file(source))),
        fingerprint=fingerprint_of(lambda _split, source: [find_file(source)], open_split),
    )
