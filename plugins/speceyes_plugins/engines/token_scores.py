"""Log-probabilities of a reply, read into the statistics that logits give.

The score is shift-invariant, so the K largest log-probabilities give the same score
as logits. A reply whose log-probabilities are missing or undefined is never a sure draft.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from speceyes_cli.plugin import TokenScore

__all__ = ["LogprobsError", "Token", "read_tokens", "score_tokens"]

MASKED = -9998.0
"""vLLM writes -9999 for minus infinity, which only processed log-probabilities hold."""
SLACK = 0.25
"""Nats by which the chosen token may lie below the top one: a tie in bfloat16, not a penalty."""


LARGEST_SUM = 1.2
"""Of the probabilities of one token's candidates, rounding included; logits come to more."""


class LogprobsError(Exception):
    """The server's log-probabilities cannot be trusted."""


class Token(NamedTuple):
    """One generated token."""

    text: bytes
    logprob: float
    top: tuple[float, ...]
    """The largest log-probabilities, in descending order."""


def read_tokens(choice: Mapping[str, Any], generated: int | None) -> list[Token]:
    """The tokens before the end of sequence; raises `LogprobsError`.

    `generated` is the server's own count of tokens, where it gives one.
    """
    held = choice.get("logprobs")
    entries = held.get("content") if isinstance(held, Mapping) else None
    text = choice["message"].get("content") or ""
    if not isinstance(entries, list) or (not entries and text):
        raise LogprobsError("the server sent no log-probabilities with its answer")
    if generated is not None and len(entries) < generated - 1:  # the end need not have an entry
        raise LogprobsError(
            f"the server sent log-probabilities of {len(entries)} of its {generated} tokens"
        )
    try:
        tokens = [_read_token(entry) for entry in entries]
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise LogprobsError("the server's log-probabilities are not in OpenAI's form") from error
    if tokens and choice.get("finish_reason") == "stop":
        last = tokens[-1].text
        if not last or not text.encode("utf-8", "replace").endswith(last):
            tokens.pop()  # the end of sequence has an entry that the text does not show
    return tokens


def score_tokens(tokens: Sequence[Token], k: int, kept: int = 0) -> tuple[TokenScore, ...]:
    """Each token's statistics from its K largest log-probabilities; raises `LogprobsError`.

    Of the log-probabilities that came, at most `kept` are kept as gaps (`TokenScore.rivals`).
    """
    if not tokens:
        return ()
    fewest = min(len(token.top) for token in tokens)
    if fewest < k:
        raise LogprobsError(f"the server sent {fewest} log-probabilities of a token; {k} are asked")
    if any(value <= MASKED for token in tokens for value in token.top[:k]):
        raise LogprobsError(
            "the server sends processed log-probabilities, with -9999 among them; "
            "start vLLM with --logprobs-mode raw_logprobs"
        )
    if any(are_logits(token.top) for token in tokens):
        raise LogprobsError(
            "the server sends logits in the place of log-probabilities; start vLLM with "
            "--logprobs-mode raw_logprobs"
        )
    import torch  # noqa: PLC0415 - heavy
    from speceyes_kernels import token_statistics  # noqa: PLC0415 - heavy

    found = token_statistics(torch.tensor([token.top[:k] for token in tokens]), k=k)
    columns = (found.separability.tolist(), found.margin.tolist(), found.entropy.tolist())
    return tuple(
        _score(token, separability, margin, entropy, kept)
        for token, separability, margin, entropy in zip(tokens, *columns, strict=True)
    )


def are_logits(top: Sequence[float]) -> bool:
    """Whether the values cannot be log-probabilities: their exponentials add up to more than 1."""
    known = [value for value in top if math.isfinite(value)]
    return sum(math.exp(min(value, 1.0)) for value in known) > LARGEST_SUM


def _score(
    token: Token, separability: float, margin: float, entropy: float, kept: int
) -> TokenScore:
    top = token.top[0]
    if math.isnan(separability):
        fault = "nan" if any(map(math.isnan, token.top)) else "infinite"
        return TokenScore(math.nan, math.nan, math.nan, math.nan, fault)
    if token.logprob < top - SLACK:  # chosen by chance or by a penalty: the gate saw another choice
        return TokenScore(math.nan, math.nan, math.nan, math.nan, "not_greedy")
    rivals = tuple(round(top - value, 5) for value in token.top[1:kept])
    return TokenScore(separability, top, margin, entropy, "", rivals)


def _read_token(entry: Mapping[str, Any]) -> Token:
    told = entry.get("bytes")
    if not isinstance(told, list | None):  # `bytes` of a number would be that many zeros
        raise TypeError
    text = bytes(told) if told is not None else str(entry["token"]).encode("utf-8", "replace")
    top = sorted((_number(rival["logprob"]) for rival in entry["top_logprobs"]), reverse=True)
    return Token(text, _number(entry["logprob"]), tuple(top))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return float(value)
