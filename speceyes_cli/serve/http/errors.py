"""Error responses in OpenAI's form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from speceyes_cli.core.text import one_line

SERVER = "server_error"
SENTENCE = 400
"""Characters of a message: enough for a sentence, too few to echo what a client sent."""


@dataclass
class ApiError(Exception):
    """A request that is answered with a status and a sentence."""

    status: int
    message: str
    param: str | None = None
    """The field at fault."""
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.message


def error_body(error: ApiError) -> dict[str, Any]:
    """The JSON that OpenAI's clients know how to read."""
    kinds = {401: "authentication_error", 429: "rate_limit_error", 500: SERVER, 503: SERVER}
    return {
        "error": {
            "message": one_line(error.message, SENTENCE),
            "type": kinds.get(error.status, "invalid_request_error"),
            "param": error.param,
            "code": error.code,
        }
    }


def full(told: str, seconds: int) -> ApiError:
    """There is no room now; `told` says why."""
    return ApiError(
        429,
        f"{told}; try again in {seconds} s.",
        code="rate_limit_exceeded",
        headers={"Retry-After": str(seconds)},
    )


def closed() -> ApiError:
    """The server takes nothing more."""
    return ApiError(503, "The server is stopping.", code="stopping", headers={"Retry-After": "5"})


def own_fault() -> ApiError:
    """A defect of ours, whose traceback is in the log."""
    return ApiError(500, "The server made an error; see its log.")
