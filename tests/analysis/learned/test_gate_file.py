from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from speceyes_cli.analysis.learned.gate_file import read_gate, require_gate_engine
from speceyes_cli.analysis.signed_files import digest_of, write_signed
from speceyes_cli.core.errors import DataError, UsageError
from speceyes_cli.core.gate.token import TokenScore
from tests.analysis.learned.conftest import ENGINE, make_gate


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_signed(tmp_path / "gate.json", make_gate())
    return tmp_path / "gate.json"


def test_it_is_read_as_it_was_written(path: Path) -> None:
    gate = read_gate(path)
    assert gate == make_gate()
    assert gate.name == f"learned-{gate.digest[:8]}"
    sure = gate.score([TokenScore(5.0, -0.1, 4.0, 0.1), TokenScore(5.0, -0.1, 6.0, 0.1)])
    assert sure == pytest.approx(1 / (1 + math.exp(1 - 0.5 * 4)))


def test_another_model_has_another_name() -> None:
    assert make_gate(intercept=-2.0).name != make_gate().name


@pytest.mark.parametrize(
    "change",
    [{"intercept": 5.0}, {"coefficients": {"least_margin": 9.0}}, {"engine": {}}, {"run": "s"}],
)
def test_an_edited_file_is_refused(path: Path, change: dict[str, Any]) -> None:
    fields = json.loads(path.read_text())
    path.write_text(json.dumps({**fields, **change}))
    with pytest.raises(DataError, match="was changed after it was made"):
        read_gate(path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"coefficients": {"charm": 1.0}}, "there is no feature 'charm'"),
        ({"coefficients": {}}, "no feature"),
        ({"coefficients": {"least_margin": -1.0}}, "least_margin has a coefficient below 0"),
        ({"intercept": "much"}, "intercept"),
        ({"schema_version": 2}, "schema_version"),
        ({"kind": "cookbook"}, "kind"),
        ({"extra": 1}, "extra"),
    ],
)
def test_a_file_that_was_signed_but_is_none(path: Path, change: dict[str, Any], told: str) -> None:
    fields = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps({**fields, "digest": digest_of(fields)}))
    with pytest.raises(DataError, match=told):
        read_gate(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"intercept": NaN}'])
def test_files_that_are_no_gates(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DataError, match="is no learned gate of this version"):
        read_gate(tmp_path / "x.json")
    with pytest.raises(DataError, match="There is no learned gate"):
        read_gate(tmp_path / "y.json")


@pytest.mark.parametrize(
    ("engine", "told"),
    [
        ({**ENGINE, "revision": "2"}, r"small.revision \(fitted on: '1', here: '2'\)"),
        ({**ENGINE, "engine": "openai"}, r"small.engine \(fitted on: 'scripted', here: 'openai'\)"),
        ({**ENGINE, "dtype": "bfloat16"}, "small.dtype"),
    ],
)
def test_another_engine_is_refused(engine: dict[str, Any], told: str) -> None:
    require_gate_engine(make_gate(), {"small": {**ENGINE, "model": "moved", "batch_size": 3}})
    require_gate_engine(make_gate(), {})
    with pytest.raises(UsageError, match=told):
        require_gate_engine(make_gate(), {"small": engine})
