"""The benchmarks through the real program, with an engine that answers by rule."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from speceyes_datasets import pope
from typer.testing import CliRunner

from speceyes_cli.app import build_app
from speceyes_cli.core.run.evaluate import unfinished
from speceyes_cli.core.run.store import SampleKey
from speceyes_cli.host.manager import Host
from speceyes_cli.host.specs import DataSource

Program = Callable[..., Any]
SCRIPTED = ("--small", "scripted", "--large", "scripted", "--agent", "looker", "--method", "draft")


def records(folder: Path) -> dict[str, dict[str, Any]]:
    lines = (folder / "records.jsonl").read_text().splitlines()
    return {f"{r['split']}/{r['sample_id']}": r for r in map(json.loads, lines)}


@pytest.fixture
def program(host: Host) -> Program:
    return lambda *arguments: CliRunner().invoke(build_app(host), [*arguments], obj=host)


@pytest.fixture
def places(tmp_path: Path, genuine: Any) -> dict[str, Path]:
    """Every benchmark in a folder of its own, one row of each broken."""
    for name in ("hrbench", "jsonl"):
        (tmp_path / name).mkdir()
    genuine.vstar(tmp_path / "vstar")
    (tmp_path / "vstar" / "direct_attributes" / "sa_9.jpg").write_bytes(b"no picture")
    rows = genuine.hr_rows()
    rows[3]["image"] = ""
    genuine.hr_tsv(tmp_path / "hrbench" / "hr_bench_4k.tsv", rows)
    rows = genuine.pope_rows()
    rows[5]["answer"] = "perhaps"
    genuine.pope(tmp_path / "pope", rows)
    (tmp_path / "jsonl" / "a.jpg").write_bytes(genuine.picture())
    lines = [{"image": "a.jpg", "question": f"What is {n}?", "answer": "red"} for n in range(3)]
    genuine.lines(tmp_path / "jsonl" / "q.jsonl", [*lines, "broken"])
    return {name: tmp_path / name for name in ("vstar", "hrbench", "pope", "jsonl")}


@pytest.mark.parametrize(
    ("dataset", "split", "samples"),
    [
        ("vstar", "all", 5),
        ("hrbench", "hrbench_4k", 8),
        ("pope", "adversarial", 12),
        ("jsonl", "all", 4),
    ],
)
def test_a_bad_row_is_an_error_record_and_the_run_goes_on(
    program: Program, places: dict[str, Path], dataset: str, split: str, samples: int
) -> None:
    arguments = ("eval", "--dataset", dataset, "--split", split, *SCRIPTED)
    out = places[dataset] / "run"
    data = str(places[dataset])
    done = program(*arguments, "--data", data, "--out", str(out), "--json", "--limit", "3")
    assert done.exit_code in (0, 1), done.stderr
    whole = json.loads(done.stdout)[-1]["n"]
    done = program(*arguments, "--data", data, "--out", f"{out}2", "--json")
    assert done.exit_code == 1, "a failed sample" + done.stderr
    total = json.loads(done.stdout)[-1]
    assert (total["n"], total["n_error"]) == (samples, 1)
    found = records(Path(f"{out}2"))
    assert len(found) == samples >= whole
    [bad] = [record for record in found.values() if record["error"]]
    assert bad["error"]["kind"] in ("PictureError", "RowError")
    assert any(word in bad["error"]["text"] for word in ("sa_9", "line 5", "row 6", "line 4"))


def test_metrics_of_the_datasets_reach_the_table(program: Program, places: dict[str, Path]) -> None:
    for dataset, split, names in (
        ("hrbench", "hrbench_4k", {"single", "cross", "all"}),
        ("pope", "random", {"accuracy", "recall"}),
    ):
        arguments = ("eval", "--dataset", dataset, "--split", split, *SCRIPTED, "--json")
        done = program(
            *arguments, "--data", str(places[dataset]), "--out", str(places[dataset] / "r")
        )
        assert names <= set(json.loads(done.stdout)[-1]["metrics"]), done.stderr


def test_what_is_left_is_told_by_id_whatever_the_order(places: dict[str, Path]) -> None:
    [spec] = pope.speceyes_datasets()
    samples = list(spec.open("random", DataSource(str(places["pope"]))))
    done = {SampleKey("random", sample.id): "small" for sample in samples[3:8]}
    left = unfinished(reversed(samples), done, retry_errors=False)
    assert [placed.sample.id for placed in left] == ["11", "10", "9", "8", "2", "1", "0"]


HUB = """
from speceyes_cli.core.errors import DataError
from speceyes_cli.host.specs import DataSource
from speceyes_datasets import pope

[spec] = pope.speceyes_datasets()
source = DataSource("hub")
spec.check("random", source)
print(len(list(spec.open("random", source))), spec.fingerprint("random", source))
try:
    spec.check("random", DataSource("hub@0123456"))
except DataError as error:
    print(error)
"""


def test_the_hub_is_read_at_a_pinned_revision(tmp_path: Path, genuine: Any) -> None:
    """Offline, from a cache laid out as the hub's own library does."""
    revision = pope.ORIGIN.revision
    genuine.pope(tmp_path / "datasets--lmms-lab--POPE" / "snapshots" / revision)
    done = subprocess.run(
        [sys.executable, "-c", HUB],
        env={**os.environ, "HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    [count, fingerprint] = lines[0].split()
    [spec] = pope.speceyes_datasets()
    local = tmp_path / "datasets--lmms-lab--POPE" / "snapshots" / revision
    assert count == "12"
    assert fingerprint == spec.fingerprint("random", DataSource(str(local)))
    told = "POPE is not in the hub's cache at 0123456, and HF_HUB_OFFLINE is set; "
    assert lines[1].startswith(told)
