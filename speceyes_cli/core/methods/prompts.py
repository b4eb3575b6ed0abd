"""The draft's prompt, the one that no agent owns."""

from __future__ import annotations

from speceyes_cli.core.chat import Message, Picture
from speceyes_cli.core.samples import Sample, question_text, question_turns

DRAFT_INSTRUCTION = "Reply with the final answer only: no explanation, no label.\nAnswer:"

SCORE_INSTRUCTION = (
    "How good is the last step towards the answer, from 0 (wrong) to 9 (right)? "
    "Reply with one digit."
)


def score_messages(messages: tuple[Message, ...], step: str) -> tuple[Message, ...]:
    """The conversation with a proposed step at its end, and the request for its score."""
    begun: tuple[str | Picture, ...] = ()
    if messages and messages[-1].role == "assistant":  # an unfinished turn that the step goes on
        begun = messages[-1].content
        messages = messages[:-1]
    proposed = Message("assistant", (*begun, step))
    return (*messages, proposed, Message("user", (SCORE_INSTRUCTION,)))


def draft_messages(sample: Sample) -> tuple[Message, ...]:
    """The conversation, and in the question's turn a request for nothing but the answer."""
    return question_turns(sample, f"{question_text(sample)}\n{DRAFT_INSTRUCTION}")
