"""What an endpoint can do, found out with a few requests of one token before a run begins."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from PIL import Image

from speceyes_cli.plugin import BoxFrame, EngineOptions, Role, Size, UsageError, one_line, writable
from speceyes_plugins.engines.box_frames import frame_of_served
from speceyes_plugins.engines.openai.addresses import Address, key_variables
from speceyes_plugins.engines.openai.client import EndpointClient, EndpointError
from speceyes_plugins.engines.openai.pictures import data_url
from speceyes_plugins.engines.openai.wire import GREEDY, first_choice, read_count
from speceyes_plugins.engines.resize_rule import FACTORS, Bounds, ResizeRule, find_rule
from speceyes_plugins.engines.token_scores import MASKED, LogprobsError, are_logits, read_tokens

log = logging.getLogger(__name__)

QUESTION = "Is red a colour? Answer yes or no, A or B, left or right, red or blue."
LESSER_K = (20, 5, 1)
"""What other servers serve at most: vLLM by default and OpenAI 20, some 5."""
LARGEST = re.compile(r"(?:max(?:imum)? allowed|less than or equal to|at most|<=)\D{0,20}(\d{1,6})")
"""How servers tell the largest K when they refuse a larger one."""
SLOW_SECONDS = 5.0
"""An answer that takes longer is told of while it is awaited."""
PENALTY = 2.0
SAME = 1e-3
"""Nats: raw values do not move by more when a penalty is asked for."""
MARKS = 2  # vision_start and vision_end, which Qwen's templates put around a picture
SMALL, SQUARE, BROAD = Size(32, 32), Size(448, 448), Size(448, 224)
LARGE_SIDES = (2016, 1344, 896)
"""Largest picture to try, in pixels a side: multiples of 28 and 32, down to a short context."""
PICTURES = 8  # an agent's loop of six turns shows seven; one to spare
RETRIES = 2
NO_LIST = (404, 405, 500, 501)
"""Statuses of a server or gateway that has no list of models; the named one is then asked."""
TRUST_FLAG = "--trust-request-mm-kwargs"
BOXES: Mapping[BoxFrame | None, str] = {
    "pixels": "boxes in pixels",
    "relative": "boxes from 0 to 1000",
    None: "boxes taken for pixels",
}

OPENS_TURNS = (
    "does not go on within an assistant turn (continue_final_message), as this agent needs; serve "
    "it with vLLM or SGLang"
)
DROPS_PICTURES = (
    "shows the model no picture within an assistant turn, as this agent needs: the chat template "
    "leaves it out; name the model itself, or vllm:MODEL, in the place of the address"
)

Mode = Literal["raw", "processed", "unknown"]


class EndpointFinding(NamedTuple):
    """What is known of an endpoint and its one model."""

    model: str
    mode: Mode | None
    """Of its log-probabilities; None: they were not needed."""
    rule: ResizeRule | None
    """How it resizes pictures; None: not known, or not needed."""
    budget: Mapping[str, Any]
    """What each request says about picture areas: `mm_processor_kwargs`, or nothing."""
    pictures: int | None
    """Pictures it takes in a request, where fewer than `PICTURES`."""
    box_frame: BoxFrame | None
    """What its boxes are measured in, as far as its name and its resize rule tell."""

    def sentence(self, url: str, options: EngineOptions) -> str:
        """All of it in one line."""
        told = [f"{url} serves {self.model}"]
        if self.mode is not None:
            told.append(f"top {options.top_k} log-probabilities, {self.mode}")
        if self.rule is not None:
            square = self.rule.factor**2
            least, most = -(-self.rule.min_pixels // square), self.rule.max_pixels // square
            told.append(
                f"pictures of {least:,} to {most:,} tokens, {self.rule.factor} pixels square each"
            )
        else:
            told.append("pictures as they are")
        if options.role == "large":
            told.append(f"{self.pictures or f'{PICTURES} or more'} pictures a request")
            told.append(BOXES[self.box_frame])
        return " · ".join(told)


class TopValues(NamedTuple):
    """What one question for log-probabilities came to."""

    values: tuple[float, ...]
    """In descending order; empty: none came."""
    said: str = ""
    """The server's words, where it refused."""


class Probe:
    """Asks one endpoint what a role needs to know; every refusal is a `UsageError`."""

    def __init__(self, endpoint: EndpointClient, address: Address, options: EngineOptions) -> None:
        self._endpoint = endpoint
        self._budget_refusal = ""
        self._address = address
        self._options = options
        self._model = address.model

    def look(self) -> EndpointFinding:
        """Everything a run must know before its first ask."""
        try:
            self._model = self._find_model()
            text = self._ask([_text(QUESTION)])
            mode = self._find_mode() if self._options.role == "small" else None
            pictures = self._find_pictures()
            rule, budget = self._find_rule(prompt_tokens(text))
        except EndpointError as error:
            raise self._refuse(str(error), _advice(error, self._options.role)) from None
        box_frame = frame_of_served(self._model, rule.factor if rule else None)
        return EndpointFinding(self._model, mode, rule, budget, pictures, box_frame)

    def _find_model(self) -> str:
        wanted = self._address.model
        try:
            served = [writable(str(item.get("id", ""))) for item in self._endpoint.models()]
        except EndpointError as error:
            if wanted and error.status in NO_LIST:
                return wanted
            raise
        known = one_line(", ".join(served[:10]), 300) or "none"
        if wanted and wanted not in served:
            raise self._refuse(f"it does not serve {wanted!r}", f"it serves {known}")
        if not wanted and len(served) != 1:
            raise self._refuse("it serves not one model", f"name one after #, of {known}")
        return wanted or served[0]

    def _find_mode(self) -> Mode:
        k = self._options.top_k
        with told_when_slow(
            f"{self._address.url} works on its first answer with log-probabilities; vLLM may "
            "compile for a minute before it"
        ):
            asked = self._top(k, compiles=True)
        plain = asked.values
        if len(plain) < k:
            served = self._largest(k, asked.said)
            if not served:
                raise self._refuse(
                    "it sends no log-probabilities", "the gate cannot work; use vLLM or SGLang"
                )
            raise self._refuse(
                f"it serves {served} log-probabilities of a token, not {k}",
                f"start vLLM with --max-logprobs {k}, or use --top-k {served} with a threshold "
                "calibrated for it",
            )
        if min(plain) <= MASKED:
            raise self._refuse(
                "its log-probabilities are processed and hold -9999",
                "start vLLM with --logprobs-mode raw_logprobs",
            )
        if are_logits(plain):
            raise self._refuse(
                "it sends logits in the place of log-probabilities",
                "start vLLM with --logprobs-mode raw_logprobs",
            )
        penalised = self._top(k, repetition_penalty=PENALTY).values
        if len(penalised) < k or "repetition_penalty" in self._endpoint.refused:
            return "unknown"
        moved = max(abs(a - b) for a, b in zip(plain, penalised, strict=False))
        return "raw" if moved <= SAME else "processed"

    def _largest(self, k: int, said: str) -> int:
        """The most log-probabilities of a token that it serves, below K; 0: none."""
        found = LARGEST.search(said)
        told = (int(found.group(1)),) if found else ()
        return next(
            (n for n in (*told, *LESSER_K) if 0 < n < k and len(self._top(n).values) >= n), 0
        )

    def _top(self, k: int, *, compiles: bool = False, **changes: Any) -> TopValues:
        """The log-probabilities of one token; none when the server refuses or sends none."""
        body = {"logprobs": True, "top_logprobs": k, **changes}
        try:
            answered = self._ask([_text(QUESTION)], compiles=compiles, **body)
        except EndpointError as error:
            if error.status in (400, 422):
                return TopValues((), error.said)
            raise
        choice = {**first_choice(answered), "finish_reason": "length"}  # keep an early end too
        try:
            return TopValues(next((token.top for token in read_tokens(choice, None)), ()))
        except LogprobsError:
            return TopValues(())

    def _find_pictures(self) -> int | None:
        tiny = _picture(SQUARE)
        try:
            self._ask([tiny, _text(QUESTION)])
        except EndpointError as error:
            if error.status in (400, 422, 500):
                raise self._refuse(
                    f"{self._model} takes no pictures ({error.said})", "name a vision model"
                ) from None
            raise
        if self._options.role == "small":
            return None
        try:
            self._ask([tiny] * PICTURES)
        except EndpointError as error:
            if error.status not in (400, 422):
                raise
            found = re.search(r"[Aa]t most (\d+)", error.said)
            limit = int(found.group(1)) if found else 1
            if limit < 2:  # noqa: PLR2004 - the picture and one crop of it
                raise self._refuse(
                    "it takes one picture a request, and agents show crops beside it",
                    """start vLLM with --limit-mm-per-prompt '{"image": 8}'""",
                ) from None
            return limit
        return None

    def _find_rule(self, text_tokens: int | None) -> tuple[ResizeRule | None, Mapping[str, Any]]:
        """How pictures are resized, and what requests must say for the wanted areas."""
        options, factor = self._options, self._address.factor
        bounds = Bounds(options.min_pixels, options.max_pixels)
        factors = FACTORS if factor is None else (factor,)
        if factor != 0 and text_tokens is not None:
            for budget in _budgets(bounds):
                counts = self._count(text_tokens, bounds, budget)
                rule = find_rule(counts, bounds, factors) if counts else None
                if rule is not None:
                    return rule, budget
        if any(bounds) and TRUST_FLAG in self._budget_refusal:
            raise self._refuse(
                f"it refuses the picture areas that --{options.role}-min-pixels and "
                f"--{options.role}-max-pixels ask for ({self._budget_refusal})",
                f"start vLLM with {TRUST_FLAG}, or with the areas in --mm-processor-kwargs",
            )
        if any(bounds):
            raise self._refuse(
                f"it does not keep to the areas asked for with --{options.role}-min-pixels and "
                f"--{options.role}-max-pixels",
                "start it with them: vLLM's --mm-processor-kwargs",
            )
        if options.role == "large" and factor != 0:
            raise self._refuse(
                "the size at which it sees pictures cannot be told from its token counts, so an "
                "agent's boxes could not be placed",
                f"give --{options.role}-min-pixels and --{options.role}-max-pixels, or the factor: "
                f"--{options.role} '{self._address.url}#{self._address.model}?factor=28' for "
                "Qwen2.5-VL, 32 for Qwen3-VL, none for an agent that gives no boxes",
            )
        return None, {}

    def _count(
        self, text_tokens: int, bounds: Bounds, budget: Mapping[str, Any]
    ) -> dict[Size, int]:
        """Visual tokens of a few picture sizes; empty when the server refuses the budget."""
        counts: dict[Size, int] = {}
        try:
            for size in (SMALL, SQUARE, BROAD):
                asked = self._ask([_picture(size), _text(QUESTION)], **budget)
                counts[size] = (prompt_tokens(asked) or 0) - text_tokens - MARKS
        except EndpointError as error:
            if error.status in (400, 422, 500):
                self._budget_refusal = self._budget_refusal or (error.said if budget else "")
                return {}
            raise
        for side in _large_sides(bounds):
            try:
                asked = self._ask([_picture(Size(side, side)), _text(QUESTION)], **budget)
            except EndpointError as error:
                if error.status in (400, 413, 422):  # longer than its context, or than its door
                    continue
                raise
            counts[Size(side, side)] = (prompt_tokens(asked) or 0) - text_tokens - MARKS
            break
        return counts if all(count > 0 for count in counts.values()) else {}

    def _ask(
        self, content: list[dict[str, Any]], *, compiles: bool = False, **changes: Any
    ) -> Mapping[str, Any]:
        messages = [{"role": "user", "content": content}]
        body = {"model": self._model, "messages": messages, "max_tokens": 1, **GREEDY, **changes}
        return self._endpoint.look(body, RETRIES, compiles=compiles)

    def _refuse(self, what: str, advice: str) -> UsageError:
        return UsageError(f"--{self._options.role} {self._address.url}: {what}; {advice}.")


@contextlib.contextmanager
def told_when_slow(sentence: str) -> Iterator[None]:
    """Warn of what takes long while it is awaited."""
    timer = threading.Timer(SLOW_SECONDS, log.warning, ("speceyes: %s", sentence))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def turn_hindrance(endpoint: EndpointClient, model: str) -> str | None:
    """What keeps the server from going on within an assistant turn that shows a picture.

    None: nothing. The prompt of such a turn has no new header, and more tokens with the picture.
    """
    asked = {"role": "user", "content": "Count."}
    going_on = {"add_generation_prompt": False, "continue_final_message": True}

    def count(content: Any, **more: Any) -> int | None:
        messages = [asked, {"role": "assistant", "content": content}]
        body = {"model": model, "messages": messages, "max_tokens": 1, **GREEDY, **more}
        return prompt_tokens(endpoint.look(body, RETRIES))

    try:
        fresh, begun = count("one two"), count("one two", **going_on)
    except EndpointError as error:
        if error.status in (400, 422):
            return OPENS_TURNS
        raise
    if fresh is None or begun is None or begun >= fresh:
        return OPENS_TURNS
    try:
        shown = count([_text("one"), _picture(SQUARE), _text(" two")], **going_on)
    except EndpointError as error:
        if error.status in (400, 422, 500):
            return DROPS_PICTURES
        raise
    return DROPS_PICTURES if shown is None or shown <= begun + MARKS else None


def _budgets(bounds: Bounds) -> Iterable[Mapping[str, Any]]:
    """Ways to ask for picture areas: none where the server has them anyway, then both spellings."""
    yield {}
    if bounds.min_pixels is None and bounds.max_pixels is None:
        return
    named = {"min_pixels": bounds.min_pixels, "max_pixels": bounds.max_pixels}
    plain = {name: value for name, value in named.items() if value is not None}
    if len(plain) == len(named):
        edges = {"shortest_edge": bounds.min_pixels, "longest_edge": bounds.max_pixels}
        yield {"mm_processor_kwargs": {"size": edges}}
    yield {"mm_processor_kwargs": plain}


def _large_sides(bounds: Bounds) -> Sequence[int]:
    """Sides of the largest picture to try; one beyond the area that was asked for."""
    if bounds.max_pixels is None:
        return LARGE_SIDES
    step = SQUARE.width
    return (step * max(2, int(bounds.max_pixels**0.5 / step) + 1),)


def _advice(error: EndpointError, role: Role) -> str:
    if error.status in (401, 403):
        return f"put the right one into {' or '.join(key_variables(role))}"
    if error.status is None:
        return "see that the address is right and the server up"
    return "see that an OpenAI-compatible server is there, and that /v1 is right"


def prompt_tokens(body: Mapping[str, Any]) -> int | None:
    """The tokens of the prompt, as the server tells them; None where it does not."""
    usage = body.get("usage")
    return read_count(usage.get("prompt_tokens") if isinstance(usage, Mapping) else None)


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _picture(size: Size) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": data_url(Image.new("RGB", size, "gray"))}}
