"""Fields of a chat completion that change nothing here, and those for the large model alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from speceyes_cli.host.manager import known_names
from speceyes_cli.serve.http.errors import ApiError

IGNORED = frozenset(
    (
        # sampling: decoding is greedy unless a temperature asks for more and can be had
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "seed",
        "frequency_penalty",
        "presence_penalty",
        "repetition_penalty",
        "length_penalty",
        # lengths that load tools ask for
        "min_tokens",
        "ignore_eos",
        # how prompts and texts are made, and thoughts told apart
        "skip_special_tokens",
        "spaces_between_special_tokens",
        "no_stop_trim",
        "include_stop_str_in_output",
        "include_reasoning",
        "separate_reasoning",
        "stream_reasoning",
        "chat_template_kwargs",
        "mm_processor_kwargs",
        "reasoning_effort",
        "verbosity",
        "parallel_tool_calls",
        # hints for caches and schedulers, and what is kept elsewhere
        "cache_control",
        "metadata",
        "moderation",
        "prediction",
        "prompt_cache_breakpoint",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "priority",
        "request_id",
        "rid",
        "safety_identifier",
        "service_tier",
        "store",
        "user",
        "uuid",
    )
)
"""Fields that ask for greedy decoding, or are hints: they change nothing here."""

PASSED: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "stop": ([], ""),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "audio": (),
    "web_search_options": (),
    # vLLM's and SGLang's own
    "stop_token_ids": ([],),
    "bad_words": ([],),
    "allowed_token_ids": (),
    "structured_outputs": (),
    "guided_json": (),
    "guided_regex": (),
    "guided_choice": (),
    "guided_grammar": (),
    "regex": (),
    "ebnf": (),
    "chat_template": (),
    "documents": ([],),
    "echo": (False,),
    "prompt_logprobs": (),
    "return_token_ids": (False,),
    "return_hidden_states": (False,),
    "use_beam_search": (False,),
    "best_of": (1,),
    "continue_final_message": (False,),
    "add_generation_prompt": (True,),
}
"""Fields that would have to change the answer, and the values that ask for nothing: a large model
at an endpoint serves them by itself."""


def passing_field(extra: Mapping[str, Any], read: Iterable[str]) -> str | None:
    """The first field that only the large model itself can serve; None where there is none.

    Raises `ApiError` for a field that nobody knows; `read` are those that are read elsewhere.
    """
    found = None
    for name, value in extra.items():
        if value is None or name in IGNORED:
            continue
        if name not in PASSED:
            nearest = known_names(name, [*read, *IGNORED, *PASSED]).partition("known: ")[0]
            guess = f"; {nearest.rstrip(' ?')}?" if nearest else "."
            told = f"Unknown field {name[:60]!r}{guess}"
            raise ApiError(400, told, name[:60], "unknown_parameter")
        if found is None and not any(value == harmless for harmless in PASSED[name]):
            found = name
    return found


def samples(extra: Mapping[str, Any]) -> bool:
    """Whether the request asks for other answers than the likeliest."""
    warmth = extra.get("temperature")
    return isinstance(warmth, int | float) and not isinstance(warmth, bool) and warmth > 0
