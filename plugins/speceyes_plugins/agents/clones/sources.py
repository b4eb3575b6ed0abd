"""The prompts of the paper's repository and of the agents' own, read out of a user's clone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from speceyes_cli.plugin import FoundPrompt, FoundPrompts, UsageError
from speceyes_plugins.agents.clones.clone import Clone, Module
from speceyes_plugins.agents.clones.layouts import Layout, question_cuts, question_layouts
from speceyes_plugins.agents.clones.search import PHASES, Candidate, Search, Wanted
from speceyes_plugins.agents.clones.templates import as_template, letters_and_option, meaning
from speceyes_plugins.agents.clones.values import PICTURE, Items, Place, Text

__all__ = ["read_deepeyes", "read_thyme", "read_upstream"]

AGENTS = ("deepeyes", "thyme")
JTC = "PROMPT_TEMPLATES_JTC.reliability_weighted"
SCREEN_NAME = PHASES[0][1]
QUESTION = ("question",)
FACTS = ("question", "path", "width", "height")
RESULTS = re.compile(r"\s*<(/?)sandbox_output>\s*")

SHARED = (
    Wanted(
        "screen_system",
        "the screen's system prompt",
        "screen",
        names=(f"{JTC}.system_prompt",),
        like=r"(?=.*(?:screen|judge|jtc))(?=.*system)",
    ),
    Wanted(
        "screen",
        "the screen's question",
        "screen",
        "user",
        names=(f"{JTC}.user_prompt",),
        like=r"(?=.*(?:screen|judge|jtc))(?=.*user)",
        places=QUESTION,
    ),
    Wanted(
        "draft_system",
        "the draft's system prompt",
        "draft",
        names=("SYSTEM_PROMPT_ANSWER",),
        like=r"(?=.*system)(?=.*answer)(?!.*(?:math|think))",
    ),
    Wanted(
        "draft",
        "the draft's last words",
        "draft",
        "user",
        places=QUESTION,
        required=False,
    ),
    Wanted("score", "SpecReason's request for a score", "score", "user", required=False),
)
NOT_SYSTEM = r"(?=.*system)(?!.*(?:answer|screen|judge|jtc|math|think|simple))"
SYSTEM = Wanted(
    "system", "the agent's system prompt", "agent", names=("SYSTEM_PROMPT",), like=NOT_SYSTEM
)
DEEPEYES = (
    SYSTEM,
    Wanted(
        "instruction",
        "the agent's instruction behind the question",
        "agent",
        "user",
        names=("USER_PROMPT",),
        like=r"(?=.*user)(?=.*prompt)(?!.*(?:screen|judge|jtc))",
        places=QUESTION,
    ),
)
THYME = (
    SYSTEM,
    Wanted(
        "instruction",
        "the agent's first words",
        "agent",
        "user",
        names=("generate_prompt_final_qa",),
        places=FACTS,
    ),
)
OWN_DEEPEYES = (
    DEEPEYES[0]._replace(
        phase="", names=("instruction_prompt_system", "SYSTEM_PROMPT", "SYSTEM_PROMPT_V2")
    ),
    DEEPEYES[1]._replace(phase="", names=("USER_PROMPT", "USER_PROMPT_V2", "user_prompt")),
)


@dataclass(frozen=True, slots=True)
class _Found:
    """What has been found so far."""

    prompts: dict[str, FoundPrompt]
    missing: list[str]

    def take(self, search: Search, wanted: Sequence[Wanted]) -> None:
        """Find each; raises `UsageError` naming all that must be there and are not."""
        lacking = []
        for one in wanted:
            found = search.find(one)
            if found is not None:
                self.prompts[one.key] = found
            elif one.required:
                lacking.append(_named(one))
            else:
                self.missing.append(one.what)
        if lacking:
            raise UsageError(
                f"--prompts: {search.clone.folder} has no text for {'; '.join(lacking)}. "
                f"{len(search.clone.files)} files were read."
            )


def read_upstream(folder: Path, agent: str) -> FoundPrompts:
    """Every phase's prompts out of a clone of the paper's repository, for one of its agents."""
    search = Search(Clone(folder), agent, AGENTS)
    found = _Found({}, [])
    found.take(search, (*SHARED, *(DEEPEYES if agent == "deepeyes" else THYME)))
    _take_layouts(search, found)
    _take_cut(search, found)
    if agent == "deepeyes":
        _take_reminder(search, found)
    else:
        _take_results(search, found)
    return FoundPrompts(found.prompts, tuple(found.missing))


def read_deepeyes(folder: Path) -> FoundPrompts:
    """The agent's prompts out of a clone of DeepEyes' own repository."""
    search = Search(Clone(folder), "deepeyes", ())
    search = _beside(search, OWN_DEEPEYES[0].names)
    found = _Found({}, ["the screen's and the draft's prompts, which are not DeepEyes'"])
    found.take(search, OWN_DEEPEYES)
    _take_layouts(search, found)
    _take_reminder(search, found)
    return FoundPrompts(found.prompts, tuple(found.missing))


def read_thyme(folder: Path) -> FoundPrompts:
    """The agent's prompts out of a clone of Thyme's own repository.

    Its system prompt is the one in the file that builds the user's text.
    """
    search = Search(Clone(folder), "thyme", ())
    search = _beside(search, ("generate_prompt_final_qa",))
    found = _Found({}, ["the screen's and the draft's prompts, which are not Thyme's"])
    system = THYME[0]._replace(names=("SYSTEM_PROMPT", "REASONING_SYS_PROMPT"))
    found.take(search, (system, THYME[1]))
    _take_results(search, found)
    return FoundPrompts(found.prompts, tuple(found.missing))


def _beside(search: Search, names: Sequence[str]) -> Search:
    """The search among the files that define the first of these names that any file defines."""
    for name in names:
        modules = [
            module
            for module in search.clone.files.values()
            if name in module.text and (name in module.functions or name in module.names)
        ]
        if modules:
            search.tiers = [modules]
            search.said = [(phase, said) for phase, said in search.said if said.module in modules]
            return search
    return search


def _named(wanted: Wanted) -> str:
    return f"{wanted.what} ({wanted.names[0]})" if wanted.names else wanted.what


def _take_layouts(search: Search, found: _Found) -> None:
    """How a question is laid out with its options, and alone."""
    layouts = list(question_layouts(search.modules))
    many = [one for one in layouts if one.options is not None and _letters(one) is not None]
    alone = [one for one in layouts if one.options is None]
    tail = found.prompts["instruction"].text.removeprefix("{question}")
    for key, some, what in (
        ("question", many, "how a question is laid out with its options"),
        ("question_alone", alone, "how a question without options is laid out"),
    ):
        texts = {(_laid_out(one, tail), _letters(one)): one for one in some}
        if len(texts) > 1:
            wanted = Wanted(key, what)
            search.require_one(wanted, [Candidate(one.text, one.place) for one in some])
        if not texts:
            found.missing.append(what)
            continue
        (text, option), one = next(iter(texts.items()))
        found.prompts[key] = FoundPrompt(text, one.place)
        if one.options is not None:
            found.prompts["option"] = FoundPrompt(option or "", one.place)
            found.prompts["between_options"] = FoundPrompt(one.options.between, one.place)


def _letters(layout: Layout) -> str | None:
    return letters_and_option(layout.options.each) if layout.options is not None else None


def _laid_out(layout: Layout, tail: str) -> str:
    """The layout as ours, without the agent's instruction at its end."""
    return as_template(layout.text, layout.place, ("question", "options")).removesuffix(tail)


def _take_cut(search: Search, found: _Found) -> None:
    """Up to which text the screen and the draft show the question."""
    cuts = question_cuts(search.modules, SCREEN_NAME)
    if len(cuts) > 1:
        raise UsageError(
            f"--prompts: the question is cut at different texts: {', '.join(cuts.values())}."
        )
    for text, place in cuts.items():
        found.prompts["short_question_until"] = FoundPrompt(text, place)


def _take_reminder(search: Search, found: _Found) -> None:
    """The words that go with every crop, and how they stand around it."""
    instruction = found.prompts["instruction"]
    reminder = instruction.text.removeprefix("{question}")
    found.prompts["reminder"] = FoundPrompt(reminder, instruction.origin)
    shown = {
        as_template(said.text, said.place, ("picture",)): said.place
        for phase, said in search.said
        if said.role == "user" and _holds_picture(said.text)
    }
    if len(shown) != 1:
        found.missing.append("how a crop is shown")
        return
    [(text, place)] = shown.items()
    if reminder:
        text = text.replace(reminder, "{reminder}")
    found.prompts["observation"] = FoundPrompt(text, place)


def _holds_picture(text: Text) -> bool:
    """Whether a message shows a picture in words of its own, and asks nothing."""
    asks = any(isinstance(p, Place) and meaning(p) == "question" for p in text.parts)
    return (
        PICTURE in text.parts[1:] and not asks and not any(isinstance(p, Items) for p in text.parts)
    )


def _take_results(search: Search, found: _Found) -> None:
    """How what the code printed stands in the model's turn."""
    opening: set[str] = set()
    closing: set[str] = set()
    place = ""
    for module in search.modules:
        for text, line in _tags(module):
            ends = RESULTS.fullmatch(text)
            if ends is not None:
                (closing if ends[1] else opening).add(text)
                place = place or f"{module.path}:{line}"
    if len(opening) == len(closing) == 1:
        whole = f"{opening.pop()}{{results}}{closing.pop()}"
        found.prompts["observation"] = FoundPrompt(whole, place)
    else:
        found.missing.append("how results are shown")


def _tags(module: Module) -> Iterator[tuple[str, int]]:
    """The texts of parts of messages, each with its line."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Dict):
            for pair in zip(node.keys, node.values, strict=True):
                match pair:
                    case (ast.Constant(value="text"), ast.Constant(value=str(text))):
                        yield text, node.lineno
