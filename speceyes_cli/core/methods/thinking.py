"""Drafts of models that think first: the answer is what follows the thought."""

from __future__ import annotations

from dataclasses import replace

from speceyes_cli.core.chat import Reply

THOUGHT_BEGIN = "<think>"
THOUGHT_END = "</think>"


def without_thought(reply: Reply) -> Reply:
    """The reply without its thought; empty, and without scores, where the thought never ended."""
    _, end, answer = reply.text.partition(THOUGHT_END)
    if end:
        return replace(reply, text=answer.strip())
    if reply.finish == "stop" and not reply.text.lstrip().startswith(THOUGHT_BEGIN):
        return reply
    return replace(reply, text="", statistics=(), pieces=())
