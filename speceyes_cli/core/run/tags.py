"""What each field of a run's configuration decides, and of which part of a run it is.

What a baseline must share with a run, what a certificate binds, what a key of the call cache holds
and what can be swept all follow from these tags.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pydantic import BaseModel

Decides = Literal["answers", "time", "neither"]
"""What another value can change: a sample's answer, or only how long it takes, or which samples are
answered."""
Part = Literal["samples", "files", "method", "draft", "gate", "agent", "machine", "keyed"]
"""Of what a field tells: which questions are asked; where they and models are read from, which is
compared by contents; how the two models work together; the small model; the gate; the agent and its
large model; how models run; or, by key, of several parts."""
AGENT_KEYS = ("agent", "large")
"""Of a `keyed` field, the keys that tell of the agent."""


@dataclass(frozen=True, slots=True)
class Tag:
    """The metadata of one field."""

    decides: Decides
    part: Part


def tags_of(model: type[BaseModel]) -> dict[str, Tag]:
    """Each field's tag, in the order of fields; `KeyError` for a field that has none."""
    found = {}
    for name, field in model.model_fields.items():
        tag = next((one for one in field.metadata if isinstance(one, Tag)), None)
        if tag is None:
            raise KeyError(f"{model.__name__}.{name} has no Tag")
        found[name] = tag
    return found


def tagged(
    model: type[BaseModel], decides: Collection[Decides], parts: Collection[Part]
) -> tuple[str, ...]:
    """The fields that decide any of these and are of any of these parts, in order."""
    return tuple(
        name for name, tag in tags_of(model).items() if tag.decides in decides and tag.part in parts
    )
