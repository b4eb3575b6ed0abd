from __future__ import annotations

from typing import Any

from speceyes_cli.commands.run_notes import tool_error_note
from speceyes_cli.core.chat import Answer, Observation, ToolError, ToolResults
from speceyes_cli.core.methods.policies import turn_note
from speceyes_cli.core.run.records import Record


def record(*outcomes: Any) -> Record:
    return Record.model_construct(details={"turns": [turn_note(one) for one in outcomes]})


def test_errors_of_tools_are_counted_by_kind_in_either_form() -> None:
    wrong, missing = ToolError("wrong_frame", "x"), ToolError("no_picture", "x")
    records = [
        record(wrong, Observation(("x",)), Answer("red", "large")),
        record(ToolResults((wrong, Observation(("x",)), missing)), wrong),
        Record.model_construct(details={}),
    ]
    assert tool_error_note(records) == (
        "4 tool errors were told to the model: wrong_frame 3, no_picture 1."
    )
    assert tool_error_note([record(Observation(("x",)), Answer("red", "large"))]) is None
