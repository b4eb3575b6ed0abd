from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import Result

from speceyes_cli.commands.prompts.toml import as_toml
from tests.plugins.agents.clones.written_clones import SYSTEM, UPSTREAM, write_clone

Invoke = Callable[..., Result]
WEIGHTS = resources.files("speceyes_plugins.embedded").joinpath("weights")


CONTENT = (
    "{% for m in messages %}{% if CONDITION %}{% for p in m.content %}{% if p.type == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ TEXT }}{% endif %}{% endfor %}"
    "{% endif %}{% endfor %}"
)
WITHOUT_SYSTEM = CONTENT.replace("CONDITION", "m.role != 'system'").replace("TEXT", "p.text")
NO_SYSTEM = (
    "{% if messages[0].role == 'system' %}"
    "{{ raise_exception('no system message here') }}{% endif %}"
) + CONTENT.replace("CONDITION", "true").replace("TEXT", "p.text")
TRIMMED = CONTENT.replace("CONDITION", "true").replace("TEXT", "p.text | replace('\n', ' ')")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model's folder without its weights."""
    with resources.as_file(WEIGHTS.joinpath("large")) as folder:
        shutil.copytree(folder, tmp_path / "model", ignore=shutil.ignore_patterns("*.safetensors"))
    return tmp_path / "model"


def test_show_prints_every_phase_as_text_and_as_tokens(invoke: Invoke, model: Path) -> None:
    done = invoke(
        "prompts", "show", "--large", str(model), "--tokens", "--split", "relative_position"
    )
    assert done.exit_code == 0, done.stderr
    for phase in ("screen", "draft", "agent", "reminder", "score"):
        assert f"· {phase} ·" in done.stdout
    assert "<|im_start|>assistant" in done.stdout
    assert "our own words" in done.stdout


def test_show_tells_where_a_clones_texts_come_from(invoke: Invoke, tmp_path: Path) -> None:
    clone = write_clone(tmp_path / "clone", UPSTREAM)
    done = invoke("prompts", "show", "--prompts", f"upstream:{clone}", "--json")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["texts"]["system"]["text"] == SYSTEM
    assert told["texts"]["system"]["origin"].endswith("prompt.py:2 SYSTEM_PROMPT")
    agent = next(one for one in told["phases"] if one["phase"] == "agent")
    assert SYSTEM in agent["text"]
    assert agent["ids"]


def test_check_is_content_with_our_own(invoke: Invoke) -> None:
    done = invoke("prompts", "check", "--limit", "2")
    assert done.exit_code == 0, done.stdout + done.stderr
    assert "every word of them reaches its model" in done.stdout


@pytest.mark.parametrize(
    ("template", "told"),
    [
        (NO_SYSTEM, "cannot take the messages of the agent: no system message here"),
        ("{% for m in messages %}{{ m.nothing.at_all }}{% endfor %}", "cannot be asked"),
        ("{% for m in messages %}{% if", "cannot be asked: its chat template refuses"),
        ("<|im_start|>", "cannot be asked: its chat template leaves pictures out"),
        (
            WITHOUT_SYSTEM,
            "agent, direct_attributes/direct_attributes/0000 and 1 more: the template",
        ),
        (TRIMMED, "the template changes or leaves out the user's"),
    ],
)
def test_check_names_what_a_template_does(
    invoke: Invoke, model: Path, template: str, told: str
) -> None:
    (model / "chat_template.jinja").write_text(template)
    done = invoke("prompts", "check", "--large", str(model))
    assert done.exit_code == 1, done.stdout + done.stderr
    assert told in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_what_is_exported_is_read_back_to_the_letter(invoke: Invoke, tmp_path: Path) -> None:
    clone = write_clone(tmp_path / "clone", UPSTREAM)
    named = ("--prompts", f"upstream:{clone}")
    done = invoke("prompts", "export", *named)
    assert done.exit_code == 0, done.stderr
    own = tmp_path / "own.toml"
    own.write_text(done.stdout, encoding="utf-8")
    first = json.loads(invoke("prompts", "show", *named, "--json").stdout)
    again = json.loads(invoke("prompts", "show", "--prompts", str(own), "--json").stdout)
    assert first["phases"] == again["phases"]
    assert {k: v["digest"] for k, v in first["texts"].items()} == {
        k: v["digest"] for k, v in again["texts"].items()
    }


def test_parity_is_told(invoke: Invoke) -> None:
    done = invoke("prompts", "show", "--parity", "paper")
    assert done.exit_code == 0, done.stderr
    assert "--option-order dataset" in done.stderr


def test_no_processor_is_one_sentence(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = invoke("prompts", "check", "--large", str(tmp_path / "empty"))
    assert done.exit_code == 1
    assert "has no processor" in done.stdout


@given(st.dictionaries(st.sampled_from(["screen", "draft", "system"]), st.text()))
def test_toml_gives_back_every_character(texts: dict[str, str]) -> None:
    written = as_toml(texts, dict.fromkeys(texts, "some\nplace"))
    assert tomllib.loads(written) == texts
