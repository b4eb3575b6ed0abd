from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from PIL import Image

from speceyes_cli.core.chat import Picture
from speceyes_cli.core.errors import DataError, PictureError, RowError
from speceyes_cli.core.samples import Sample, Verdict
from speceyes_cli.host.data_check import check_dataset, check_split, expected_samples, recognize
from speceyes_cli.host.specs import DatasetSpec, DataSource


def sample(number: int, fault: Exception | None = None, **changes: object) -> Sample:
    def look() -> Image.Image:
        if fault is not None:
            raise fault
        return Image.new("RGB", (4, 4), (number, 0, 0))

    made = Sample(str(number), "s", Picture(f"file, line {number}", look), f"What is {number}?")
    return replace(made, **changes)


def spec(*samples: Sample | Exception, published: int | None = None) -> DatasetSpec:
    def read(split: str, source: DataSource) -> Iterator[Sample]:
        assert source.option_order == "dataset"
        for item in samples:
            if isinstance(item, Exception):
                raise item
            yield replace(item, split=split)

    def check(split: str, source: DataSource) -> None:
        if source.path == "nowhere" or split == "absent":
            raise DataError(f"There is no {split}.")

    return DatasetSpec(
        name="made",
        splits=("s", "absent"),
        open=read,
        check=check,
        score=lambda _sample, _text: Verdict(None, "none"),
        summary="made up",
        published_sizes={} if published is None else {"s": published},
    )


def kinds(dataset: DatasetSpec) -> list[tuple[str, str | None]]:
    seen: list[None] = []
    check = check_split(dataset, "s", "here", lambda: seen.append(None))
    assert len(seen) == check.samples
    return [(finding.kind, finding.sample_id) for finding in check.findings]


def test_a_whole_split_has_no_findings() -> None:
    assert kinds(spec(sample(1), sample(2), published=2)) == []


def test_each_kind_of_fault_is_found() -> None:
    again = replace(sample(1), id="1#5", meta={"repeated_id": "1"}, question="Another?")
    copy = replace(sample(2), id="copy")
    dataset = spec(
        sample(1),
        sample(2),
        sample(3, RowError("file, line 3: no answer.")),
        sample(4, PictureError("file, line 4: truncated.")),
        again,
        copy,
        published=7,
    )
    assert kinds(dataset) == [
        ("row", "3"),
        ("picture", "4"),
        ("duplicate", "1#5"),
        ("duplicate", "copy"),
        ("count", None),
    ]


def test_one_picture_under_two_questions_is_no_duplicate() -> None:
    assert kinds(spec(sample(1), replace(sample(1), id="b", question="Else?"))) == []
    turned = replace(sample(1), id="b", options=("b", "a"))
    assert kinds(spec(replace(sample(1), options=("a", "b")), turned)) == []


def test_a_file_that_breaks_in_the_middle_is_a_finding() -> None:
    assert kinds(spec(sample(1), DataError("The file is damaged."))) == [("split", None)]


def test_a_split_that_is_absent_does_not_hide_the_others() -> None:
    checks = check_dataset(spec(sample(1)), ("s", "absent"), "here", lambda: None)
    assert [len(check.findings) for check in checks] == [0, 1]
    with pytest.raises(DataError, match=r"There is no s\."):
        check_dataset(spec(sample(1)), ("s", "absent"), "nowhere", lambda: None)
    with pytest.raises(DataError, match="made has no sample in s"):
        check_dataset(spec(), ("s",), "here", lambda: None)


def test_a_benchmark_is_recognized_by_its_files() -> None:
    mine, other = spec(published=1), replace(spec(published=1), name="other", splits=("absent",))
    own = replace(spec(), name="own")
    assert recognize([own, other, mine], "here") is mine
    with pytest.raises(DataError, match="holds no benchmark that is known: name one of own, made"):
        recognize([own, mine], "nowhere")
    with pytest.raises(DataError, match="several benchmarks: name one of made, made"):
        recognize([mine, mine], "here")


def test_what_to_expect() -> None:
    assert expected_samples(spec(published=7), ("s",), None) == 7
    assert expected_samples(spec(), ("s",), None) is None
    counted = replace(spec(published=7), size=lambda _split, _source: 5)
    assert expected_samples(counted, ("s", "s"), None) == 10
