from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from speceyes_cli import Cascade, Decision, SpecEyesError, answer, samples
from speceyes_cli.api.decision import box_on, drawn
from speceyes_cli.app import build_app
from speceyes_cli.core.run.records import MessageNote, PictureNote, ToolNote
from speceyes_cli.host.manager import Host

SCRIPTED = {"agent": "looker", "small": "scripted", "large": "scripted"}
DOT = Image.new("RGB", (64, 64), "white")
COLOURS = ["red", "green", "blue", "yellow"]


def ask(number: int, picture: Any = DOT, **settings: Any) -> Decision:
    asked = f"What colour is dot {number}?"
    return answer(picture, asked, options=COLOURS, **{**SCRIPTED, **settings})


def test_a_sure_draft_is_the_answer() -> None:
    decision = ask(1)
    assert (decision.text, decision.route, decision.turns) == ("green", "small", ())
    assert decision.gaps == (12.0, 12.0)
    assert decision.confidence is not None
    assert decision.confidence > decision.threshold == 0.98
    assert str(decision) == f"green (small model, confidence {decision.confidence:.4f})"


def test_an_unsure_draft_goes_to_the_agent() -> None:
    decision = ask(2)
    assert (decision.text, decision.route) == ("blue", "large")
    assert decision.turns == ("LOOK 16 16 48 48", "ANSWER blue")
    assert [tool.outcome for tool in decision.record.tools] == ["ok"]


@pytest.mark.parametrize("form", ["path", "text", "bytes", "image"])
def test_a_picture_comes_in_any_form(form: str) -> None:
    DOT.save("dot.png")
    given = {"path": Path("dot.png"), "text": "dot.png", "image": DOT}
    decision = ask(1, given.get(form, Path("dot.png").read_bytes()))
    assert decision.route == "small"
    assert decision.picture.size == (64, 64)


def test_a_sample_brings_its_question_and_models_stay_loaded() -> None:
    with Cascade(**SCRIPTED) as cascade:
        routes = [cascade.answer(one).route for one in samples("dots", split="near", limit=3)]
    assert routes == ["large", "small", "large"]


def test_a_plugin_s_own_options_are_a_mapping() -> None:
    given = {"agent": "thyme", "agent_option": {"state": "often"}}
    with pytest.raises(SpecEyesError, match="state"):
        ask(1, **given)
    assert ask(1, agent="thyme", agent_option={"state": "fresh"}).route == "small"


def test_both_branches_answer_one_question_twice() -> None:
    assert set(ask(1, both_branches=True).record.branches) <= {"small", "large"}
    assert ask(1, both_branches=True).turns


def test_a_failed_question_is_a_decision() -> None:
    decision = ask(1, small="scripted?fail=1")
    assert (decision.text, decision.route) == (None, "error")
    assert str(decision) == "no answer: ValueError: dot 1 is not for me"
    assert "dot 1 is not for me" in decision._repr_html_()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: answer(DOT), "What is asked about the picture?"),
        (lambda: answer(DOT, " "), "The question is empty."),
        (lambda: answer(DOT, "?", options=["one"]), "One option is no choice"),
        (lambda: answer("nowhere.png", "?"), "nowhere.png: there is no such file."),
        (lambda: answer(".", "?"), ". is a folder"),
        (lambda: answer(DOT, "?", treshold=1), "no setting 'treshold'; did you mean 'threshold'?"),
        (lambda: answer(DOT, "?", limit=3), "One question has no setting 'limit'"),
        (lambda: answer(DOT, "?", agent="lokker"), "did you mean 'looker'?"),
        (lambda: answer(samples("dots", limit=1)[0], "?"), "A sample brings its question"),
        (lambda: samples("dots", split="nera"), "did you mean 'near'?"),
    ],
)
def test_a_user_s_mistake_is_one_sentence(call: Any, said: str) -> None:
    with pytest.raises(SpecEyesError) as caught:
        call()
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def chat(*parts: Any, text: str | None = "What colour is dot 1?") -> list[dict[str, Any]]:
    said = [] if text is None else [{"type": "text", "text": text}]
    return [{"role": "user", "content": [*parts, *said]}]


def test_messages_are_read_as_qwen_vl_utils_reads_them() -> None:
    Image.new("RGB", (640, 480), "red").save("big.png")
    part = {"type": "image", "image": "big.png", "resized_height": 56, "resized_width": 84}
    system = {"role": "system", "content": "Be brief."}
    decision = answer([system, *chat(part)], options=COLOURS, **SCRIPTED)
    assert decision.route == "small"
    assert decision.picture.size == (84, 56)
    assert decision.record.question == "Be brief.\nWhat colour is dot 1?"


IMAGE = {"type": "image", "image": DOT}


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], "Give exactly one user message"),
        (chat(), "A question needs exactly one picture; the messages hold none."),
        (chat(IMAGE, IMAGE), "A question needs exactly one picture; the messages hold 2."),
        (chat({"type": "video", "video": "a.mp4"}), "The messages hold a video"),
        (chat(IMAGE, text=None), "The question is empty."),
        (chat(IMAGE) * 2, "Give exactly one user message"),
        ([*chat(IMAGE), {"role": "assistant", "content": "Red"}], "one question at a time"),
        ([{"role": "user"}], 'A message is {"role"'),
        (["hello"], 'A message is {"role"'),
        ([{"role": "user", "content": 3}], "A message's content is text or a list of parts"),
        (chat({"type": "image", "image": "nowhere.png"}), "there is no picture nowhere.png"),
        (chat({"type": "image", "image": Image.new("RGB", (2000, 4))}), "cannot be used"),
    ],
)
def test_messages_that_are_no_question_are_refused(messages: Any, said: str) -> None:
    with pytest.raises(SpecEyesError) as caught:
        answer(messages, **SCRIPTED)
    assert said in str(caught.value)


def test_infer_takes_a_file_of_messages(host: Host) -> None:
    folder = Path("asked")
    folder.mkdir()
    DOT.save(folder / "dot.png")
    (folder / "chat.json").write_text(json.dumps(chat({"type": "image", "image": "dot.png"})))
    (folder / "other.json").write_text('{"role": "user"}')
    models = ["--agent", "looker", "--small", "scripted", "--large", "scripted"]
    run = CliRunner().invoke(build_app(host), ["infer", "asked/chat.json", *models], obj=host)
    assert run.exit_code == 0, run.output
    assert "green" in run.output
    run = CliRunner().invoke(build_app(host), ["infer", "asked/other.json", *models], obj=host)
    assert run.exit_code == 2
    assert "asked/other.json holds no list of messages" in run.stderr


def test_a_notebook_shows_the_picture_the_gaps_and_the_route_with_everything_escaped() -> None:
    page = answer(DOT, "dot 1 <script>alert(1)</script>\x1b[2J", **SCRIPTED)._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "\x1b" not in page
    [encoded] = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert Image.open(io.BytesIO(base64.b64decode(encoded))).size == (64, 64)
    for shown in ("screen: no tool needed", "accepted", "small model", "<td>12</td>"):
        assert shown in page
    assert "Turn 2" in ask(2)._repr_html_()


def tool(**arguments: Any) -> ToolNote:
    return ToolNote(name="zoom", arguments=arguments, outcome="ok", text="", notes=(), seconds=0)


def test_boxes_are_drawn_where_the_agent_zoomed() -> None:
    picture = Image.new("RGB", (200, 100), "white")
    framed = {"box": [10, 10, 50, 25], "frame": [100, 50]}
    assert box_on(picture, tool(**framed)) == (20, 20, 100, 50)
    relative = {"box": [100, 200, 500, 500], "box_frame": "relative", "frame": [100, 50]}
    assert box_on(picture, tool(**relative)) == (20, 20, 100, 50)
    assert box_on(picture, tool(box="10 10 50 25")) == (10, 10, 50, 25)
    shown = drawn(picture, [(20, 20, 100, 50)])
    assert shown.getpixel((60, 20)) == (0xD6, 0x27, 0x28)
    assert shown.getpixel((60, 35)) == (255, 255, 255)
    assert picture.getpixel((60, 20)) == (255, 255, 255), "the picture itself is left as it is"


@given(
    st.lists(st.one_of(st.floats(), st.integers(), st.text(), st.none()), max_size=6),
    st.sampled_from(["pixels", "relative", None]),
)
def test_any_box_is_drawn_or_left_out(box: list[Any], kind: str | None) -> None:
    picture = Image.new("RGB", (30, 20))
    found = box_on(picture, tool(box=box, box_frame=kind, frame=[28, 28]))
    if found is not None:
        left, top, right, bottom = found
        assert 0 <= left < right <= 30
        assert 0 <= top < bottom <= 20
        drawn(picture, [found])


def test_importing_the_package_loads_nothing() -> None:
    code = (
        "import speceyes_cli, sys; speceyes_cli.__all__; dir(speceyes_cli); "
        "print([m for m in ('torch', 'PIL', 'pydantic', 'rich', 'typer') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_boxes_of_the_small_models_steps_are_the_decisions_too() -> None:
    seen, crop = (PictureNote(picture=name, width=100, height=50) for name in ("p", "crop"))
    proposed = (
        *(MessageNote(role="user", content=(seen, "?")), MessageNote(role="assistant", content=())),
        *(MessageNote(role="user", content=(crop,)), MessageNote(role="assistant", content=("B",))),
    )
    decision = ask(0)
    tools = (
        tool(picture="p", box=[100, 200, 500, 500], box_frame="relative", frame=[100, 50]),
        tool(picture="crop", box=[0, 0, 10, 10], box_frame="pixels", frame=[20, 20]),
    )
    record = decision.record.model_copy(update={"tools": tools, "messages": {"propose": proposed}})
    drawn_on = replace(decision, record=record, picture=Image.new("RGB", (200, 100)))
    assert drawn_on.boxes == ((20, 20, 100, 50),)
