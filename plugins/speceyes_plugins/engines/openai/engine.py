"""The remote engine: a model behind an OpenAI-compatible endpoint such as vLLM or SGLang."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from speceyes_cli.plugin import (
    Ask,
    ContextLengthError,
    EngineOptions,
    Finish,
    Picture,
    Reply,
    RunStopError,
    ServerLostError,
    Size,
    TokenScore,
    UsageError,
    writable,
)
from speceyes_plugins.engines.openai.addresses import api_key, parse_address
from speceyes_plugins.engines.openai.client import (
    LIMITS,
    Completion,
    EndpointClient,
    EndpointError,
    RetryLimits,
)
from speceyes_plugins.engines.openai.pictures import PictureWriter, data_url
from speceyes_plugins.engines.openai.probe import RETRIES, Probe, prompt_tokens, turn_hindrance
from speceyes_plugins.engines.openai.streaming import whole_text
from speceyes_plugins.engines.openai.tools import IN_SYSTEM, ToolForm, find_form, read_calls
from speceyes_plugins.engines.openai.wire import (
    GREEDY,
    first_choice,
    piece,
    read_count,
    with_stop,
    write_ask,
    write_message,
)
from speceyes_plugins.engines.token_scores import LogprobsError, Token, read_tokens, score_tokens

log = logging.getLogger(__name__)

CONCURRENCY = 32
"""Requests in flight by default: enough to fill a server's batch, few enough for a shared one."""
ENDED = ("stop", "tool_calls", "function_call")
"""What a server says of an answer that the model has ended itself."""
HOPELESS = (401, 403, 404)
"""Statuses that the later asks of a run would meet too; a gateway may have them for a while."""
BAD_REQUEST = 400
TOO_LONG = re.compile(r"(?i)context.{0,3}length|maximum model length|max_model_len|context size")
"""How vLLM, SGLang, llama.cpp and OpenAI name the length of a model's context."""


class OpenAIEngine:
    """Drives one model at one address; nothing of it runs here."""

    max_batch = 1

    def __init__(self, options: EngineOptions, limits: RetryLimits = LIMITS) -> None:
        """Ask the endpoint what it can do; raises `UsageError` when it will not do."""
        self._options = options
        self._address = parse_address(options.model, options.role)
        self.workers = options.concurrency or CONCURRENCY
        self.group = self._address.url
        key = api_key(options.role)
        self._endpoint = EndpointClient(self._address.url, key, self.workers, limits)
        try:
            self._finding = Probe(self._endpoint, self._address, options).look()
        except BaseException:
            self._endpoint.close()
            raise
        self._pictures = PictureWriter(self._finding.rule)
        self._turns: list[str | None] = []
        """What was found of turns that go on, once it was needed."""
        self._tools: ToolForm | None = None
        self._lock = threading.Lock()

    @property
    def introduction(self) -> str:
        """What was found, in one line."""
        told = self._finding.sentence(self._address.url, self._options)
        return f"{told} · {self.workers} requests at once"

    def generate(self, asks: Sequence[Ask]) -> Sequence[Reply | Exception]:
        """Answer each ask; raises `RunStopError` for what no later ask could escape."""
        return [self._answer(ask) for ask in asks]

    def rehearse(self, ask: Ask) -> str | None:
        """What keeps the server from this ask, as far as it can be told; None: nothing.

        Its chat template is not at hand: only a turn that goes on is tried.
        """
        try:
            hindrance = self._turn_hindrance() if ask.continue_turn else None
        except EndpointError as error:
            address = f"--{self._options.role} {self._address.url}"
            raise UsageError(f"{address}: {error}.") from None
        return f"the server {hindrance}" if hindrance else None

    def forward(
        self, body: Mapping[str, Any], emit: Callable[[Mapping[str, Any]], None]
    ) -> Future[None]:
        """Have the endpoint answer a request as a client wrote it; see `Forwarding`."""
        return self._endpoint.forward({**body, "model": self._finding.model}, emit)

    def forget(self, trajectory: str) -> None:
        """Drop the trajectory's encoded pictures."""
        self._pictures.forget(trajectory)

    def describe(self) -> Mapping[str, Any]:
        """What `run.json` keeps; never the key."""
        rule = self._finding.rule
        return {
            "engine": "openai",
            "url": self._address.url,
            "model": self._finding.model,
            "logprobs": self._finding.mode,
            "factor": rule.factor if rule else None,
            "min_pixels": rule.min_pixels if rule else None,
            "max_pixels": rule.max_pixels if rule else None,
            "box_frame": self._finding.box_frame,
        }

    def close(self) -> None:
        """Close the connections."""
        self._endpoint.close()

    def _answer(self, ask: Ask) -> Reply | Exception:
        if ask.continue_turn and (hindrance := self._turn_hindrance()):
            raise RunStopError(f"{self._address.url} {hindrance}.")
        frames: list[Size] = []

        def show(picture: Picture) -> str:
            shown = self._pictures.show(picture, ask.trajectory)
            frames.append(shown.frame)
            return shown.url

        try:
            form = self._tool_form() if ask.tools else IN_SYSTEM
            body = {**write_ask(ask, self._finding.model, show, form), **self._finding.budget}
            watch = ask.watch if ask.gate is None else None  # a draft is read as a whole
            reply = read_reply(ask, self._endpoint.complete(body, watch), tuple(frames))
            if self._endpoint.tells_secret("".join(reply.pieces)):
                reply = replace(reply, pieces=())
            return replace(reply, box_frame=self._finding.box_frame)
        except EndpointError as error:
            told = f"{self._address.url}: {error}; finished samples are kept."
            if error.gone or error.status in HOPELESS:
                raise ServerLostError(told) from error
            if error.status == BAD_REQUEST and TOO_LONG.search(error.said):
                return ContextLengthError(
                    f"The conversation is too long for the {ask.role} model: {error.said}"
                )
            return EndpointError(f"{self._address.url}: {error}", error.status)
        except Exception as error:  # noqa: BLE001 - a picture or an answer that cannot be read
            return error

    def _tool_form(self) -> ToolForm:
        """How the server is told of tools, found out at the first ask that has some."""
        with self._lock:
            if self._tools is None:
                self._tools = find_form(
                    self._count_prompt,
                    lambda message: write_message(message, lambda one: data_url(one.open())),
                )
                log.info("%s is told of %s", self._address.url, self._tools.sentence)
            return self._tools

    def _count_prompt(self, fields: Mapping[str, Any]) -> int | None:
        """The tokens of a prompt with these fields, as the server tells them."""
        body = {"model": self._finding.model, "max_tokens": 1, **GREEDY, **fields}
        return prompt_tokens(self._endpoint.look(body, RETRIES))

    def _turn_hindrance(self) -> str | None:
        """What keeps the server from going on within an assistant turn; asked for once."""
        with self._lock:
            if not self._turns:
                self._turns.append(turn_hindrance(self._endpoint, self._finding.model))
            return self._turns[0]


def read_reply(ask: Ask, answered: Completion, frames: tuple[Size, ...]) -> Reply:
    """A chat completion as a reply; raises `EndpointError` or `LogprobsError`."""
    choice = first_choice(answered.body)
    finish: Finish
    if (ended := choice.get("finish_reason")) in ENDED:
        finish = "stop"
    elif ended == "length":
        finish = "length"
    else:
        raise EndpointError(f"it ended its answer with {str(ended)[:40]!r}")
    usage = answered.body.get("usage")
    generated = read_count(usage.get("completion_tokens") if isinstance(usage, Mapping) else None)
    said = writable(whole_text(choice["message"]))
    text, at_stop = with_stop(said, ask.stop, choice)
    scores: tuple[TokenScore, ...] = ()
    pieces: tuple[str, ...] = ()
    if ask.gate is not None:
        tokens = read_tokens(choice, generated)
        generated = len(tokens)
        first = first_scored(tokens, ask.scored_after)
        if not first and ask.scored_after and ask.scored_after in said:
            raise LogprobsError(
                "its log-probabilities do not show where the thought ends; start the server "
                "without a reasoning parser"
            )
        scored = tokens[first:]
        scores = score_tokens(scored, ask.gate.top_k, ask.gate.kept)
        pieces = tuple(piece(token.text) for token in scored)
    elif generated is None:
        generated = 0
    elif finish == "stop" and not at_stop:
        generated = max(0, generated - 1)  # the end of sequence, which a reply does not count
    read = usage if isinstance(usage, Mapping) else {}
    details = read.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else None
    return Reply(
        text,
        generated,
        finish,
        scores,
        answered.seconds,
        frames,
        pieces=pieces,
        prompt_tokens=read_count(read.get("prompt_tokens")),
        cached_tokens=read_count(cached) or 0,
        calls=read_calls(choice["message"]),
    )


def first_scored(tokens: Sequence[Token], after: str) -> int:
    """The first token after the text that scoring waits for; 0 where that never came."""
    said, wanted = b"", after.encode()
    for place, token in enumerate(tokens if after else (), start=1):
        said += token.text
        if wanted in said:
            return place
    return 0
