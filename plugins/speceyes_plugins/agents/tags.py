"""What agents share: reading tags from a reply, and prompts from TOML files."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from speceyes_cli.plugin import UsageError


def between(text: str, opening: str, closing: str) -> str | None:
    """What follows the last opening tag, up to its closing tag or the end of the text."""
    start = text.rfind(opening)
    if start < 0:
        return None
    rest = text[start + len(opening) :]
    end = rest.find(closing)
    return rest if end < 0 else rest[:end]


def load_prompts(package: str, replacement: Path | None) -> Mapping[str, str]:
    """The prompts packaged with an agent, with the keys of a user's TOML file put over them."""
    packaged = resources.files(package).joinpath("prompts.toml").read_text(encoding="utf-8")
    prompts: dict[str, Any] = tomllib.loads(packaged)
    if replacement is not None:
        try:
            own = tomllib.loads(replacement.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise UsageError(f"--prompts {replacement}: {error}") from error
        unknown = sorted(set(own) - set(prompts))
        if unknown:
            raise UsageError(
                f"--prompts {replacement}: unknown key {unknown[0]!r}; known: {', '.join(prompts)}"
            )
        prompts |= own
    return {name: str(text).strip("\n") for name, text in prompts.items()}
