from __future__ import annotations

import json
from pathlib import Path

import pytest

from speceyes_cli.core.run.info import RunInfo, read_run_info, write_run_info


@pytest.mark.parametrize(
    ("agent", "options"),
    [
        ("thyme", {"agent": {"state": "fresh", "sandbox": "auto"}}),
        ("deepeyes", {}),  # it kept Thyme's settings too, which it never read
    ],
)
def test_a_run_of_version_1_is_still_read(
    tmp_path: Path, info: RunInfo, agent: str, options: dict[str, object]
) -> None:
    write_run_info(tmp_path, info)
    told = json.loads((tmp_path / "run.json").read_text())
    del told["config"]["answer_options"], told["config"]["time_options"]
    told["config"] |= {
        "agent": agent,
        "agent_settings": {"thyme_state": "fresh", "sandbox": "auto"},
    }
    told["schema_version"] = 1
    (tmp_path / "run.json").write_text(json.dumps(told))
    assert read_run_info(tmp_path).config.answer_options == options
