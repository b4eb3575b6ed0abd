from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from speceyes_datasets import pope

from speceyes_cli.core.errors import DataError, PictureError
from speceyes_cli.core.replies.yes_no import parse_yes_no
from speceyes_cli.core.samples import Sample
from speceyes_cli.host.specs import DataSource, Scored

[SPEC] = pope.speceyes_datasets()


def read(folder: Path, split: str = "adversarial") -> list[Sample]:
    source = DataSource(str(folder))
    SPEC.check(split, source)
    return list(SPEC.open(split, source))


def test_rows_become_samples(tmp_path: Path, genuine: Any) -> None:
    genuine.pope(tmp_path)
    samples = read(tmp_path)
    assert [sample.id for sample in samples] == [str(number) for number in range(12)]
    assert samples[0].question == "Is there a snowboard 0 in the image?"
    assert samples[0].options == ()
    assert [samples[0].answer, samples[1].answer] == ["yes", "no"]
    assert set(Counter(sample.cluster for sample in samples).values()) == {6}
    assert samples[0].picture.open().size == (32, 24)
    assert SPEC.size("adversarial", DataSource(str(tmp_path))) == 12
    assert SPEC.score(samples[0], "Yes.").right is True
    assert SPEC.score(samples[1], "Yes.").right is False
    assert read(tmp_path, "random")[0].category == "random"


def test_the_folder_full_may_be_named_itself(tmp_path: Path, genuine: Any) -> None:
    genuine.pope(tmp_path)
    assert len(read(tmp_path / "Full")) == 12


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"answer": "maybe"}, "row 3: the answer 'maybe' is neither yes nor no"),
        ({"answer": None}, "row 3: there is no text under 'answer'"),
        ({"question": ""}, "row 3: there is no text under 'question'"),
        ({"image": None}, "row 3: there is no picture"),
        ({"image": {"bytes": b"", "path": None}}, "row 3: there is no picture"),
        ({"image": {"bytes": b"abc", "path": "a.jpg"}}, "row 3: 3 bytes that are no picture"),
        ({"image": {"bytes": None, "path": "a.jpg"}}, "row 3: there is no picture"),
        ({"image_source": None}, "row 3: there is no text under 'image_source'"),
    ],
)
def test_a_bad_row_is_a_sample_that_says_why(
    tmp_path: Path, genuine: Any, changes: dict[str, Any], said: str
) -> None:
    rows = genuine.pope_rows()
    rows[2] |= changes
    genuine.pope(tmp_path, rows)
    samples = read(tmp_path)
    assert len(samples) == 12, "nothing is skipped"
    assert samples[2].id == "2"
    with pytest.raises(PictureError) as raised:
        samples[2].picture.open()
    assert f"adversarial-00000-of-00001.parquet, {said}" in str(raised.value)


def test_repeated_ids_stay_apart(tmp_path: Path, genuine: Any) -> None:
    rows = genuine.pope_rows(3)
    rows[2]["id"] = "0"
    genuine.pope(tmp_path, rows)
    assert [sample.id for sample in read(tmp_path)] == ["0", "1", "0#3"]


def test_a_missing_column_and_a_missing_split_are_said(tmp_path: Path, genuine: Any) -> None:
    rows = [{k: v for k, v in row.items() if k != "image_source"} for row in genuine.pope_rows()]
    genuine.pope(tmp_path, rows)
    with pytest.raises(DataError, match="has no column image_source; its columns are id, "):
        read(tmp_path)
    (tmp_path / "Full" / "random-00000-of-00001.parquet").unlink()
    with pytest.raises(DataError, match=r"no split 'random'.*datasets/lmms-lab/POPE"):
        read(tmp_path, "random")


def test_a_damaged_file_is_said(tmp_path: Path, genuine: Any) -> None:
    genuine.pope(tmp_path)
    file = tmp_path / "Full" / "popular-00000-of-00001.parquet"
    data = bytearray(file.read_bytes())
    data[4 : len(data) // 2] = b"\xff" * (len(data) // 2 - 4)
    file.write_bytes(data)
    with pytest.raises(DataError, match=r"popular-00000-of-00001\.parquet is damaged"):
        list(SPEC.open("popular", DataSource(str(tmp_path))))


def scored(said: str | None, gold: str) -> Scored:
    read = parse_yes_no(said or "")
    return Scored("s", "random", None, "c", said, gold, None if read is None else read == gold)


def test_metrics_are_of_the_predictions() -> None:
    rows = [
        scored("yes", "yes"),
        scored("Yes.", "yes"),
        scored("no", "yes"),
        scored("Yes, there is.", "no"),
        scored("No.", "no"),
        scored("perhaps", "no"),
        scored(None, "yes"),
    ]
    assert SPEC.metrics is not None
    figures = SPEC.metrics(rows)
    assert figures["accuracy"] == pytest.approx(3 / 7)
    assert figures["precision"] == pytest.approx(2 / 3)
    assert figures["recall"] == pytest.approx(2 / 4)
    assert figures["f1"] == pytest.approx(2 * (2 / 3) * (1 / 2) / (2 / 3 + 1 / 2))
    assert figures["yes_ratio"] == pytest.approx(3 / 5)


def test_metrics_follow_the_judge() -> None:
    assert SPEC.metrics is not None
    vague = "A dog, perhaps."
    by_rule = [Scored(str(n), "random", None, "c", vague, "yes", None) for n in range(4)]
    judged = [one._replace(right=True) for one in by_rule]
    assert dict(SPEC.metrics(by_rule)) == {"accuracy": 0.0, "recall": 0.0, "f1": 0.0}
    figures = SPEC.metrics(judged)
    assert (figures["accuracy"], figures["f1"], figures["yes_ratio"]) == (1.0, 1.0, 1.0)
    wrong = [one._replace(right=False) for one in by_rule]
    assert SPEC.metrics(wrong)["yes_ratio"] == 0.0


def test_metrics_without_a_denominator_are_left_out() -> None:
    assert SPEC.metrics is not None
    assert dict(SPEC.metrics([])) == {}
    assert dict(SPEC.metrics([scored("no", "no")])) == {"accuracy": 1.0, "yes_ratio": 0.0}
