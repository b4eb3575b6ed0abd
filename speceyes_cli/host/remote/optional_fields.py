"""Fields of requests that one server takes and another refuses."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, TypeVar

Result = TypeVar("Result")

REFUSALS = (400, 422)
"""Statuses with which servers refuse a field that they do not know."""


class OptionalFields:
    """Leaves out of an endpoint's requests what it has refused.

    `repetition_penalty` and `top_k` undo a checkpoint's own sampling settings at vLLM and SGLang;
    OpenAI and `transformers serve` refuse a request that has them.
    """

    def __init__(self, names: Collection[str]) -> None:
        """`names` are the fields that a request can do without."""
        self._names = frozenset(names)
        self.refused: frozenset[str] = frozenset()
        """Those without which a request was taken."""

    async def send(
        self, send: Callable[[dict[str, Any]], Awaitable[Result]], body: Mapping[str, Any]
    ) -> Result:
        """What `send` gives for the body without the fields that are refused.

        Raises what `send` raises: an `openai.APIStatusError` that names no such field included.
        """
        import openai  # noqa: PLC0415 - slow to import

        left_out = self.refused
        while True:
            kept = {name: value for name, value in body.items() if name not in left_out}
            try:
                result = await send(kept)
            except openai.APIStatusError as error:
                named = self._named(error.status_code, error.response.text) & kept.keys()
                if not named:
                    raise
                left_out |= named
            else:
                self.refused |= left_out
                return result

    def _named(self, status: int, said: str) -> frozenset[str]:
        if status not in REFUSALS:
            return frozenset()
        return frozenset(name for name in self._names if re.search(rf"\b{name}\b", said))
