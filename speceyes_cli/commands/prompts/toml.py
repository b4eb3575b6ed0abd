"""Prompts as a TOML file that gives back every character."""

from __future__ import annotations

import json
from collections.abc import Mapping

from speceyes_cli.core.text import one_line


def as_toml(texts: Mapping[str, str], origins: Mapping[str, str]) -> str:
    """A file with each text under its key, on one line, below a comment on its origin."""
    lines = []
    for key, text in texts.items():
        lines += [f"# {one_line(origins[key], 300)}", f"{key} = {_string(text)}", ""]
    return "\n".join(lines)


def _string(text: str) -> str:
    """A basic string; JSON's escapes are TOML's too, which also wants DEL escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
