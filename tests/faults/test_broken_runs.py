"""A run that is busy, empty or broken keeps no other from being read, judged or reported."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from speceyes_cli.app import build_app
from speceyes_cli.core.errors import DataError
from speceyes_cli.core.judging.judging import open_judging
from speceyes_cli.core.run.info import RunInfo, describe_run, write_run_info
from speceyes_cli.core.run.store import open_store, read_done, read_run, take_lock
from speceyes_cli.host.manager import Host
from tests.faults.conftest import SCRIPTED
from tests.run_config import CONFIG

Invoke = Callable[..., Result]
COMMANDS = (
    ("gather", "runs", "--json"),
    ("judge", "runs", "--judge", "rules", "--json"),
    ("analyze", "report", "runs"),
)


@pytest.fixture
def invoke(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(build_app(host), [*arguments], obj=host)


@pytest.fixture
def broken(invoke: Invoke, tmp_path: Path) -> Path:
    """runs/good beside runs that are not; gives the folder of those."""
    for name in ("good", "empty", "flipped", "json", "torn"):
        done = invoke("eval", *SCRIPTED, "--limit", "3", "--out", f"runs/{name}")
        assert done.exit_code == 0, done.stderr
    runs = tmp_path / "runs"
    for name in ("run.sqlite", "records.jsonl"):
        (runs / "empty" / name).unlink()
    database = runs / "flipped" / "run.sqlite"
    whole = bytearray(database.read_bytes())
    for place in range(0, len(whole), 97):
        whole[place] ^= 0xFF
    database.write_bytes(whole)
    (runs / "json" / "run.json").write_text('{"schema_version": [')
    (runs / "torn" / "run.sqlite").unlink()
    (runs / "torn" / "records.jsonl").write_bytes(b'{"a": "\xff"}\n')
    return runs


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.usefixtures("broken")
def test_the_others_go_on_and_the_broken_ones_are_named(
    invoke: Invoke, command: tuple[str, ...]
) -> None:
    done = invoke(*command)
    assert done.exit_code == (1 if command[0] == "judge" else 0), done.stderr
    assert done.exception is None or isinstance(done.exception, SystemExit)
    left = done.stderr.splitlines()
    assert all("left out: " in line for line in left if line.startswith("speceyes: "))
    for name in ("flipped", "json", "torn"):
        assert any(f"runs/{name}" in line for line in left), name
    if "--json" in command:
        rows = json.loads(done.stdout)
        assert {row["run"] for row in rows if "run" in row} <= {"good", "empty"}
        assert rows


@pytest.mark.parametrize("command", COMMANDS)
def test_alone_a_broken_run_is_an_error(
    invoke: Invoke, broken: Path, command: tuple[str, ...]
) -> None:
    done = invoke(*(part.replace("runs", str(broken / "json")) for part in command))
    assert done.exit_code == 2
    assert "run.json is damaged" in done.stderr


def test_a_busy_run_is_left_out_by_the_judge_and_read_by_the_others(
    invoke: Invoke, tmp_path: Path
) -> None:
    for name in ("good", "busy"):
        invoke("eval", *SCRIPTED, "--limit", "3", "--out", f"runs/{name}")
    with take_lock(tmp_path / "runs" / "busy"):
        judged = invoke("judge", "runs", "--judge", "rules", "--json")
        gathered = invoke("gather", "runs", "--json")
    assert [row["run"] for row in json.loads(judged.stdout)] == ["good"]
    assert "runs/busy is in use by another run; wait for it." in judged.stderr
    assert "--out" not in judged.stderr
    assert {row["run"] for row in json.loads(gathered.stdout)} == {"good", "busy"}


@pytest.mark.parametrize("seed", range(40))
def test_a_database_with_flipped_bytes_is_read_or_named(
    tmp_path: Path, database: bytes, info: RunInfo, seed: int
) -> None:
    """Reading, going on and judging end in order or in a sentence."""
    chance = random.Random(seed)
    damaged = bytearray(database)
    for _ in range(chance.choice((1, 3, 30))):
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.sqlite").write_bytes(damaged)
    write_run_info(folder, info)

    def go_on() -> None:
        with open_store(folder, info, "resume") as store:
            store.done()
            store.digests()
            list(store.records())
            store.export()

    def judge() -> None:
        with open_judging(folder) as judging:
            judging.claims()
            judging.export()

    for use in (lambda: read_run(folder), lambda: read_done(folder), judge, go_on):
        with contextlib.suppress(DataError):
            use()


@pytest.fixture(scope="session")
def database(host: Host, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The database of a judged run."""
    run = tmp_path_factory.mktemp("whole") / "run"
    for arguments in (
        ("eval", *SCRIPTED, "--out", str(run)),
        ("judge", str(run), "--judge", "rules"),
    ):
        assert CliRunner().invoke(build_app(host), [*arguments], obj=host).exit_code == 0
    return (run / "run.sqlite").read_bytes()


@pytest.fixture
def info() -> RunInfo:
    config = CONFIG.model_copy(update={"splits": ("near", "far")})
    return describe_run(config, {}, ())
