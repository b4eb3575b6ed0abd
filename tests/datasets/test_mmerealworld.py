from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from speceyes_datasets import mmerealworld

from speceyes_cli.core.errors import DataError, PictureError
from speceyes_cli.core.samples import Sample
from speceyes_cli.host.specs import DataSource, Scored

[SPEC] = mmerealworld.speceyes_datasets()
E_TEXT = "This image doesn't feature the content."


def read(folder: Path, order: str = "dataset") -> list[Sample]:
    source = DataSource(str(folder), order)
    SPEC.check("lite", source)
    return list(SPEC.open("lite", source))


def test_parquet_and_tsv_are_read_alike(tmp_path: Path, genuine: Any) -> None:
    rows = genuine.mme_rows(6)
    genuine.mme_parquet(tmp_path / "parquet", rows)
    genuine.mme_tsv(tmp_path / "tsv" / "mme_realworld_lite.tsv", rows)
    for name in ("parquet", "tsv"):
        samples = read(tmp_path / name)
        assert [sample.id for sample in samples] == [str(number) for number in range(6)]
        first = samples[0]
        assert first.question == "What colour is the van 0?"
        assert first.options == ("red", "(A) or (B)", 'it\'s 3, or "4"', "green", E_TEXT)
        assert first.answer == "green"
        assert first.category == "Perception/Remote Sensing"
        assert first.meta == {"task": "color"}
        assert first.picture.open().size == (32, 24)
    files = [tmp_path / "parquet", tmp_path / "tsv"]
    same = [SPEC.fingerprint("lite", DataSource(str(file))) for file in files]
    assert len(set(same)) == 1
    assert SPEC.size("lite", DataSource(str(files[0]))) == 6


def test_figures_by_kind(tmp_path: Path, genuine: Any) -> None:
    genuine.mme_parquet(tmp_path, genuine.mme_rows(4))
    samples = read(tmp_path)
    rights = [True, False, None, True]
    scored = [
        Scored(s.id, s.split, s.category, s.cluster, "said", s.answer, right, s.meta)
        for s, right in zip(samples, rights, strict=True)
    ]
    assert SPEC.metrics(scored) == {"perception": 0.5, "reasoning": 0.5, "all": 0.5}
    assert SPEC.metrics(scored[:1]) == {"perception": 1.0, "all": 1.0}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"multi-choice options": None}, "there is no list under 'multi-choice options'"),
        ({"multi-choice options": []}, "there are 0 options instead of 1 to 26"),
        ({"answer": "F"}, "the answer 'F' is none of the options, A to E"),
        ({"category": ""}, "there is no text under 'category'"),
        ({"bytes": "!!"}, "row 2"),
        ({"bytes": None}, "there is no picture"),
    ],
)
def test_a_bad_row_is_a_sample_that_says_why(
    tmp_path: Path, genuine: Any, changes: dict[str, Any], said: str
) -> None:
    rows = genuine.mme_rows(4)
    rows[1] |= changes
    genuine.mme_parquet(tmp_path, rows)
    samples = read(tmp_path)
    assert len(samples) == 4
    with pytest.raises(PictureError, match=r"train-00000-of-00001\.parquet, row 2") as raised:
        samples[1].picture.open()
    assert said in str(raised.value)


@pytest.mark.parametrize("cell", ["red, blue", "['a', ", "__import__('os')", "{'A': 'red'}", "3"])
def test_options_that_are_no_list_are_told_and_never_run(
    tmp_path: Path, genuine: Any, cell: str
) -> None:
    rows = genuine.mme_rows(2)
    file = genuine.mme_tsv(tmp_path / "mme_realworld_lite.tsv", rows, options=lambda _: cell)
    with pytest.raises(PictureError, match=r"line 2: .* list"):
        read(file.parent)[0].picture.open()


def test_a_wrong_place_and_a_wrong_file_are_sentences(tmp_path: Path, genuine: Any) -> None:
    with pytest.raises(DataError, match=r"datasets/yifanzhang114/MME-RealWorld-lite-lmms-eval"):
        SPEC.check("lite", DataSource(str(tmp_path)))
    genuine.parquet(tmp_path / "train-00000-of-00001.parquet", {"index": [1], "bytes": ["x"]})
    with pytest.raises(DataError, match="has no column question"):
        SPEC.check("lite", DataSource(str(tmp_path)))
