"""Which call, tool and picture belongs to which turn."""

from __future__ import annotations

from typing import Any

import pytest

from speceyes_cli.core.pictures.boxes import Fractions
from speceyes_cli.core.run.records import (
    CallNote,
    MessageNote,
    NativeCall,
    PictureNote,
    Record,
    ToolNote,
)
from speceyes_cli.view.reading import WholeRecord
from speceyes_cli.view.sample_page import SamplePage, describe
from tests.analysis.conftest import Spec, record_of


def call(text: str, phase: str = "agent", role: Any = "large") -> CallNote:
    return CallNote(role=role, phase=phase, text=text, tokens=3, finish="stop", seconds=0.5)


def tool(outcome: str = "ok", **arguments: Any) -> ToolNote:
    return ToolNote(
        name="zoom", arguments=arguments, outcome=outcome, text="t", notes=(), seconds=0.1
    )


def page_of(**changes: Any) -> SamplePage:
    record = record_of(0, Spec(), 0.98).model_copy(update=changes)
    Record.model_validate(record.model_dump())
    return describe(WholeRecord(record, record, {}))


def test_an_observation_takes_the_next_tool_and_an_error_only_its_own() -> None:
    shown = page_of(
        calls=(
            *(call("No.", "screen"), call("red", "draft", "small")),
            *(call("<think>hm</think> a"), call("b"), call("c"), call("d"), call("e")),
        ),
        tools=(
            tool(box=[0, 0, 500, 500], box_frame="relative"),
            tool("bad_box", box=[0, 0, 1, 1], box_frame="relative"),
            tool(box=[500, 500, 1000, 1000], box_frame="relative"),
        ),
        details={
            "turns": [
                {"outcome": "observation", "notes": []},
                {"outcome": "tool_error", "kind": "no_action"},  # nothing was run
                {"outcome": "tool_error", "kind": "bad_box"},
                {"outcome": "observation", "notes": []},
                {"outcome": "answer"},
            ]
        },
    )
    assert [turn.thought for turn in shown.turns] == ["hm", "", "", "", ""]
    assert [turn.text for turn in shown.turns] == ["a", "b", "c", "d", "e"]
    assert [[one.number for one in turn.tools] for turn in shown.turns] == [[0], [], [1], [2], []]
    assert [turn for turn, _ in shown.boxes] == [1, 3, 4]
    assert shown.screen is not None
    assert shown.screen.text == "No."


def test_a_step_is_shown_with_the_model_that_wrote_it() -> None:
    shown = page_of(
        calls=(
            *(call("small 1", "propose", "small"), call("9", "score")),
            *(call("small 2", "propose", "small"), call("2", "score"), call("large 2")),
            *(call("small 3", "propose", "small"), call("9", "score")),
        ),
        details={
            "turns": [
                {"outcome": "observation", "by": "small", "score": 9},
                {"outcome": "observation", "by": "large", "score": 2},
                {"outcome": "answer", "by": "small", "score": 9},
            ]
        },
    )
    assert [turn.text for turn in shown.turns] == ["small 1", "large 2", "small 3"]
    assert [turn.by for turn in shown.turns] == ["small", "large", "small"]


def test_pictures_stand_with_the_turn_that_asked_for_them() -> None:
    first, seen = (PictureNote(picture=name, width=8, height=8) for name in ("p", "seen"))
    question = MessageNote(role="user", content=(first, "?"))
    apart = (
        *(question, MessageNote(role="assistant", content=("a",))),
        *(MessageNote(role="user", content=("r", seen)),),
        MessageNote(role="assistant", content=("b",)),
    )
    within = (question, MessageNote(role="assistant", content=("a", "r", seen, "b")))
    for messages in (apart, within):
        shown = page_of(
            calls=(call("a"), call("b")),
            messages={"agent": messages},
            details={"turns": [{"outcome": "observation"}, {"outcome": "answer"}]},
        )
        assert shown.pictures == ["p", "seen"]
        assert [list(turn.pictures) for turn in shown.turns] == [[1], []]


def test_a_failed_sample_shows_what_its_models_said() -> None:
    shown = page_of(calls=(call("a"), call("b")), details={})
    assert [turn.text for turn in shown.turns] == ["a", "b"]
    assert page_of(calls=(), details={"turns": "damaged"}).turns == []


def test_a_box_within_a_crop_is_not_drawn_on_the_picture() -> None:
    seen = MessageNote(role="user", content=(PictureNote(picture="p", width=100, height=100),))
    shown = page_of(
        calls=(call("a"), call("b"), call("c")),
        tools=(
            tool(picture="p", box=[0.1, 0.1, 0.5, 0.5], box_frame="fractions", frame=None),
            tool(picture="crop 1", box=[0.1, 0.1, 0.5, 0.5], box_frame="fractions", frame=None),
        ),
        messages={"agent": (seen,)},
        details={"turns": [{"outcome": "observation", "notes": []}] * 2 + [{"outcome": "answer"}]},
    )
    assert shown.boxes == [(1, pytest.approx(Fractions(0.1, 0.1, 0.5, 0.5)))]


def test_every_call_of_a_turn_stands_with_it_and_what_the_model_wrote() -> None:
    calls = (NativeCall(name="zoom", arguments='{"box": 1}'), NativeCall(name="zoom", arguments=""))
    pictures = [PictureNote(picture=name, width=8, height=8) for name in ("p", "c1", "c2", "c3")]
    shown = page_of(
        calls=(
            call("").model_copy(update={"calls": calls}),
            *(call("look").model_copy(update={"calls": calls[1:]}), call("bad"), call("red")),
        ),
        tools=(
            tool(turn=0, picture="p", box=[0, 0, 0.5, 0.5], box_frame="fractions"),
            tool(turn=0, picture="p", box=[0.5, 0, 1, 1], box_frame="fractions"),
            tool("bad_box", turn=2, picture="p", box=[0, 0, 0, 0], box_frame="fractions"),
        ),
        messages={
            "agent": (
                MessageNote(role="user", content=(pictures[0], "?")),
                MessageNote(role="assistant", content=(), calls=calls),
                *(MessageNote(role="tool", content=(one,)) for one in pictures[1:3]),
                MessageNote(role="assistant", content=("look",), calls=calls[1:]),
                MessageNote(role="tool", content=("no",)),
                MessageNote(role="assistant", content=("bad",)),
                MessageNote(role="tool", content=("no",)),
                MessageNote(role="assistant", content=("red",)),
            )
        },
        details={
            "turns": [
                {"outcome": "observation", "calls": 2, "kinds": [], "notes": []},
                {"outcome": "tool_error", "calls": 1, "kinds": ["bad_box"], "notes": []},
                {"outcome": "tool_error", "calls": 1, "kinds": ["bad_box"], "notes": []},
                {"outcome": "answer"},
            ]
        },
    )
    assert [[one.number for one in turn.tools] for turn in shown.turns] == [[0, 1], [], [2], []]
    written = ['zoom {"box": 1}\nzoom', "look\nzoom", "bad", "red"]
    assert [turn.text for turn in shown.turns] == written
    assert [turn.kind for turn in shown.turns] == ["", "bad_box", "bad_box", ""]
    assert [list(turn.pictures) for turn in shown.turns] == [[1, 2], [], [], []]
    assert [turn for turn, _ in shown.boxes] == [1, 1]


def test_steps_of_the_small_model_are_shown_with_their_pictures_and_boxes() -> None:
    first, seen = (PictureNote(picture=name, width=100, height=100) for name in ("p", "crop"))
    question = MessageNote(role="user", content=(first, "?"))
    proposed = (
        *(question, MessageNote(role="assistant", content=("large 1",))),
        *(MessageNote(role="user", content=("r", seen)),),
        MessageNote(role="assistant", content=("small 2",)),
    )
    shown = page_of(
        calls=(
            *(call("small 1", "propose", "small"), call("2", "score"), call("large 1")),
            *(call("small 2", "propose", "small"), call("9", "score")),
        ),
        tools=(
            tool(picture="p", box=[20, 20, 60, 60], box_frame="pixels", frame=[100, 100]),
            tool(picture="crop", box=[0, 0, 500, 500], box_frame="relative", frame=[80, 80]),
        ),
        messages={
            "agent": (question, MessageNote(role="assistant", content=("large 1",))),
            "propose": proposed,
        },
        details={
            "turns": [
                {"outcome": "observation", "by": "large", "score": 2},
                {"outcome": "observation", "by": "small", "score": 9},
            ]
        },
    )
    assert [list(turn.pictures) for turn in shown.turns] == [[1], []]
    assert shown.boxes == [(1, pytest.approx(Fractions(0.2, 0.2, 0.6, 0.6)))]
    alone = page_of(tools=shown.record.tools, messages={"propose": proposed}, calls=(), details={})
    assert alone.record.conversation == proposed


def test_a_box_is_not_measured_against_what_another_model_saw() -> None:
    seen = MessageNote(role="user", content=(PictureNote(picture="p", width=100, height=100),))
    shown = page_of(
        calls=(call("a", "propose", "small"), call("9", "score"), call("b")),
        tools=(tool(picture="p", box=[10, 10, 50, 50], box_frame="pixels", frame=None),),
        messages={"agent": (seen, seen, seen), "propose": (seen, seen)},
        details={"turns": [{"outcome": "observation", "by": "small"}, {"outcome": "answer"}]},
    )
    assert shown.boxes == []
