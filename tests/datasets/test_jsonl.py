from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from speceyes_datasets import jsonl

from speceyes_cli.core.errors import DataError, PictureError
from speceyes_cli.core.samples import Sample
from speceyes_cli.host.specs import DataSource

[SPEC] = jsonl.speceyes_datasets()
[SPLIT] = SPEC.splits


def read(place: Path, order: str = "dataset") -> list[Sample]:
    source = DataSource(str(place), order)
    SPEC.check(SPLIT, source)
    samples = list(SPEC.open(SPLIT, source))
    assert SPEC.size(SPLIT, source) == len(samples)
    return samples


@pytest.fixture
def folder(tmp_path: Path, genuine: Any) -> Path:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.jpg").write_bytes(genuine.picture())
    return tmp_path


def line(**changes: Any) -> dict[str, Any]:
    row = {
        "image": "pictures/a.jpg",
        "question": "What?",
        "options": ["red", "blue"],
        "answer": "blue",
    }
    return {key: value for key, value in (row | changes).items() if value is not ...}


def test_one_line_is_one_sample(folder: Path, genuine: Any) -> None:
    rows = [
        line(),
        line(answer="B", id="mine", category="colours"),
        line(options=..., answer="yes"),
        line(options=..., answer="Paris"),
        line(answer=...),
        line(options=..., answer=42),
    ]
    genuine.lines(folder / "mine.jsonl", rows)
    samples = read(folder)
    assert [sample.id for sample in samples] == ["1", "mine", "3", "4", "5", "6"]
    assert [sample.answer for sample in samples] == ["blue", "blue", "yes", "Paris", None, "42"]
    assert samples[1].category == "colours"
    assert {sample.picture.open().size for sample in samples} == {(32, 24)}
    assert len({sample.cluster for sample in samples}) == 1
    assert SPEC.score(samples[0], "(B)").right is True
    assert SPEC.score(samples[2], "Yes, it is.").right is True
    assert SPEC.score(samples[3], "paris").right is True
    assert SPEC.score(samples[4], "B").right is None
    assert [s.id for s in read(folder / "mine.jsonl", "shuffle:0")] == [s.id for s in samples]


def test_pictures_in_the_line(folder: Path, genuine: Any) -> None:
    text = base64.b64encode(genuine.picture()).decode()
    images = [text, f"data:image/jpeg;base64,{text}", (folder / "pictures/a.jpg").as_uri()]
    genuine.lines(folder / "mine.jsonl", [line(image=image) for image in images], "\r\n")
    samples = read(folder)
    assert {sample.picture.open().size for sample in samples} == {(32, 24)}
    assert all(len(str(sample.cluster)) < 300 for sample in samples)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("not json", "line 2: it is no JSON"),
        ("3", "line 2: it is no JSON object"),
        (line(image=...), "line 2: there is no text under 'image'"),
        (line(image=["a.jpg"]), "line 2: there is no text under 'image'"),
        (line(image="b.jpg"), "line 2: there is no picture"),
        (line(question=...), "line 2: there is no text under 'question'"),
        (line(options=[]), "line 2: there are 0 options instead of 1 to 26"),
        (line(options=["x"] * 27), "line 2: there are 27 options instead of 1 to 26"),
        (line(options={"A": "red"}), "line 2: the options are no list"),
        (line(options=["red", ""]), "line 2: option B is empty or no text"),
        (line(answer="green"), "line 2: the answer 'green' is none of the options, A to B"),
        (line(answer="C"), "line 2: the answer 'C' is none of the options, A to B"),
        (line(answer=[]), "line 2: there is no text under 'answer'"),
        (line(answer=float("nan")), "line 2: there is no text under 'answer'"),
        (line(options=["red", float("nan")]), "line 2: option B is empty or no text"),
        (line(image="/dev/zero"), "line 2: /dev/zero is no file but a device"),
        ('{"question": "\\ud800"}', "line 2: there is no text under 'image'"),
        (
            '{"image": "pictures/a.jpg", "question": "What \\ud800?"}',
            "line 2: the text under 'question' holds half a character",
        ),
        (
            '{"image": "pictures/a.jpg", "question": "?", "options": ["a", "\\udc00"]}',
            "line 2: option B holds half a character",
        ),
        ("[" * 100_000, "line 2: it is no JSON"),
        ("1" * 5_000, "line 2: it is no JSON"),
        ("version https://git-lfs.github.com/spec/v1", "line 2: only Git LFS's pointer is here"),
    ],
)
def test_a_bad_line_is_a_sample_that_says_why(
    folder: Path, genuine: Any, row: Any, said: str
) -> None:
    genuine.lines(folder / "mine.jsonl", [line(), row, line()])
    samples = read(folder)
    assert len(samples) == 3, "nothing is skipped"
    with pytest.raises(PictureError, match=r"mine\.jsonl") as raised:
        samples[1].picture.open()
    assert said in str(raised.value)


def test_the_file_must_be_one(tmp_path: Path) -> None:
    for path, said in (
        (None, "needs --data"),
        (str(tmp_path / "no"), "There is no file or folder"),
        (str(tmp_path), "should hold one .jsonl file, found none"),
    ):
        with pytest.raises(DataError, match=said):
            SPEC.check(SPLIT, DataSource(path))
    (tmp_path / "a.jsonl").write_text("\n\n")
    with pytest.raises(DataError, match=r"a\.jsonl is empty"):
        SPEC.check(SPLIT, DataSource(str(tmp_path)))
    (tmp_path / "b.jsonl").write_text("{}")
    with pytest.raises(DataError, match=r"found a\.jsonl, b\.jsonl; name the file itself"):
        SPEC.check(SPLIT, DataSource(str(tmp_path)))


def test_a_shuffle_moves_no_option_that_means_others_or_carries_a_label(
    folder: Path, genuine: Any
) -> None:
    plain = [f"thing {number}" for number in range(9)]
    rows = [
        line(options=[*plain, "None of the above"], answer="thing 3"),
        line(options=[*plain, "Both A and B"], answer="thing 3"),
        line(options=[f"{chr(65 + n)}. {text}" for n, text in enumerate(plain)], answer="D"),
        line(options=plain, answer="thing 3"),
    ]
    genuine.lines(folder / "mine.jsonl", rows)
    last, letters, labels, free = read(folder, "shuffle:0")
    assert last.options[-1] == "None of the above"
    assert last.options[:-1] != tuple(plain)
    assert sorted(last.options[:-1]) == plain
    assert letters.options == (*plain, "Both A and B")
    assert labels.options[3] == labels.answer == "D. thing 3"
    assert free.options != tuple(plain)


def test_half_a_character_in_an_id_is_replaced(folder: Path) -> None:
    said = '{"image": "pictures/a.jpg", "question": "?", "options": ["x", "y"], "id": "a\\ud800"}'
    (folder / "mine.jsonl").write_text(f"{said}\n{said.replace('d800', 'dc00')}\n")
    assert [sample.id for sample in read(folder, "shuffle:0")] == ["a\ufffd", "a\ufffd#2"]
