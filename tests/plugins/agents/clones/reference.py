"""The messages that the paper's code builds, written again from its description, for comparison.

Constants come out of a clone by `ast.literal_eval`, under the names that the repository gives them.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

Chat = list[dict[str, Any]]


@dataclass(frozen=True)
class Asked:
    """One question as a benchmark has it."""

    benchmark: str
    question: str
    options: tuple[str, ...]
    image: Image.Image


def constants(path: Path) -> dict[str, Any]:
    """The module's literals."""
    found = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                continue
    return found


def local_text(path: Path, name: str, within: str) -> str:
    """The literal that a function gives to a local name."""
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef) and function.name == within:
            for node in ast.walk(function):
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
                    return str(ast.literal_eval(node.value))
    raise AssertionError((path, name))


def f_string(path: Path, name: str, within: str, values: Mapping[str, str]) -> str:
    """The f-string that a function gives to a local name, with these values in it."""
    for function in ast.walk(ast.parse(path.read_text())):
        if not isinstance(function, ast.FunctionDef) or function.name != within:
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
                if not isinstance(node.value, ast.JoinedStr):
                    continue
                return "".join(
                    str(part.value)
                    if isinstance(part, ast.Constant)
                    else values[ast.unparse(part.value)]  # type: ignore[attr-defined]
                    for part in node.value.values
                )
    raise AssertionError((path, name))


def resized(image: Image.Image) -> Image.Image:
    """Sides to multiples of 28, between 4 and 16,384 squares of 28."""
    width, height = (max(28, round(side / 28) * 28) for side in image.size)
    if width * height > 16384 * 784:
        beta = math.sqrt(image.width * image.height / (16384 * 784))
        width, height = (math.floor(side / beta / 28) * 28 for side in image.size)
    elif width * height < 4 * 784:
        beta = math.sqrt(4 * 784 / (image.width * image.height))
        width, height = (math.ceil(side * beta / 28) * 28 for side in image.size)
    return image.resize((width, height), resample=Image.Resampling.BICUBIC)


def chat(system: Any, text: str) -> Chat:
    return [
        {"role": "system", "content": system},
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,"}},
                {"type": "text", "text": text},
            ],
        },
    ]


def lettered(options: tuple[str, ...]) -> list[str]:
    return [f"{letter}. {option}" for letter, option in zip("ABCDEF", options, strict=False)]


def deepeyes(clone: Path, asked: Asked) -> Iterator[tuple[str, Chat]]:
    """Screen, draft and first turn of the agent."""
    folder = clone / "eval_code_deepeyes"
    words, code = constants(folder / "prompt.py"), folder / "SpecEyes.py"
    begin = "init_messages_judge_tc"
    if asked.options:
        listed = "\n" + "".join(f"{line}\n" for line in lettered(asked.options))
        template = local_text(code, "instruction_prompt_with_options", begin)
        prompt = template.format(question=asked.question, options=listed)
    else:
        template = local_text(code, "instruction_prompt_no_options", begin)
        prompt = template.format(question=asked.question)
    screen = words["PROMPT_TEMPLATES_JTC"]["reliability_weighted"]
    yield "screen", chat(screen["system_prompt"], prompt + screen["user_prompt"])
    tail = local_text(code, "instruction_prompt", "prepare_messages_to_answer")
    yield "draft", chat(words["SYSTEM_PROMPT_ANSWER"], prompt + tail)
    yield "agent", chat(words["SYSTEM_PROMPT"], prompt + words["USER_PROMPT"])


def thyme(clone: Path, asked: Asked, path: str) -> Iterator[tuple[str, Chat]]:
    """The same for Thyme, whose agent is told the picture's path and size."""
    folder = clone / "eval_code_thyme"
    words, code, utils = (
        constants(folder / "prompt.py"),
        folder / "SpecEyes.py",
        folder / "utils.py",
    )
    if asked.options:
        block = "\n".join(lettered(asked.options))
        values = {"question": asked.question, "option_block": block}
        text = f_string(code, "question_text", "build_mc_question_text", values)
    else:
        values = {"question": asked.question}
        text = f_string(code, "question_text", "load_pope_data_generator", values)
    prompt = text.split("Please")[0]
    screen = words["PROMPT_TEMPLATES_JTC"]["reliability_weighted"]
    yield "screen", chat(screen["system_prompt"], prompt + screen["user_prompt"])
    tail = local_text(code, "instruction_prompt", "prepare_messages_to_answer")
    yield "draft", chat(words["SYSTEM_PROMPT_ANSWER"], prompt + tail)
    facts = {
        "user_question": text,
        "user_image_path": path,
        "user_image_size": f"{asked.image.width}x{asked.image.height}",
    }
    first = f_string(utils, "prompt", "generate_prompt_final_qa", facts)
    system = [{"type": "text", "text": constants(utils)["SYSTEM_PROMPT"]}]
    yield "agent", chat(system, first)
