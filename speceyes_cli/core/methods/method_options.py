"""How a method goes about it, as one value that every policy is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from speceyes_cli.core.methods.prompts import OWN_PROMPTS, MethodPrompts

Screen = Literal["large", "small", "none"]

DRAFT_TOKENS = 20  # the limit of the paper's published code
THINKING_TOKENS = 1_024


@dataclass(frozen=True, slots=True)
class MethodOptions:
    """How a method screens and drafts; the defaults are the paper's own."""

    screen: Screen = "large"
    """The model asked whether a tool would help; "none" drafts every sample."""
    draft_tokens: int = DRAFT_TOKENS
    """Tokens after which a draft is cut; a cut draft never stands."""
    thinking: bool = False
    """The small model thinks first: its draft is what follows the thought."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the method's own plugin declares (`MethodSpec.options`), given or by default."""
    prompts: MethodPrompts = OWN_PROMPTS
    """What the method says to models by itself."""
    as_paper: bool = False
    """A screen's reply that begins with "no" passes, as in the paper's own code."""


PAPER = MethodOptions()
