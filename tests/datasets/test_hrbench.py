from __future__ import annotations

import base64
import csv
import io
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from speceyes_datasets import hrbench
from speceyes_datasets.tables import read_table

from speceyes_cli.core.errors import DataError, PictureError, RowError, UsageError
from speceyes_cli.core.judging.answer_rules import score_choice
from speceyes_cli.core.samples import Sample
from speceyes_cli.host.specs import DatasetSpec, DataSource, Scored

[SPEC] = hrbench.speceyes_datasets()


def read(folder: Path, order: str = "dataset", split: str = "hrbench_4k") -> list[Sample]:
    source = DataSource(str(folder), order)
    SPEC.check(split, source)
    return list(SPEC.open(split, source))


def sentence(sample: Sample) -> str:
    with pytest.raises(PictureError) as raised:
        sample.picture.open()
    return str(raised.value)


def test_rows_become_samples(tmp_path: Path, genuine: Any) -> None:
    genuine.hr_tsv(tmp_path / "hr_bench_4k.tsv", genuine.hr_rows())
    samples = read(tmp_path)
    assert [sample.id for sample in samples] == [str(number) for number in range(8)]
    assert samples[1].question == "What colour is the boat 0?"
    assert samples[1].options == ("white", "red", "blue", "green")
    assert {sample.answer for sample in samples} == {"red"}
    assert samples[1].meta == {"index": "1", "cycle": "1"}
    assert [sample.category for sample in samples] == ["single"] * 4 + ["cross"] * 4
    assert samples[0].picture.open().size == (32, 24)
    assert samples[0].picture.name == "hr_bench_4k.tsv, line 2"


def test_rotations_are_one_cluster(tmp_path: Path, genuine: Any) -> None:
    genuine.hr_tsv(tmp_path / "hr_bench_4k.tsv", genuine.hr_rows())
    clusters = [sample.cluster for sample in read(tmp_path, "shuffle:3")]
    assert Counter(clusters) == {clusters[0]: 4, clusters[4]: 4}


@pytest.mark.parametrize("image", ["base64", "bytes", "struct"])
def test_parquet_reads_like_the_tsv(tmp_path: Path, genuine: Any, image: str) -> None:
    rows = genuine.hr_rows(3)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    genuine.hr_tsv(tmp_path / "a" / "hr_bench_4k.tsv", rows)
    genuine.hr_parquet(tmp_path / "b" / "hr_bench_4k.parquet", rows, image)
    table, parquet = read(tmp_path / "a", "shuffle:1"), read(tmp_path / "b", "shuffle:1")
    for one, other in zip(table, parquet, strict=True):
        for name in ("id", "question", "options", "answer", "cluster", "category", "meta"):
            assert getattr(one, name) == getattr(other, name), name
        assert one.picture.open().tobytes() == other.picture.open().tobytes()
    assert SPEC.size("hrbench_4k", DataSource(str(tmp_path / "b"))) == 12
    assert SPEC.size("hrbench_4k", DataSource(str(tmp_path / "a"))) is None


@pytest.mark.parametrize("name", ["hrbench_4k-00000-of-00001.parquet", "hr_bench_4k.parquet"])
@pytest.mark.parametrize("below", ["", "hrbench_version_split"])
def test_parquet_is_found_by_its_names(tmp_path: Path, genuine: Any, name: str, below: str) -> None:
    if below and name.startswith("hr_"):
        return
    (tmp_path / below).mkdir(exist_ok=True)
    genuine.hr_parquet(tmp_path / below / name, genuine.hr_rows())
    assert len(read(tmp_path)) == 8
    assert len(read(tmp_path / below / name)) == 8


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_awkward_fields(tmp_path: Path, genuine: Any, ending: str) -> None:
    rows = genuine.hr_rows(1)
    rows[0] |= {"A": "NA", "B": "007", "C": "1e5", "D": "nan"}
    rows[1] |= {
        "question": 'Is it "open"?\nSay so.',
        "B": "a\tb",
        "C": "naïve 日本 🚤",
        "D": '5" pipe',
    }
    rows[2] |= {"A": " padded ", "image": f"data:image/jpeg;base64,{rows[2]['image']}"}
    genuine.hr_tsv(tmp_path / "hr_bench_4k.tsv", rows, ending)
    samples = read(tmp_path)
    assert samples[0].options == ("NA", "007", "1e5", "nan")
    assert score_choice(samples[0], "NA").right is True
    assert samples[1].question == 'Is it "open"?\nSay so.'
    assert samples[1].options[1:] == ("a\tb", "naïve 日本 🚤", '5" pipe')
    assert samples[2].options[0] == "padded"
    assert [sample.picture.open().size for sample in samples] == [(32, 24)] * 4
    assert samples[2].picture.name == "hr_bench_4k.tsv, line 5"


def test_a_quote_inside_an_unquoted_field_stays(tmp_path: Path, genuine: Any) -> None:
    file = genuine.hr_tsv(tmp_path / "hr_bench_4k.tsv", genuine.hr_rows(1))
    text = file.read_text().replace("\twhite\t", '\t12" high\t', 1)
    file.write_text(text)
    samples = read(tmp_path)
    assert len(samples) == 4
    assert '12" high' in samples[0].options


def big_picture(megabytes: int) -> str:
    """Base64 text of this many megabytes that is a picture."""
    side = int((megabytes * 2**20 * 3 / 4 / 3) ** 0.5) + 1
    out = io.BytesIO()
    Image.frombytes("RGB", (side, side), bytes(side * side * 3)).save(out, "BMP")
    return base64.b64encode(out.getvalue()).decode()


def test_a_field_of_60_mb_stays_on_disk_until_it_is_opened(tmp_path: Path, genuine: Any) -> None:
    text = big_picture(60).encode()
    assert len(text) >= 60 * 2**20
    file = genuine.hr_tsv(tmp_path / "hr_bench_4k.tsv", genuine.hr_rows(1)[:1])
    head = file.read_bytes().splitlines()[1].rpartition(b"\t")[0]
    with file.open("ab") as out:
        out.write(head.replace(b"0\t", b"1\t", 1) + b"\t" + text + b"\n")
        out.write(head + b'\t"' + text + b'"\r\n')  # quoted though nothing asks for it
    tracemalloc.start()
    samples = read(tmp_path)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 5 * 2**20
    assert [sample.id for sample in samples] == ["0", "1", "0#3"]
    assert samples[2].picture.open().width > 3000
    assert samples[2].meta["repeated_id"] == "0"


def test_a_file_changed_under_the_run_is_said(tmp_path: Path, genuine: Any) -> None:
    rows = genuine.hr_rows(1)
    rows[0]["image"] = big_picture(1)
    file = genuine.hr_tsv(tmp_path / "hr_bench_4k.tsv", rows)
    sample = read(tmp_path)[0]
    file.unlink()
    assert "hr_bench_4k.tsv, line 2" in sentence(sample)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image": ""}, "line 3: there is no picture"),
        ({"image": "not base64!" * 9}, "line 3: the picture is not valid base64"),
        ({"image": "7777"}, "line 3: its picture is that of the row '7777', which has none"),
        ({"image": "AAAA" * 20}, "line 3: 60 bytes that are no picture"),
        ({"answer": "E"}, "line 3: the answer 'E' is none of the options, A to D"),
        ({"answer": ""}, "line 3: there is no text under 'answer'"),
        ({"A": "", "answer": "A"}, "line 3: the answer 'A' is an empty option"),
        ({"question": " "}, "line 3: there is no text under 'question'"),
        ({"category": "double"}, "line 3: the category 'double' is neither single nor cross"),
        ({"cycle_category": ""}, "line 3: there is no text under 'cycle_category'"),
        ({"question": "x" * 70_000}, "line 3: the text under 'question' is longer than"),
    ],
)
def test_a_bad_row_is_a_sample_that_says_why(
    tmp_path: Path, genuine: Any, changes: dict[str, str], said: str
) -> None:
    rows = genuine.hr_rows()
    rows[1] |= changes
    genuine.hr_tsv(tmp_path / "hr_bench_4k.tsv", rows)
    samples = read(tmp_path, "shuffle:0")
    assert len(samples) == 8, "nothing is skipped"
    assert samples[1].id == "1"
    assert f"hr_bench_4k.tsv, {said}" in sentence(samples[1])
    assert samples[2].picture.open().size == (32, 24)


def test_a_row_with_too_few_fields_and_bytes_that_are_no_text(tmp_path: Path, genuine: Any) -> None:
    file = genuine.hr_tsv(tmp_path / "hr_bench_4k.tsv", genuine.hr_rows(1))
    lines = file.read_bytes().split(b"\n")
    lines[2] = b"\t".join(lines[2].split(b"\t")[:-2])
    lines[3] = lines[3].replace(b"boat", b"bo\xff\xfet")
    lines.insert(4, b"")
    file.write_bytes(b"\n".join(lines))
    samples = read(tmp_path)
    assert [sample.id for sample in samples] == ["0", "row-2", "2", "3"]
    assert sentence(samples[1]) == "hr_bench_4k.tsv, line 3: there are 8 fields instead of 10."
    assert "line 4: the text under 'question' is not UTF-8" in sentence(samples[2])
    assert samples[3].picture.name == "hr_bench_4k.tsv, line 6"
    with pytest.raises(RowError):
        samples[1].picture.open()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (None, b"", "has no split 'hrbench_4k' in"),
        ("hr_bench_4k.tsv", b"", "has no column index, question"),
        ("hr_bench_4k.tsv", b"index\tquestion\n1\t2\n", "has no column answer, category, A, B"),
        ("hr_bench_4k.tsv", b"PAR1\0\0\0", "is not a TSV file"),
        ("hr_bench_4k.tsv", b"\x89PNG\r\n", "has no column"),
        ("hr_bench_4k.parquet", b"index\tquestion\n", "is not a parquet file"),
        ("hr_bench_4k.parquet", b"", "is not a parquet file"),
    ],
)
def test_a_wrong_file_is_one_sentence(
    tmp_path: Path, name: str | None, content: bytes, said: str
) -> None:
    if name:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as raised:
        SPEC.check("hrbench_4k", DataSource(str(tmp_path)))
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_folder_says_where_to_get_it() -> None:
    for path in (None, "/nowhere/at/all"):
        with pytest.raises(DataError, match=r"huggingface\.co/datasets/DreamMr/HR-Bench"):
            SPEC.check("hrbench_4k", DataSource(path))
    with pytest.raises(DataError, match="/nowhere/at/all"):
        SPEC.check("hrbench_4k", DataSource("/nowhere/at/all"))


def test_an_unknown_order_is_refused(tmp_path: Path, genuine: Any) -> None:
    genuine.hr_tsv(tmp_path / "hr_bench_4k.tsv", genuine.hr_rows())
    for order in ("shuffle", "shuffle:", "shuffle:x", "random", "", "shuffle:-1"):
        with pytest.raises(UsageError, match="--option-order is dataset or shuffle:SEED"):
            SPEC.check("hrbench_4k", DataSource(str(tmp_path), order))


def test_shuffling_keeps_the_right_option_once_in_each_place(tmp_path: Path, genuine: Any) -> None:
    genuine.hr_tsv(tmp_path / "hr_bench_4k.tsv", genuine.hr_rows(5))
    published, shuffled = read(tmp_path), read(tmp_path, "shuffle:0")
    assert [s.options for s in shuffled] != [s.options for s in published]
    for start in range(0, 20, 4):
        four = shuffled[start : start + 4]
        assert sorted(s.options.index(s.answer) for s in four) == [0, 1, 2, 3]
    for before, after in zip(published, shuffled, strict=True):
        assert sorted(before.options) == sorted(after.options)
        assert before.answer == after.answer
    again = read(tmp_path, "shuffle:0")
    assert [s.options for s in again] == [s.options for s in shuffled]
    assert [s.options for s in read(tmp_path, "shuffle:1")] != [s.options for s in shuffled]


def test_a_fingerprint_follows_the_file(tmp_path: Path, genuine: Any) -> None:
    source = DataSource(str(tmp_path))
    genuine.hr_tsv(tmp_path / "hr_bench_4k.tsv", genuine.hr_rows())
    before = SPEC.fingerprint("hrbench_4k", source)
    assert before == SPEC.fingerprint("hrbench_4k", source)
    genuine.hr_tsv(tmp_path / "hr_bench_4k.tsv", genuine.hr_rows(1))
    assert before != SPEC.fingerprint("hrbench_4k", source)


def scored(category: str, cycle: str, right: bool | None) -> Scored:
    return Scored("s", "hrbench_4k", category, None, "A", "red", right, {"cycle": cycle})


def test_metrics_average_over_rotations() -> None:
    rows = [
        *[scored("single", "0", right) for right in (True, True, False, False)],
        scored("single", "1", True),
        scored("cross", "0", None),
        scored("cross", "1", True),
    ]
    figures = SPEC.metrics(rows) if SPEC.metrics else {}
    assert figures["single"] == pytest.approx((0.5 + 1) / 2)
    assert figures["cross"] == pytest.approx(0.5)
    assert figures["all"] == pytest.approx((2 / 5 + 1) / 2)
    assert SPEC.metrics is not None
    assert dict(SPEC.metrics([])) == {}
    assert set(SPEC.metrics(rows[:4])) == {"single", "all"}


texts = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=["Cs"]),
    min_size=1,
    max_size=12,
).filter(lambda text: bool(text.strip()))


@settings(max_examples=40, deadline=None)
@given(st.lists(texts, min_size=4, max_size=4), texts)
def test_any_text_survives_the_tsv(
    tmp_path_factory: pytest.TempPathFactory, options: list[str], question: str
) -> None:
    folder = tmp_path_factory.mktemp("tsv")
    names = (*hrbench.COLUMNS, "image")
    with (folder / "hr_bench_4k.tsv").open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out, delimiter="\t", lineterminator="\n")
        table.writerow(names)
        table.writerow(["0", question, "A", "single", *options, "0", "QUJD" * 20_000])
    [row] = read_table(folder / "hr_bench_4k.tsv", hrbench.COLUMNS)
    assert [row.fields[letter] for letter in "ABCD"] == options
    assert row.fields["question"] == question
    assert row.picture is not None


def test_the_spec_names_what_was_published() -> None:
    assert isinstance(SPEC, DatasetSpec)
    assert SPEC.hub_id == "DreamMr/HR-Bench"
    assert SPEC.published_sizes == {"hrbench_4k": 800, "hrbench_8k": 800}


def test_an_empty_option_is_left_out(tmp_path: Path, genuine: Any) -> None:
    rows = genuine.hr_rows(1)
    for row in rows:
        [place] = [letter for letter in "ABCD" if row[letter] == "white"]
        row[place] = ""
    genuine.hr_tsv(tmp_path / "hr_bench_4k.tsv", rows)
    samples = list(SPEC.open("hrbench_4k", DataSource(str(tmp_path), "dataset")))
    assert samples[0].options == ("red", "blue", "green")
    assert {sample.answer for sample in samples} == {"red"}
    assert len({sample.cluster for sample in samples}) == 1
    for sample in samples:
        sample.picture.open()


@pytest.mark.parametrize("kind", ["tsv", "parquet"])
def test_a_row_may_name_another_for_its_picture(tmp_path: Path, genuine: Any, kind: str) -> None:
    """As VLMEvalKit writes tables: one before or after it."""
    rows = genuine.hr_rows(2)
    large = io.BytesIO()
    Image.effect_noise((400, 400), 90).convert("RGB").save(large, "PNG")
    rows[0]["image"] = base64.b64encode(large.getvalue()).decode()
    for place, named in ((1, "0"), (2, "7"), (3, "3"), (4, "1"), (5, "99")):
        rows[place]["image"] = named
    if kind == "tsv":
        genuine.hr_tsv(tmp_path / "hr_bench_4k.tsv", rows)
    else:
        table = {name: [row[name] for row in rows] for name in rows[0]}
        genuine.parquet(tmp_path / "hr_bench_4k.parquet", table)
    samples = list(SPEC.open("hrbench_4k", DataSource(str(tmp_path), "dataset")))
    first, last = samples[0].picture, samples[7].picture
    assert samples[1].picture.open().tobytes() == first.open().tobytes()
    assert samples[1].picture.digest() == first.digest() is not None
    assert samples[2].picture.open().tobytes() == last.open().tobytes()
    for place, named in ((3, "3"), (4, "1"), (5, "99")):
        with pytest.raises(RowError, match=f"is that of the row '{named}', which has none"):
            samples[place].picture.open()
        assert samples[place].picture.digest() is None


def test_line_ends_of_old_macs_are_named(tmp_path: Path, genuine: Any) -> None:
    genuine.hr_tsv(tmp_path / "hr_bench_4k.tsv", genuine.hr_rows(1), ending="\r")
    with pytest.raises(DataError, match="ends its lines with CR alone"):
        SPEC.check("hrbench_4k", DataSource(str(tmp_path)))


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1930000000\n"


@pytest.mark.parametrize("name", ["hr_bench_4k.tsv", "hr_bench_4k.parquet"])
def test_a_pointer_of_git_lfs_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(POINTER)
    with pytest.raises(DataError, match="only Git LFS's pointer is here"):
        SPEC.check("hrbench_4k", DataSource(str(tmp_path)))
