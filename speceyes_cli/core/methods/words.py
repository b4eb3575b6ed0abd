"""A question without a picture: no tool could help, so nobody asks whether one would."""

from __future__ import annotations

from speceyes_cli.core.agents import Policy
from speceyes_cli.core.chat import Answer, Ask, Message
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.methods.method_options import PAPER, MethodOptions
from speceyes_cli.core.methods.policies import finite, write_draft
from speceyes_cli.core.methods.thinking import split_thoughts
from speceyes_cli.core.samples import Sample

ANSWER_PHASE = "answer"


def answer_words(
    sample: Sample,
    gate: Gate | None,
    max_new_tokens: int,
    method_options: MethodOptions = PAPER,
) -> Policy:
    """The large model answers at once, in at most `max_new_tokens`.

    With a gate the small model is asked first, and its draft stands where the gate accepts it.
    """
    confidence = None
    if gate is not None:
        draft = yield from write_draft(sample, gate, method_options)
        confidence = finite(gate.confidence(draft))
        if gate.accepts(draft):
            return Answer(draft.text.strip(), source="small", confidence=confidence)
    asked = (*sample.earlier, Message("user", (*sample.before_question, sample.question)))
    reply = yield Ask("large", asked, max_new_tokens=max_new_tokens, phase=ANSWER_PHASE)
    details = {"stopped": "max_tokens"} if reply.finish == "length" else {}
    text = split_thoughts(reply.text, whole=True)[1].strip()
    return Answer(text, source="large", confidence=confidence, details=details)
