"""What is kept of a run's records, however they came."""

from __future__ import annotations

import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from speceyes_cli.core.run.records import Record
from speceyes_cli.core.run.store import DATABASE, EXPORT, SampleKey, open_store
from speceyes_cli.core.tables.summaries import load_run, summarize
from speceyes_cli.view.figures import loaded_run
from speceyes_cli.view.reading import RunReader, read_bodies, read_whole, search
from speceyes_cli.view.record_index import ROW, RecordIndex
from tests.analysis.conftest import Spec, run_of
from tests.serve.conftest import eventually
from tests.view.conftest import WriteRun, judge

SPECS = st.lists(
    st.builds(
        Spec,
        score=st.one_of(st.none(), st.floats(0.01, 0.99)),
        draft_right=st.booleans(),
        agent_right=st.booleans(),
        passed=st.booleans(),
        cluster=st.sampled_from([None, "a", "b"]),
        split=st.sampled_from(["test", "other"]),
        failed=st.booleans(),
        one_branch=st.booleans(),
        truth=st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


def by_sample(index: RecordIndex) -> dict[tuple[str, str], tuple[object, ...]]:
    names = index.split_names
    fields = [name for name in ROW.names or () if name not in ("place", "provenance", "cluster")]
    return {
        (names[row["split"]], name): tuple(
            str(names[row["split"]]) if field == "split" else np.nan_to_num(row[field]).item()
            for field in fields
        )
        for row, name in zip(index.rows, index.sample_ids, strict=True)
    }


@settings(max_examples=15)
@given(specs=SPECS, cut=st.integers(0, 12), baseline=SPECS)
def test_a_growing_run_is_read_as_a_finished_one_and_has_the_figures_of_every_table(
    specs: list[Spec], cut: int, baseline: list[Spec]
) -> None:
    run = run_of(specs)
    with TemporaryDirectory() as place:
        folder = Path(place) / "run"
        reader = RunReader(folder)
        with open_store(folder, run.info, "fresh") as store:
            store.add(*run.records[:cut])
            reader.refresh()
            assert len(reader.index) == len(run.records[:cut])
            store.add(*run.records[cut:])
            reader.refresh()
            store.export()
        again = RunReader(folder)
        again.refresh()
        assert not again.refresh()  # nothing is new
        assert by_sample(reader.index) == by_sample(again.index)
        assert reader.info is not None
        light = loaded_run(folder, reader.info, reader.index)
        other = run_of(baseline, method="baseline")
        for against in (None, other):
            expected = [
                row.model_copy(update={"answers_by_letter": {}, "right_by_letter": {}})
                for row in summarize(load_run(folder), against)
            ]
            assert summarize(light, against) == expected
        (folder / DATABASE).unlink()
        reader.refresh()
        assert by_sample(reader.index) == by_sample(again.index)


def test_an_error_that_gave_way_and_a_run_begun_anew_are_seen(tmp_path: Path) -> None:
    run = run_of([Spec(failed=True), Spec(), Spec(failed=True)])
    better = run_of([Spec(), Spec(), Spec()])
    reader = RunReader(tmp_path)
    with open_store(tmp_path, run.info, "fresh") as store:
        store.add(*run.records)
        reader.refresh()
        assert (reader.index.rows["route"] == 2).sum() == 2
        store.add(better.records[0])
        reader.refresh()
        assert (reader.index.rows["route"] == 2).sum() == 1
        store.drop([SampleKey("test", "s1")])
        reader.refresh()
        assert sorted(reader.index.sample_ids) == ["s0", "s2"]
    with open_store(tmp_path, run.info, "fresh") as store:
        store.add(better.records[2])
        reader.refresh()
        assert reader.index.sample_ids == ("s2",)


def test_a_judge_has_the_last_word(write_run: WriteRun) -> None:
    folder = write_run("a", [Spec(agent_right=False, score=0.1), Spec()])
    reader = RunReader(folder)
    reader.refresh()
    assert reader.index.rows["right"].tolist() == [0, 1]
    judge(folder, "s0")
    reader.refresh()
    assert reader.index.rows["right"].tolist() == [1, 1]
    place = int(reader.index.rows["place"][0])
    whole = read_whole(folder, place)
    assert whole.record.verdict is not None
    assert whole.rule.verdict is not None
    assert (whole.record.verdict.right, whole.rule.verdict.right) == (True, False)
    assert [one.reply for one in whole.judged.values()] == ["1"]


def test_what_cannot_be_read_is_told_until_it_can(write_run: WriteRun, tmp_path: Path) -> None:
    folder = write_run("a", [Spec(), Spec()])
    database = (folder / DATABASE).read_bytes()
    reader = RunReader(folder)
    for damaged, told in (
        (b"no database at all, but long enough to be looked at" * 40, "database"),
        (
            database.replace(b'"phase_seconds"', b'"phase_secondz"'),
            "cannot be read by this version",
        ),
    ):
        (folder / DATABASE).write_bytes(damaged)
        reader.refresh()
        assert told in reader.problem
        assert len(reader.index) == 0
    (folder / DATABASE).write_bytes(database)
    reader.refresh()
    assert (reader.problem, len(reader.index)) == ("", 2)
    elsewhere = tmp_path / "elsewhere.sqlite"
    (folder / DATABASE).rename(elsewhere)
    (folder / DATABASE).symlink_to(elsewhere)
    reader.refresh()
    assert "a link out of the run's folder" in reader.problem


def test_records_are_found_by_their_texts(write_run: WriteRun) -> None:
    words = ["Ein Käfer?", 'She said "hi"\n', "plain", "ÜBER"]

    def ask(record: Record) -> Record:
        return record.model_copy(update={"question": words[record.position]})

    folder = write_run("a", [Spec() for _ in words], ask)
    for database in (True, False):
        if not database:
            (folder / DATABASE).unlink()
        reader = RunReader(folder)
        reader.refresh()
        places = reader.index.rows["place"].tolist()
        bodies = read_bodies(folder, places)
        assert [bodies[place]["question"] for place in places] == words
        for text, found in (("käfer", 0), ('"HI"', 1), ("PLAIN", 2), ("über", 3)):
            assert search(folder, text) == {places[found]}
        assert search(folder, "phase_seconds") == set()
    assert (folder / EXPORT).exists()


def test_nothing_is_missed_of_a_run_that_is_just_being_written(tmp_path: Path) -> None:
    """SQLite's files change a moment before a reader may see what was written."""
    run = run_of([Spec()] * 3)
    for number in range(12):
        folder = tmp_path / str(number)
        folder.mkdir()
        reader, stop = RunReader(folder), threading.Event()

        def look(reader: RunReader = reader, stop: threading.Event = stop) -> None:
            while not stop.is_set():
                reader.refresh()

        thread = threading.Thread(target=look)
        thread.start()
        try:
            with open_store(folder, run.info, "fresh") as store:
                store.add(*run.records)
                assert eventually(lambda reader=reader: len(reader.index) == 3, 5.0)
        finally:
            stop.set()
            thread.join()
