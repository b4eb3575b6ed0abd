"""What is wrong with a request, in one sentence that names the place as the client wrote it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from speceyes_cli.serve.http.errors import ApiError

LONGEST_PLACE = 120
TAGS = ("union_tag_invalid", "union_tag_not_found")
ROLES = "system, developer, user, assistant and tool"


def complaint(error: ValidationError, request: Any) -> ApiError:
    """The first fault that was found in the request."""
    first = error.errors(include_url=False, include_input=False)[0]
    kind, place = first["type"], place_in(request, first["loc"], first["type"])
    if kind in TAGS:
        tag = str(first.get("ctx", {}).get("tag", ""))[:40]
        what = f"there is no role {tag!r}" if kind == "union_tag_invalid" else "the role is missing"
        told = f"{place}.role: {what}; there are {ROLES}."
        return ApiError(400, told, f"{place}.role", "invalid_value")
    if kind == "extra_forbidden":
        return ApiError(400, f"Unknown field {place!r}.", place, "unknown_parameter")
    code = "missing_required_parameter" if kind == "missing" else "invalid_value"
    return ApiError(400, f"{place or 'The body'}: {first['msg']}.", place, code)


def place_in(request: Any, steps: Sequence[str | int], kind: str) -> str | None:
    """Where in the request a fault is: `messages[0].content[1].text`; None: the whole of it.

    Steps that are pydantic's own, such as the member of a union, are left out.
    """
    value, place = request, ""
    for number, step in enumerate(steps):
        inside, held = _step(value, step)
        if inside:
            value = held
        elif kind != "missing" or number < len(steps) - 1:
            continue
        place += f"[{step}]" if isinstance(step, int) else f".{step}"
    return place.removeprefix(".")[:LONGEST_PLACE] or None


def _step(value: Any, step: str | int) -> tuple[bool, Any]:
    """Whether the step leads into the value, and what is there."""
    if isinstance(step, int):
        fits = isinstance(value, list) and step < len(value)
    else:
        fits = isinstance(value, Mapping) and step in value
    return (True, value[step]) if fits else (False, None)
