"""V*: small things in large pictures (Wu and Xie, 2023); the first option is always the right one.

Two forms are published and both are read: a folder per split with a JSON file beside each picture,
and `test_questions.jsonl`, whose options were shuffled once. The folders win where both are there;
name the file itself to read the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from speceyes_cli.plugin import (
    DataError,
    DatasetSpec,
    DataSource,
    Sample,
    hookimpl,
    picture_from,
    score_choice,
)
from speceyes_datasets.files import Origin, fingerprint_of, locate
from speceyes_datasets.json_lines import read_json_lines, read_object
from speceyes_datasets.lettered import take_apart
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

SIZES = {"direct_attributes": 115, "relative_position": 76}
OTHER_FOLDERS = ("OCR", "GPT4V-hard")
"""Published beside the benchmark and no part of it."""
QUESTIONS = "test_questions.jsonl"
PICTURES = (".jpg", ".jpeg", ".png")
ORIGIN = Origin("V*", "craigwu/vstar_bench", "d9ae62c903da0c98336e85c5ee89cd863b04b4da")


def open_split(split: str, source: DataSource) -> Iterator[Sample]:
    """The samples of a split, by file name or in the file's order."""
    order = parse_order(source.option_order)
    place = find_split(split, source)
    if place.is_dir():
        yield from make_samples(
            read_folder(place), split, identify_file, partial(parse_file, split, order)
        )
    else:
        yield from make_samples(
            read_questions(place, split), split, identify_line, partial(parse_line, split, order)
        )


def check_split(split: str, source: DataSource) -> None:
    """Raise unless the split's folder or file is there with something in it."""
    parse_order(source.option_order)
    place = find_split(split, source)
    if next(iter(read_folder(place) if place.is_dir() else read_questions(place, split)), None):
        return
    raise DataError(f"V* has no questions of {split!r} in {place}; {ORIGIN}.")


def find_split(split: str, source: DataSource) -> Path:
    """The split's folder, or the file of questions; `DataError` when there is neither."""
    root = locate(ORIGIN, source, (f"{split}/*", QUESTIONS))
    if root.is_file():
        if root.suffix != ".jsonl":
            raise DataError(f"V* reads folders and {QUESTIONS}, and {root} is neither; {ORIGIN}.")
        return root
    places = (root / split, root / QUESTIONS)
    if places[0].is_dir():
        return places[0]
    if places[1].is_file():
        return places[1]
    raise DataError(f"V* was looked for in {places[0]} and {places[1]}: neither exists; {ORIGIN}.")


def read_folder(folder: Path) -> Iterator[SampleRow]:
    """A row for each name with a JSON file or a picture, in the order of names."""
    questions: dict[str, Path] = {}
    pictures: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        kind = path.suffix.lower()
        if path.name.startswith(".") or not (kind == ".json" or kind in PICTURES):
            continue
        (questions if kind == ".json" else pictures).setdefault(path.stem, path)
    for number, stem in enumerate(sorted({*questions, *pictures}), start=1):
        file, picture = questions.get(stem), pictures.get(stem)
        if file is None:
            yield SampleRow(
                f"{folder.name}/{pictures[stem].name}",
                number,
                {"name": stem},
                problem=f"there is no {stem}.json beside the picture",
            )
            continue
        where = f"{folder.name}/{file.name}"
        fields, problem = read_object(file)
        opened = picture_from(picture, f"{folder.name}/{picture.name}") if picture else None
        missing = f"there is no picture {stem}{'|'.join(PICTURES)} beside it"
        yield SampleRow(where, number, {**fields, "name": stem}, opened, problem, missing)


def read_questions(file: Path, split: str) -> Iterator[SampleRow]:
    """The lines of the split; a line that belongs to no known split comes with the first one."""
    for row in read_json_lines(file):
        category = row.fields.get("category")
        strange = category not in (*SIZES, *OTHER_FOLDERS)
        if category == split or (strange and split == next(iter(SIZES))):
            known = ", ".join(SIZES)
            problem = row.problem or (
                f"the category {category!r} is none of {known}" if strange else None
            )
            image = as_text(row.fields.get("image"))
            picture = picture_from(Path(image), row.where, file.parent) if image else None
            yield SampleRow(row.where, row.number, row.fields, picture, problem)


def identify_file(row: SampleRow) -> str | None:
    """The file's name without its ending."""
    return as_text(row.fields.get("name"))


def identify_line(row: SampleRow) -> str | None:
    """The question's number, or else its picture's name."""
    image = as_text(row.fields.get("image"))
    return as_text(row.fields.get("question_id")) or (Path(image).stem if image else None)


def parse_file(split: str, order: Order, row: SampleRow, sample_id: str) -> Sample:
    """The sample of a JSON file, whose first option is right."""
    listed = row.fields.get("options")
    options = check_options(
        row, listed if isinstance(listed, list) else raise_row(row, "there is no list of options")
    )
    sample = Sample(
        id=sample_id,
        split=split,
        picture=picture_of(row),
        question=row.text("question"),
        options=options,
        answer=options[0],
        cluster=sample_id,
        category=split,
        meta={key: row.fields[key] for key in ("target_object", "bbox") if key in row.fields},
    )
    return shuffle_options(sample, order, sample_id)


def parse_line(split: str, order: Order, row: SampleRow, sample_id: str) -> Sample:
    """The sample of a line of `test_questions.jsonl`, which names the right letter."""
    question, listed = take_apart(row, "text")
    options = check_options(row, listed)
    sample = Sample(
        id=sample_id,
        split=split,
        picture=picture_of(row),
        question=question,
        options=options,
        answer=option_of(row, row.text("label"), options),
        cluster=as_text(row.fields.get("image")),
        category=split,
    )
    return shuffle_options(sample, order, sample_id)


def question_files(split: str, source: DataSource) -> list[Path]:
    """The files of a split's questions."""
    place = find_split(split, source)
    return sorted(place.iterdir()) if place.is_dir() else [place]


def count_split(split: str, source: DataSource) -> int | None:
    """Samples of the split."""
    place = find_split(split, source)
    return sum(1 for _ in (read_folder(place) if place.is_dir() else read_questions(place, split)))


@hookimpl
def speceyes_datasets() -> Iterable[DatasetSpec]:
    """Yield V*."""
    yield DatasetSpec(
        name="vstar",
        splits=tuple(SIZES),
        open=open_split,
        check=check_split,
        score=score_choice,
        multiple_choice=True,
        summary="V*: 191 questions about small things in large pictures, 2 or 4 options",
        size=count_split,
        hub_id=ORIGIN.hub_id,
        published_sizes=SIZES,
        fingerprint=fingerprint_of(question_files, open_split),
    )
