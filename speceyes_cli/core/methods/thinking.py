"""Drafts of models that think first: the answer is what follows the thought."""

from __future__ import annotations

from dataclasses import replace

from speceyes_cli.core.chat import Reply

THOUGHT_BEGIN = "<think>"
THOUGHT_END = "</think>"


def without_thought(reply: Reply, *, scored_after: str) -> Reply:
    """The draft as it may be shown and accepted: without its thought.

    `scored_after` is the ask's. Where the thought never ended, or the scores are of a thought that
    nobody expected too, the reply has no scores, and so no gate accepts it.
    """
    thought, end, answer = reply.text.rpartition(THOUGHT_END)
    if end and scored_after and THOUGHT_END not in thought:
        return replace(reply, text=answer.strip())
    if end:
        return replace(reply, text=answer.strip(), statistics=(), pieces=())
    begun = reply.text.lstrip().startswith(THOUGHT_BEGIN)
    if begun or (scored_after and reply.finish != "stop"):
        return replace(reply, text="", statistics=(), pieces=())
    return reply
