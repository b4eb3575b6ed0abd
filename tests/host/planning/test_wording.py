from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from speceyes_cli.core.errors import UsageError
from speceyes_cli.host.manager import Host
from speceyes_cli.host.planning.options import RunOptions
from speceyes_cli.host.planning.plans import RunPlan, plan_run
from tests.plugins.agents.clones.written_clones import UPSTREAM, USER, write_clone

OPTIONS = RunOptions(limit=1)


def plan(host: Host, **changes: object) -> RunPlan:
    return plan_run(replace(OPTIONS, **changes), (), host)  # type: ignore[arg-type]


def test_a_run_keeps_digest_and_origin_of_every_text(host: Host, tmp_path: Path) -> None:
    clone = write_clone(tmp_path, UPSTREAM)
    info = plan(host, prompts=f"upstream:{clone}").info
    assert info.prompts["reminder"].origin.endswith("eval_code_deepeyes/prompt.py:6 USER_PROMPT")
    assert info.prompts["short_question_until"].origin == "our own words"
    own = plan(host).info
    assert {note.origin for note in own.prompts.values()} == {"our own words"}
    assert own.prompts["draft"].digest != info.prompts["draft"].digest
    assert own.config.prompt_hashes.keys() == info.config.prompt_hashes.keys()
    assert not set(own.config.prompt_hashes.values()) & set(info.config.prompt_hashes.values())


def test_a_clone_elsewhere_is_the_same_run_and_other_words_another(
    host: Host, tmp_path: Path
) -> None:
    one, other = write_clone(tmp_path / "a", UPSTREAM), write_clone(tmp_path / "b", UPSTREAM)
    name = plan(host, prompts=f"upstream:{one}").info.name
    assert plan(host, prompts=f"upstream:{other}").info.name == name
    changed = UPSTREAM["eval_code_deepeyes/prompt.py"].replace(repr(USER), repr(USER + "Now."))
    third = write_clone(tmp_path / "c", UPSTREAM, eval_code_deepeyes__prompt=changed)
    assert plan(host, prompts=f"upstream:{third}").info.name != name


@pytest.mark.parametrize(
    "text", ["reminder = 'Again.'", "observation = '{picture}'", "question_alone = '{question}!'"]
)
def test_words_of_later_turns_and_other_questions_are_part_of_the_run(
    host: Host, tmp_path: Path, text: str
) -> None:
    own = tmp_path / "own.toml"
    own.write_text(text)
    assert plan(host, prompts=str(own)).info.name != plan(host).info.name


def test_what_a_clone_lacks_is_told_before_the_run(host: Host, tmp_path: Path) -> None:
    clone = write_clone(tmp_path, UPSTREAM, eval_code_deepeyes__SpecReason=None)
    [note] = plan(host, prompts=f"upstream:{clone}").info.notes
    assert note.endswith(
        "not found: SpecReason's request for a score. There our own words are used."
    )


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("nowhere.toml", "there is no file nowhere.toml; clones are named as upstream:FOLDER"),
        ("upstrem:x", "there is no file upstrem:x; clones are named as upstream:FOLDER, deepeyes:"),
        ("thyme:x", "the agent deepeyes cannot read thyme; thyme can"),
        ("upstream:nowhere", "there is no folder nowhere"),
    ],
)
def test_what_is_named_and_not_there(host: Host, named: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        plan(host, prompts=named)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sistem = 'x'", "unknown key 'sistem'; known: screen_system, screen"),
        ("system = ", r"own\.toml"),
        ("system = 1", "'system' is no text"),
    ],
)
def test_wrong_prompt_files_are_one_sentence(
    host: Host, tmp_path: Path, text: str, told: str
) -> None:
    own = tmp_path / "own.toml"
    own.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=told):
        plan(host, prompts=str(own))


def test_a_text_is_taken_as_it_stands(host: Host, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('draft_system = "\\nBriefly.\\n"\ndraft = "{question}\\n\\nAnswer: "')
    prompts = plan(host, prompts=str(own)).recipe.method_options.prompts
    assert (prompts.draft_system, prompts.draft) == ("\nBriefly.\n", "{question}\n\nAnswer: ")
