from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speceyes_cli.core.errors import DataError
from speceyes_cli.core.run.info import RunConfig, RunInfo, default_name, read_run_info
from speceyes_cli.core.run.records import Record
from speceyes_cli.core.run.store import RunStore, SampleKey, open_store, read_run

MakeRecord = Callable[..., Record]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "mine"


def begin(folder: Path, info: RunInfo, **changes: object) -> RunStore:
    config = info.config.model_copy(update=changes)
    return open_store(folder, info.model_copy(update={"config": config}), "resume")


def test_what_is_added_is_there(folder: Path, info: RunInfo, make_record: MakeRecord) -> None:
    with begin(folder, info) as store:
        store.add(make_record("b", position=1))
        store.add(make_record("a", position=0))
        store.add(make_record("c", "other", ok=False))
        assert store.done() == {
            SampleKey("test", "a"): "large",
            SampleKey("test", "b"): "large",
            SampleKey("other", "c"): "error",
        }
        assert [record.sample_id for record in store.records()] == ["a", "b", "c"]
    read, records = read_run(folder)
    assert [record.sample_id for record in records] == ["a", "b", "c"]
    assert read.name == "mine"


def test_a_finished_sample_is_never_written_twice(
    folder: Path, info: RunInfo, make_record: MakeRecord
) -> None:
    with begin(folder, info) as store:
        store.add(make_record("a", text="first"))
        with pytest.raises(RuntimeError, match="already has an answer"):
            store.add(make_record("a", text="second"))
        assert [record.text for record in store.records()] == ["first"]


def test_records_added_together_are_kept_all_or_none(
    folder: Path, info: RunInfo, make_record: MakeRecord
) -> None:
    with begin(folder, info) as store:
        store.add(make_record("a"))
        with pytest.raises(RuntimeError, match="a already has an answer"):
            store.add(make_record("b", position=1), make_record("a", text="second"))
        assert list(store.done()) == [SampleKey("test", "a")]
        store.add(make_record("b", position=1), make_record("c", position=2))
    assert [record.sample_id for record in read_run(folder)[1]] == ["a", "b", "c"]


def test_an_error_gives_way_to_a_later_try(
    folder: Path, info: RunInfo, make_record: MakeRecord
) -> None:
    with begin(folder, info) as store:
        store.add(make_record("a", ok=False))
        store.add(make_record("a", ok=False))
        store.add(make_record("a"))
        assert [record.route for record in store.records()] == ["large"]


def test_a_run_goes_on(folder: Path, info: RunInfo, make_record: MakeRecord) -> None:
    with begin(folder, info) as store:
        store.add(make_record("a"))
        store.update(status="interrupted", active_seconds=7.0)
    with begin(folder, info) as store:
        assert store.info.active_seconds == 7.0
        assert store.info.status == "running"
        store.add(make_record("b", position=1))
        assert len(store.done()) == 2


def test_fresh_begins_anew_even_with_another_configuration(
    folder: Path, info: RunInfo, make_record: MakeRecord
) -> None:
    with begin(folder, info) as store:
        store.add(make_record("a"))
        store.export()
    other = info.model_copy(update={"config": info.config.model_copy(update={"threshold": 0.5})})
    with open_store(folder, other, "fresh") as store:
        assert store.done() == {}
        assert not (folder / "records.jsonl").exists()
    assert read_run_info(folder).config.threshold == 0.5


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"threshold": 0.5}, "threshold (then 0.98, now 0.5)"),
        ({"splits": ("test",)}, "splits"),
        ({"prompt_hashes": {"agent": "z", "draft": "d", "screen": "s"}}, "prompt_hashes.agent"),
        ({"small": "another"}, "small (then 's', now 'another')"),
        ({"model_digests": {"small": "2"}}, "small (then 's', now '2')"),
    ],
)
def test_another_configuration_is_refused_by_its_field(
    folder: Path, info: RunInfo, change: dict[str, object], told: str
) -> None:
    begin(folder, info).close()
    with pytest.raises(DataError, match="made by another configuration") as caught:
        begin(folder, info, **change)
    assert told in str(caught.value)
    assert "--fresh" in str(caught.value)
    begin(folder, info).close()


def test_data_and_models_at_another_path_are_the_same(folder: Path, info: RunInfo) -> None:
    known = {"data_fingerprint": {"test": "1", "other": "2"}, "model_digests": {"small": "d"}}
    begin(folder, info, **known, data="here", small="models/a").close()
    with begin(folder, info, **known, data="there", small="elsewhere/a") as store:
        assert (store.info.config.data, store.info.config.small) == ("there", "elsewhere/a")
        store.bind_engines({"small": {"model": "elsewhere/a", "revision": "1"}})
        store.bind_engines({"small": {"model": "models/a", "revision": "1"}})


def test_a_name_follows_contents_not_paths(config: RunConfig) -> None:
    def name(**changes: object) -> str:
        return default_name(config.model_copy(update=changes))

    known = {"data_fingerprint": {"test": "1", "other": "2"}, "model_digests": {"small": "d"}}
    assert name(**known, data="a", small="b") == name(**known, data="c", small="d")
    assert name(data="a") != name(data="c"), "without a fingerprint the path tells data apart"
    assert name(small="a") != name(small="c"), "without a digest the name tells models apart"
    assert name(**known) != name(**known | {"model_digests": {"small": "e"}})
    assert name(**known) != name(**known | {"data_fingerprint": {"test": "1", "other": "3"}})


def test_another_engine_is_refused_by_its_field(folder: Path, info: RunInfo) -> None:
    with begin(folder, info) as store:
        store.bind_engines({"large": {"revision": "1", "pixels": (28, 56)}})
    with begin(folder, info) as store:
        store.bind_engines({"large": {"revision": "1", "pixels": (28, 56)}})
        with pytest.raises(DataError, match=r"large\.revision \(then '1', now '2'\)"):
            store.bind_engines({"large": {"revision": "2", "pixels": (28, 56)}})


def test_one_process_at_a_time(folder: Path, info: RunInfo) -> None:
    with begin(folder, info), pytest.raises(DataError, match="in use by another run"):
        begin(folder, info)
    begin(folder, info).close()


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, info: RunInfo) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    for mode in ("resume", "fresh"):
        with pytest.raises(DataError, match=r"not a run folder: it holds 'thesis\.tex'"):
            open_store(tmp_path, info, mode)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_an_unwritable_place(tmp_path: Path, info: RunInfo, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        begin(tmp_path / place, info)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path: Path, info: RunInfo) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match="cannot be written"):
        begin(tmp_path / "run", info)


def test_a_full_disk_keeps_what_is_finished(
    folder: Path, info: RunInfo, make_record: MakeRecord
) -> None:
    with begin(folder, info) as store:
        store.add(make_record("a"))
        pages = store._database.execute("PRAGMA page_count").fetchone()[0]
        store._database.execute(f"PRAGMA max_page_count = {pages}")

        def add_until_full() -> None:
            for number in range(100):
                store.add(make_record(f"b{number}"))

        with pytest.raises(DataError, match="full; free some space"):
            add_until_full()
        store._database.execute("PRAGMA max_page_count = 100000")
        kept = len(store.done())
    with begin(folder, info) as store:
        assert len(store.done()) == kept >= 1
        assert SampleKey("test", "a") in store.done()


def test_a_full_disk_is_told_by_the_other_files_too(
    folder: Path, info: RunInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with begin(folder, info) as store:
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(DataError, match="No space left on device; free some space"):
            store.update(status="finished")
        monkeypatch.undo()
    assert read_run_info(folder).status == "running"


def test_the_export_is_whole_and_in_order(
    folder: Path, info: RunInfo, make_record: MakeRecord
) -> None:
    with begin(folder, info) as store:
        for position in (2, 0, 1):
            store.add(make_record(f"s{position}", position=position))
        path = store.export()
        lines = path.read_text().splitlines()
        assert [Record.model_validate_json(line).position for line in lines] == [0, 1, 2]
        store.add(make_record("s3", position=3))
        store.export()
        assert len(path.read_text().splitlines()) == 4
    assert not list(folder.glob(".*.new"))


def test_a_torn_export_is_no_loss(folder: Path, info: RunInfo, make_record: MakeRecord) -> None:
    with begin(folder, info) as store:
        store.add(make_record("a"))
        path = store.export()
        whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with begin(folder, info) as store:
        assert store.export().read_bytes() == whole


def test_a_torn_log_loses_no_earlier_sample(
    folder: Path, info: RunInfo, make_record: MakeRecord, tmp_path: Path
) -> None:
    with begin(folder, info) as store:
        for number in range(5):
            store.add(make_record(f"s{number}", position=number))
        copy = tmp_path / "copy"
        copy.mkdir()
        for name in ("run.json", "run.sqlite", "run.sqlite-wal"):
            (copy / name).write_bytes((folder / name).read_bytes())
    log = copy / "run.sqlite-wal"
    log.write_bytes(log.read_bytes()[:-700])
    with open_store(copy, info, "resume") as store:
        assert [record.sample_id for record in store.records()] == [f"s{n}" for n in range(4)]
        store.add(make_record("s4", position=4))


def test_damage_is_told_in_a_sentence(folder: Path, info: RunInfo, make_record: MakeRecord) -> None:
    with begin(folder, info) as store:
        store.add(make_record("a"))
    (folder / "run.sqlite").write_bytes(b"not a database at all, but long enough" * 20)
    with pytest.raises(DataError, match="damaged: eval --fresh"):
        begin(folder, info)
    with pytest.raises(DataError, match="damaged"):
        read_run(folder)
    (folder / "run.json").write_text('{"schema_version": 1, "na')
    with pytest.raises(DataError, match=r"run\.json is damaged"):
        begin(folder, info)
    with open_store(folder, info, "fresh") as store:
        assert store.done() == {}


def test_a_run_can_be_read_while_it_is_written(
    folder: Path, info: RunInfo, make_record: MakeRecord
) -> None:
    with begin(folder, info) as store:
        store.add(make_record("a"))
        assert len(read_run(folder)[1]) == 1
        store.add(make_record("b"))
        assert len(read_run(folder)[1]) == 2


def test_a_finished_run_is_one_database_file_and_readable_without_it(
    folder: Path, info: RunInfo, make_record: MakeRecord
) -> None:
    with begin(folder, info) as store:
        store.add(make_record("a", text="next line \x85 and \u2028"))
        store.export()
    assert sorted(path.name for path in folder.iterdir()) == [
        "records.jsonl",
        "run.json",
        "run.lock",
        "run.sqlite",
    ]
    (folder / "run.sqlite").unlink()
    assert [record.sample_id for record in read_run(folder)[1]] == ["a"]


def test_a_run_killed_before_its_first_record_can_be_read(folder: Path, info: RunInfo) -> None:
    begin(folder, info).close()
    sqlite3.connect(folder / "run.sqlite").execute("DROP TABLE records").connection.close()
    assert read_run(folder)[1] == []


def test_where_no_log_can_be_kept_the_journal_serves(
    folder: Path, info: RunInfo, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sqlite3.connect

    class NoLog(sqlite3.Connection):
        def execute(self, statement: str, *rest: object) -> sqlite3.Cursor:  # type: ignore[override]
            if statement.endswith("= WAL"):
                raise sqlite3.OperationalError("locking protocol")
            return super().execute(statement, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: real(*a, **{**k, "factory": NoLog}))
    with begin(folder, info) as store:
        store.add(make_record("a"))
        assert store._database.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert store._database.execute("PRAGMA synchronous").fetchone() == (2,)
    assert len(read_run(folder)[1]) == 1


def test_every_commit_reaches_the_disk(folder: Path, info: RunInfo) -> None:
    with begin(folder, info) as store:
        assert store._database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert store._database.execute("PRAGMA synchronous").fetchone() == (2,)


def test_the_lock_ends_with_its_process(folder: Path, info: RunInfo) -> None:
    begin(folder, info).close()
    hold = """
import fcntl, sys
lock = open(sys.argv[1], "a")
fcntl.flock(lock, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, str(folder / "run.lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(DataError, match="in use"):
            begin(folder, info)
        holder.kill()
    begin(folder, info).close()


operations = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from(["test", "other"]), st.booleans()),
    max_size=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=operations, reopen=st.sets(st.integers(0, 11)))
def test_the_store_is_a_dictionary_in_which_answers_stay(
    tmp_path_factory: pytest.TempPathFactory,
    info: RunInfo,
    make_record: MakeRecord,
    operations: list[tuple[str, str, bool]],
    reopen: set[int],
) -> None:
    folder = tmp_path_factory.mktemp("store") / "run"
    model: dict[tuple[str, str], str] = {}
    store = open_store(folder, info, "resume")
    for step, (sample_id, split, ok) in enumerate(operations):
        if step in reopen:
            store.close()
            store = open_store(folder, info, "resume")
        record = make_record(sample_id, split, ord(sample_id), ok=ok)
        if model.get((split, sample_id)) == "large":
            with pytest.raises(RuntimeError):
                store.add(record)
        else:
            store.add(record)
            model[split, sample_id] = record.route
        assert {tuple(key): route for key, route in store.done().items()} == model
    store.close()
