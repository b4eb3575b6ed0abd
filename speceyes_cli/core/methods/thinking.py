"""Drafts of models that think first: the answer is what follows the thought."""

from __future__ import annotations

import re
from dataclasses import replace

from speceyes_cli.core.chat import Reply

THOUGHT_BEGIN = "<think>"
THOUGHT_END = "</think>"
THOUGHTS = re.compile(r"<(?P<end>/?)(?P<name>think|tool_call|code)(?:\s[^<>]*)?>", re.IGNORECASE)
BEGUN = re.compile(
    r"</?(?:(?:think|tool_call|code)(?:\s[^<>]*)?|t(?:h|hi|hin|o|oo|ool|ool_|ool_c|ool_ca|ool_cal)?"
    r"|c(?:o|od)?)?",
    re.IGNORECASE,
)
"""What may yet become one of these tags."""


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


def split_thoughts(text: str, *, whole: bool = False) -> tuple[str, str]:
    """What stands within the tags of thoughts and calls, and the rest.

    Of a text that is not `whole` yet, what may become a tag at its end is left out, so that the
    first only ever gets longer.
    """
    inside: list[str] = []
    outside: list[str] = []
    opened, place = "", 0
    for tag in THOUGHTS.finditer(text):
        name, ends = tag["name"].lower(), bool(tag["end"])
        if opened and not (ends and name == opened):
            continue
        before = text[place : tag.start()]
        if opened or (ends and name == "think" and not inside):  # the prompt may open the thought
            inside += [before, "\n"]
        else:
            outside.append(before)
        opened, place = "" if ends else name, tag.end()
    rest = text[place:]
    cut = rest.rfind("<")
    if not whole and cut >= 0 and BEGUN.fullmatch(rest, cut):
        rest = rest[:cut]
    (inside if opened else outside).append(rest.removesuffix("\ufffd"))
    return "".join(inside), "".join(outside)
