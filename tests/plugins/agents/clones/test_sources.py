# ruff: noqa: E501 - source text of clones
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from speceyes_plugins.agents.clones.sources import read_deepeyes, read_thyme, read_upstream

from speceyes_cli.core.errors import UsageError
from tests.plugins.agents.clones.written_clones import (
    ANSWER,
    DEEPEYES_CODE,
    DEEPEYES_PROMPTS,
    OWN_DEEPEYES,
    OWN_THYME,
    SCORE,
    SCREEN_SYSTEM,
    SCREEN_USER,
    SYSTEM,
    THYME_SYSTEM,
    UPSTREAM,
    USER,
    write_clone,
)

DEEPEYES = {
    "screen_system": SCREEN_SYSTEM,
    "screen": "{question}" + SCREEN_USER,
    "draft_system": ANSWER,
    "draft": "{question}\nAnswer:",
    "system": SYSTEM,
    "instruction": "{question}" + USER,
    "reminder": USER,
    "observation": "<tool_response>{picture}{reminder}</tool_response>",
    "score": SCORE,
    "question": "Asked: {question}\n        To choose from: \n{options}\n        ",
    "question_alone": "Asked: {question}\n        ",
    "option": "{letter}. {option}\n",
    "between_options": "",
}
THYME = {
    "screen_system": SCREEN_SYSTEM,
    "screen": "{question}" + SCREEN_USER,
    "draft_system": ANSWER,
    "draft": "{question}\nAnswer:",
    "system": THYME_SYSTEM,
    "instruction": '<image>\n{question}\n\nPath: "{path}"\nSize: "{width}x{height}"\n\n'
    "<think>reason</think>\n<answer>answer</answer>\n",
    "observation": "<sandbox_output>{results}</sandbox_output>",
    "question": "Asked: {question}\nChoices:\n{options}\nPlease pick one of the choices above.",
    "question_alone": "Asked: {question}\nPlease say 'yes' or 'no'.",
    "option": "{letter}. {option}",
    "between_options": "\n",
    "short_question_until": "Please",
}


def texts(folder: Path, agent: str = "deepeyes") -> dict[str, str]:
    return {key: found.text for key, found in read_upstream(folder, agent).prompts.items()}


@pytest.mark.parametrize(("agent", "expected"), [("deepeyes", DEEPEYES), ("thyme", THYME)])
def test_every_prompt_of_the_papers_repository(
    tmp_path: Path, agent: str, expected: Mapping[str, str]
) -> None:
    assert texts(write_clone(tmp_path, UPSTREAM), agent) == expected


def test_each_prompt_says_where_it_was(tmp_path: Path) -> None:
    found = read_upstream(write_clone(tmp_path, UPSTREAM), "deepeyes").prompts
    assert found["system"].origin == "eval_code_deepeyes/prompt.py:2 SYSTEM_PROMPT"
    assert found["score"].origin.startswith("eval_code_deepeyes/SpecReason.py:")


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    clone = write_clone(tmp_path, UPSTREAM, eval_code_deepeyes__SpecReason=None)
    assert read_upstream(clone, "deepeyes").missing == ("SpecReason's request for a score",)
    assert read_upstream(clone, "thyme").missing == ("SpecReason's request for a score",)


def test_constants_alone_are_enough(tmp_path: Path) -> None:
    """What the code puts around them is our own then, and is told."""
    layout = '''
instruction_prompt_with_options = """Asked: {question}
        To choose from: {options}
        """
'''
    clone = write_clone(
        tmp_path, {"eval_code_deepeyes/prompt.py": DEEPEYES_PROMPTS, "SpecEyes.py": layout}
    )
    found = read_upstream(clone, "deepeyes")
    named = ("screen_system", "screen", "draft_system", "system", "instruction", "reminder")
    assert {k: p.text for k, p in found.prompts.items() if k in named} == {
        key: DEEPEYES[key] for key in named
    }
    assert "the draft's last words" in found.missing


BUILT = {
    "formatted": 'NAME = "pictures"\nSYSTEM_PROMPT = "You look at {what}, {0}.".format("twice", what=NAME)',
    "an f-string": 'N = "pictures"\nSYSTEM_PROMPT = f"You look at {N}, {\'twice\'}."',
    "percent": 'SYSTEM_PROMPT = "You look at %s, %s." % ("pictures", "twice")',
    "percent by name": 'SYSTEM_PROMPT = "You look at %(a)s, twice." % {"a": "pictures"}',
    "added": 'SYSTEM_PROMPT = "You look at " + "pictures, "\nSYSTEM_PROMPT += "twice."',
    "joined": 'SYSTEM_PROMPT = " ".join(["You", "look at", "pictures, twice."])',
    "replaced": 'SYSTEM_PROMPT = "You look at X, twice.".replace("X", "pictures")',
    "dedented": 'import textwrap\nSYSTEM_PROMPT = textwrap.dedent("""\n  You look at pictures, twice.""").strip()',
    "a dictionary": 'P = {"agent": {"system": "You look at pictures, twice."}}\nSYSTEM_PROMPT = P["agent"]["system"]',
    "a class": 'class P:\n    S = "You look at pictures, twice."\nSYSTEM_PROMPT = P.S',
    "a function": 'def made(what, n="twice"):\n    t = f"You look at {what}"\n    return t + f", {n}."\nSYSTEM_PROMPT = made("pictures")',
    "implicit": 'SYSTEM_PROMPT = ("You look at pictures, "\n    "twice.")',
}


@pytest.mark.parametrize("how", BUILT)
def test_constants_that_are_built_without_running_anything(tmp_path: Path, how: str) -> None:
    prompts = DEEPEYES_PROMPTS.replace(f"SYSTEM_PROMPT = {SYSTEM!r}", BUILT[how])
    clone = write_clone(tmp_path, UPSTREAM, eval_code_deepeyes__prompt=prompts)
    assert texts(clone)["system"] == "You look at pictures, twice."


def test_renamed_constants_are_found_by_their_use(tmp_path: Path) -> None:
    names = {
        "PROMPT_TEMPLATES_JTC": "ROUTER",
        "reliability_weighted": "v7",
        "SYSTEM_PROMPT_ANSWER": "BRIEFLY",
        "USER_PROMPT": "TAIL",
        "SYSTEM_PROMPT": "HEAD",
    }
    files = {}
    for path, text in UPSTREAM.items():
        for old, new in names.items():
            text = text.replace(old, new)  # noqa: PLW2901
        files[path] = text
    clone = write_clone(tmp_path, files)
    assert texts(clone) == DEEPEYES
    assert texts(clone, "thyme") == THYME


def test_renamed_constants_alone_are_found_by_names_that_are_alike(tmp_path: Path) -> None:
    prompts = f"""
AGENT_SYSTEM = {SYSTEM!r}
AGENT_USER_PROMPT = {USER!r}
ANSWER_SYSTEM = {ANSWER!r}
SCREEN = {{"system": {SCREEN_SYSTEM!r}, "user": {SCREEN_USER!r}}}
"""
    found = texts(write_clone(tmp_path, {"deepeyes/texts.py": prompts}))
    assert found.items() >= {k: DEEPEYES[k] for k in ("system", "screen", "draft_system")}.items()


@pytest.mark.parametrize(
    ("moved", "statement"),
    [
        ("eval_code_deepeyes/texts/all.py", "from eval_code_deepeyes.texts.all import *"),
        ("shared/prompts.py", "from shared.prompts import *"),
        ("eval_code_deepeyes/words.py", "from .words import *"),
    ],
)
def test_moved_files(tmp_path: Path, moved: str, statement: str) -> None:
    files = {**UPSTREAM, moved: DEEPEYES_PROMPTS}
    del files["eval_code_deepeyes/prompt.py"]
    for path in ("SpecEyes", "SpecReason"):
        name = f"eval_code_deepeyes/{path}.py"
        files[name] = files[name].replace("from .prompt import *", statement)
        files[name] = files[name].replace("from prompt import *", statement)
    assert texts(write_clone(tmp_path, files)) == DEEPEYES


@pytest.mark.parametrize("ending", ["toml", "json"])
def test_prompts_in_data_files(tmp_path: Path, ending: str) -> None:
    import json  # noqa: PLC0415 - for one case

    content = {
        "SYSTEM_PROMPT": SYSTEM,
        "USER_PROMPT": USER,
        "SYSTEM_PROMPT_ANSWER": ANSWER,
        "PROMPT_TEMPLATES_JTC": {
            "reliability_weighted": {"system_prompt": SCREEN_SYSTEM, "user_prompt": SCREEN_USER}
        },
    }
    text = json.dumps(content)
    if ending == "toml":
        flat = {k: v for k, v in content.items() if isinstance(v, str)}
        lines = [f"{key} = {json.dumps(value)}" for key, value in flat.items()]
        lines += [
            "[PROMPT_TEMPLATES_JTC.reliability_weighted]",
            f"system_prompt = {json.dumps(SCREEN_SYSTEM)}",
            f"user_prompt = {json.dumps(SCREEN_USER)}",
        ]
        text = "\n".join(lines)
    found = texts(write_clone(tmp_path, {f"deepeyes/prompts.{ending}": text}))
    assert {key: found[key] for key in ("system", "instruction", "screen")} == {
        key: DEEPEYES[key] for key in ("system", "instruction", "screen")
    }


def test_a_clone_without_the_constants_names_them_all(tmp_path: Path) -> None:
    clone = write_clone(tmp_path, {"eval_code_deepeyes/prompt.py": "X = 1\n"})
    with pytest.raises(UsageError, match="has no text for") as told:
        read_upstream(clone, "deepeyes")
    for name in ("SYSTEM_PROMPT", "USER_PROMPT", "SYSTEM_PROMPT_ANSWER", "PROMPT_TEMPLATES_JTC"):
        assert name in str(told.value)


def test_no_clone_at_all(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        read_upstream(tmp_path / "nowhere", "deepeyes")
    with pytest.raises(UsageError, match="holds no Python, TOML or JSON file"):
        read_upstream(tmp_path, "deepeyes")


@pytest.mark.parametrize(
    "files",
    [
        {"eval_code_deepeyes/prompt_old.py": "SYSTEM_PROMPT = 'Another.'\n"},
        {
            "eval_code_deepeyes/prompt.py": DEEPEYES_PROMPTS,
            "eval_code_deepeyes/b.py": "SYSTEM_PROMPT = 'B'",
        },
    ],
)
def test_two_candidates_are_named(tmp_path: Path, files: Mapping[str, str]) -> None:
    clone = write_clone(tmp_path, {**UPSTREAM, **files})
    with pytest.raises(UsageError, match="2 different texts for the agent's system prompt") as told:
        read_upstream(clone, "deepeyes")
    assert "eval_code_deepeyes/prompt.py:2" in str(told.value)


def test_two_candidates_that_are_equal_are_one(tmp_path: Path) -> None:
    clone = write_clone(
        tmp_path, {**UPSTREAM, "eval_code_deepeyes/b.py": f"SYSTEM_PROMPT = {SYSTEM!r}\n"}
    )
    assert texts(clone) == DEEPEYES


COMPUTED = {
    "a file": 'SYSTEM_PROMPT = open("system.txt").read()',
    "the environment": 'import os\nSYSTEM_PROMPT = "You " + os.environ["WHO"]',
    "a condition": 'import sys\nif sys.argv:\n    SYSTEM_PROMPT = "a"\nelse:\n    SYSTEM_PROMPT = "b"',
    "a library": 'import jinja2\nSYSTEM_PROMPT = jinja2.Template("x").render()',
    "a part": 'import time\nSYSTEM_PROMPT = f"It is {time.time()}."',
}


@pytest.mark.parametrize("how", COMPUTED)
def test_a_constant_that_is_computed_is_told_with_its_place(tmp_path: Path, how: str) -> None:
    prompts = DEEPEYES_PROMPTS.replace(f"SYSTEM_PROMPT = {SYSTEM!r}", COMPUTED[how])
    clone = write_clone(tmp_path, UPSTREAM, eval_code_deepeyes__prompt=prompts)
    with pytest.raises(UsageError, match="is computed") as told:
        read_upstream(clone, "deepeyes")
    assert "eval_code_deepeyes/" in str(told.value)


def test_nothing_of_a_clone_is_run(tmp_path: Path) -> None:
    trap = "import pathlib\npathlib.Path('ran').touch()\nopen('ran', 'w')\n"
    files = {path: trap + text if path.endswith(".py") else text for path, text in UPSTREAM.items()}
    clone = write_clone(tmp_path, files)
    assert texts(clone) == DEEPEYES
    assert not list(Path.cwd().glob("ran")) + list(tmp_path.glob("**/ran"))


def test_a_text_with_our_own_places_in_it_is_refused(tmp_path: Path) -> None:
    prompts = DEEPEYES_PROMPTS.replace(repr(USER), repr("\nWrite {question} again."))
    clone = write_clone(tmp_path, UPSTREAM, eval_code_deepeyes__prompt=prompts)
    with pytest.raises(UsageError, match=r"has \{question\} itself"):
        read_upstream(clone, "deepeyes")


@pytest.mark.parametrize("text", ["def (", "\0", "x = " + "(" * 500])
def test_files_that_are_no_python_are_left_out(tmp_path: Path, text: str) -> None:
    clone = write_clone(tmp_path, {**UPSTREAM, "eval_code_deepeyes/broken.py": text})
    assert texts(clone) == DEEPEYES


def test_deepeyes_own_repository(tmp_path: Path) -> None:
    found = read_deepeyes(write_clone(tmp_path, OWN_DEEPEYES))
    got = {key: prompt.text for key, prompt in found.prompts.items()}
    assert got["system"] == SYSTEM
    assert got["instruction"] == "{question}" + USER
    assert got["reminder"] == USER
    assert got["question"] == "Asked: {question}\nChoices: \n{options}\n"
    assert any("screen" in what for what in found.missing)


def test_thymes_own_repository(tmp_path: Path) -> None:
    found = read_thyme(write_clone(tmp_path, OWN_THYME))
    got = {key: prompt.text for key, prompt in found.prompts.items()}
    assert got == {key: THYME[key] for key in ("system", "instruction", "observation")}


def test_code_of_another_repository_that_changed(tmp_path: Path) -> None:
    """The code decides: it uses another constant than the one of the usual name."""
    code = DEEPEYES_CODE.replace('["content"] = SYSTEM_PROMPT_ANSWER', '["content"] = BRIEF')
    prompts = DEEPEYES_PROMPTS + "BRIEF = 'Be brief.'\n"
    clone = write_clone(
        tmp_path, UPSTREAM, eval_code_deepeyes__SpecEyes=code, eval_code_deepeyes__prompt=prompts
    )
    assert texts(clone)["draft_system"] == "Be brief."
