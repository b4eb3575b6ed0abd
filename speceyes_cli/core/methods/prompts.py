"""The draft's and the score's prompts, those that no agent owns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from speceyes_cli.core.chat import Message, Picture
from speceyes_cli.core.samples import (
    OWN_LAYOUT,
    QuestionLayout,
    Sample,
    question_turns,
    short_question,
    with_question,
)

DRAFT_INSTRUCTION = "Reply with the final answer only: no explanation, no label.\nAnswer:"

SCORE_INSTRUCTION = (
    "How good is the last step towards the answer, from 0 (wrong) to 9 (right)? "
    "Reply with one digit."
)

LAYOUT_KEYS = {
    "question": "with_options",
    "question_alone": "alone",
    "option": "option",
    "between_options": "between_options",
    "short_question_until": "short_until",
}
"""Keys of a prompts file that lay out the question, each with its field of `QuestionLayout`."""
METHOD_KEYS = ("draft_system", "draft", "score", *LAYOUT_KEYS)
"""Keys of a prompts file that no agent owns."""


@dataclass(frozen=True, slots=True)
class MethodPrompts:
    """What a method says to models by itself."""

    draft_system: str = ""
    """Empty: no system message."""
    draft: str = DRAFT_INSTRUCTION
    """With {question} where the question stands; without, it follows the question."""
    score: str = SCORE_INSTRUCTION
    question: QuestionLayout = OWN_LAYOUT


def method_prompts(texts: Mapping[str, str]) -> MethodPrompts:
    """Our own prompts with the given ones in their places; keys of agents are left out."""
    own = MethodPrompts()
    layout = {field: texts[key] for key, field in LAYOUT_KEYS.items() if key in texts}
    return MethodPrompts(
        draft_system=texts.get("draft_system", own.draft_system),
        draft=texts.get("draft", own.draft),
        score=texts.get("score", own.score),
        question=QuestionLayout(**layout),
    )


OWN_PROMPTS = MethodPrompts()


def score_messages(
    messages: tuple[Message, ...], step: str, instruction: str = SCORE_INSTRUCTION
) -> tuple[Message, ...]:
    """The conversation with a proposed step at its end, and the request for its score."""
    begun: tuple[str | Picture, ...] = ()
    if messages and messages[-1].role == "assistant":  # an unfinished turn that the step goes on
        begun = messages[-1].content
        messages = messages[:-1]
    proposed = Message("assistant", (*begun, step))
    return (*messages, proposed, Message("user", (instruction,)))


def draft_messages(sample: Sample, prompts: MethodPrompts = OWN_PROMPTS) -> tuple[Message, ...]:
    """The conversation, and in the question's turn a request for nothing but the answer."""
    text = with_question(prompts.draft, short_question(sample, prompts.question))
    return question_turns(sample, text, prompts.draft_system)


def texts_of(prompts: MethodPrompts) -> dict[str, str]:
    """The texts by their keys in a prompts file."""
    texts = {"draft_system": prompts.draft_system, "draft": prompts.draft, "score": prompts.score}
    layout = {key: getattr(prompts.question, field) for key, field in LAYOUT_KEYS.items()}
    return {**texts, **layout}
