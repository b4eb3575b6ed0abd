"""A pipe in the place of a file is told: reading it would wait for a writer that never comes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.conftest import SCRIPTED

Start = Callable[..., subprocess.Popen[str]]
RESULT = "vstar_direct_attributes_DeepEyes-7B_baseline_1_None_None.jsonl"


@pytest.mark.parametrize(
    ("pipe", "arguments"),
    [
        ("run/run.json", ("gather", "run")),
        (f"eval_results/{RESULT}", ("gather", "eval_results")),
        ("eval_results/latency_summary.json", ("gather", "eval_results")),
        ("certificate.json", ("eval", *SCRIPTED, "--certificate", "certificate.json")),
        ("data/q.jsonl", ("data", "check", "jsonl", "--data", "data")),
        ("model/config.json", ("eval", *SCRIPTED, "--small", "model")),
        ("picture.png", ("infer", "picture.png", "What?", "--small", "scripted")),
    ],
)
def test_a_pipe_is_told(
    start: Start, tmp_path: Path, pipe: str, arguments: tuple[str, ...]
) -> None:
    (tmp_path / pipe).parent.mkdir(exist_ok=True)
    (tmp_path / "eval_results").mkdir(exist_ok=True)
    if pipe.endswith("summary.json"):
        (tmp_path / "eval_results" / RESULT).write_text('{"status": "ok"}\n')
    os.mkfifo(tmp_path / pipe)
    process = start(*arguments)
    try:
        _, told = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode in (1, 2), told
    assert "Traceback" not in told


def test_a_pipe_beside_a_benchmarks_pictures_is_a_broken_row(start: Start, tmp_path: Path) -> None:
    place = tmp_path / "direct_attributes"
    place.mkdir()
    os.mkfifo(place / "a.json")
    (place / "a.jpg").write_bytes(b"")
    process = start("data", "check", "vstar", "--data", ".", "--split", "direct_attributes")
    told, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
    assert "it is no file" in told + errors
