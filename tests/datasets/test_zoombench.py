from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from speceyes_datasets import zoombench

from speceyes_cli.core.errors import DataError, PictureError
from speceyes_cli.core.samples import Sample
from speceyes_cli.host.specs import DataSource

[SPEC] = zoombench.speceyes_datasets()


def read(folder: Path, order: str = "dataset") -> list[Sample]:
    source = DataSource(str(folder), order)
    SPEC.check("test", source)
    return list(SPEC.open("test", source))


def test_questions_with_options_and_in_free_words(tmp_path: Path, genuine: Any) -> None:
    genuine.zoombench(tmp_path)
    choice, dotted, number, yes = read(tmp_path)
    assert choice.id == "0"
    assert choice.question == "What is written on the sign 0?"
    assert choice.options == ("STOP", "GO", "SLOW", "None of the above")
    assert (choice.answer, choice.category) == ("GO", "mcq")
    assert choice.picture.open().size == (32, 24), "the full picture, not the part that decides"
    assert dotted.options == ("red", "blue\nor violet".replace("\n", " "))
    assert dotted.answer == "blue or violet"
    assert (number.options, number.answer, number.category) == ((), "3", "oq")
    assert (yes.options, yes.answer) == ((), "yes")
    assert SPEC.size("test", DataSource(str(tmp_path))) == 4
    verdicts = [SPEC.score(choice, "B"), SPEC.score(number, "3"), SPEC.score(number, "three")]
    assert [verdict.right for verdict in verdicts] == [True, True, None]
    assert SPEC.score(yes, "No.").right is False


def test_a_file_without_types_of_questions_is_read(tmp_path: Path, genuine: Any) -> None:
    rows = [{k: v for k, v in row.items() if k != "question_type"} for row in genuine.zoom_rows()]
    genuine.zoombench(tmp_path, rows)
    assert [sample.category for sample in read(tmp_path)] == ["mcq", "mcq", "open", "open"]


def test_a_letter_without_options_is_a_free_answer(tmp_path: Path, genuine: Any) -> None:
    rows = genuine.zoom_rows()
    rows[0] |= {"query": "Which letter is on the cap?", "response": "B"}
    genuine.zoombench(tmp_path, rows)
    sample = read(tmp_path)[0]
    assert (sample.options, sample.answer) == ((), "B")


def test_options_are_shuffled_by_the_seed(tmp_path: Path, genuine: Any) -> None:
    genuine.zoombench(tmp_path, genuine.zoom_rows(40))
    published, shuffled = read(tmp_path), read(tmp_path, "shuffle:0")
    moved = [a.options != b.options for a, b in zip(published, shuffled, strict=True) if a.options]
    assert any(moved)
    assert all(set(a.options) == set(b.options) for a, b in zip(published, shuffled, strict=True))
    assert all(sample.answer in sample.options for sample in shuffled if sample.options)
    last = [sample.options[-1] for sample in shuffled if "None of the above" in sample.options]
    assert set(last) == {"None of the above"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"response": None}, "row 1: there is no text under 'response'"),
        ({"query": " "}, "row 1: there is no text under 'query'"),
        ({"query": "A. red\nB. blue"}, "row 1: there is no question before the options"),
        ({"response": "F"}, "row 1: the answer 'F' is none of the options, A to D"),
        ({"query": "What?\nA. \nB. blue"}, "row 1: option A is empty or no text"),
        ({"image": None}, "row 1: there is no picture"),
    ],
)
def test_a_bad_row_is_a_sample_that_says_why(
    tmp_path: Path, genuine: Any, changes: dict[str, Any], said: str
) -> None:
    rows = genuine.zoom_rows()
    rows[0] |= changes
    genuine.zoombench(tmp_path, rows)
    samples = read(tmp_path)
    assert len(samples) == 4, "nothing is skipped"
    with pytest.raises(PictureError) as raised:
        samples[0].picture.open()
    assert f"test.parquet, {said}" in str(raised.value)


def test_a_wrong_place_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"huggingface\.co/datasets/inclusionAI/ZoomBench"):
        SPEC.check("test", DataSource(str(tmp_path)))
