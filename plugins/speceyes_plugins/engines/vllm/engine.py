"""vLLM in this process: continuous batching, prefix caching, and the gate inside its sampler."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from vllm import SamplingParams
from vllm.sampling_params import RequestOutputKind

from speceyes_cli.plugin import (
    Ask,
    ContextLengthError,
    EngineOptions,
    Picture,
    Reply,
    RunStopError,
    Size,
)
from speceyes_plugins.engines.box_frames import frame_of_checkpoint
from speceyes_plugins.engines.chat_rendering import ChatRenderer
from speceyes_plugins.engines.resize_rule import ResizeRule
from speceyes_plugins.engines.vllm.forwarding import Forwarder
from speceyes_plugins.engines.vllm.models import HERMES, TOOL_PARSER, digest
from speceyes_plugins.engines.vllm.requests import EngineDiedError, Request, StepThread
from speceyes_plugins.engines.vllm.slots import EXTRA, ScoreSlot, StepScores

TOO_LONG = "longer than the maximum model length"
"""How vLLM says that a prompt does not fit."""


class _OpenModels:
    """The models of this process, shut down together when the last engine is closed.

    Shutting one down takes the process groups away that all of them use (vLLM 0.32: "pipeline
    model parallel group is not initialized" from the others).
    """

    def __init__(self) -> None:
        self._in_use: list[Any] = []
        self._closed: list[Any] = []
        self._lock = threading.Lock()

    def add(self, model: Any) -> None:
        with self._lock:
            self._in_use.append(model)

    def close(self, model: Any) -> None:
        with self._lock:
            self._in_use.remove(model)
            self._closed.append(model)
            if self._in_use:
                return
            closed, self._closed = self._closed, []
        for one in closed:
            one.llm_engine.engine_core.shutdown()


_MODELS = _OpenModels()


class VLLMEngine:
    """A model behind one role, run by vLLM on this machine."""

    max_batch = 1
    """Asks come one by one and join whatever runs: vLLM makes the batches."""

    def __init__(self, model: Any, processor: Any, options: EngineOptions, places: int) -> None:
        """`model` is a `vllm.LLM` whose sampler holds our processor; `places` run at once.

        `processor` is the checkpoint's own, for its chat template and its resize rule.
        """
        self._model, self._options = model, options
        self._rule = resize_rule(processor.image_processor, options)
        self.workers = places
        self.group = f"vllm:{options.role}"
        self._tokenizer = model.get_tokenizer()
        self._chat = ChatRenderer(processor, f"--{options.role} {options.model}")
        self.rehearse = self._chat.rehearse
        self._scores = StepScores()
        _MODELS.add(model)
        self._thread = StepThread(model.llm_engine, self._scores)
        self._box_frame = frame_of_checkpoint(model.llm_engine.model_config.hf_config)
        self._context = int(model.llm_engine.model_config.max_model_len)
        parser = str(options.options.get(TOOL_PARSER) or HERMES)
        self._forwarder = Forwarder(model.llm_engine, self._thread, parser)

    def generate(self, asks: Sequence[Ask]) -> Sequence[Reply | Exception]:
        """Answer each ask; one that cannot be answered yields its exception.

        Raises `RunStopError` once vLLM has stopped working.
        """
        return [self._answer(ask) for ask in asks]

    @property
    def context_length(self) -> int:
        """Tokens of the longest conversation that the model reads."""
        return self._context

    def forward(
        self, body: Mapping[str, Any], emit: Callable[[Mapping[str, Any]], None]
    ) -> Future[None]:
        """Have vLLM's chat server answer a request as a client wrote it; see `Forwarding`."""
        return self._forwarder.forward(body, emit)

    def forget(self, trajectory: str) -> None:
        """VLLM evicts what it caches by itself."""

    def describe(self) -> Mapping[str, Any]:
        """What `run.json` keeps of this model."""
        config = self._model.llm_engine.model_config
        return {
            "engine": "vllm",
            "model": self._options.model,
            "revision": digest(self._options),
            "dtype": str(config.dtype).removeprefix("torch."),
            "max_model_len": self._context,
            "factor": self._rule.factor,
            "min_pixels": self._rule.min_pixels,
            "max_pixels": self._rule.max_pixels,
            "box_frame": self._box_frame,
        }

    def close(self) -> None:
        """End the thread; the model's memory is free once no engine of the process is open."""
        self._thread.close()  # what is being forwarded is told
        self._forwarder.close()
        _MODELS.close(self._model)

    def _answer(self, ask: Ask) -> Reply | Exception:
        try:
            pictures = [p for m in ask.messages for p in m.content if isinstance(p, Picture)]
            images = [picture.open().convert("RGB") for picture in pictures]
            frames = tuple(self._rule.frame(Size(*image.size)) for image in images)
            prompt: dict[str, Any] = {"prompt": self._chat.render(ask)}
            if images:
                prompt["multi_modal_data"] = {"image": images}
            slot = self._slot(ask)
            parameters = self._parameters(ask, slot)
            request = self._thread.answer(Request(prompt, parameters, slot, _watcher(ask)))
            return self._reply(ask, request, frames)
        except EngineDiedError as error:
            raise RunStopError(
                f"vLLM stopped working for --{self._options.role} {self._options.model}: {error}; "
                "finished samples are kept."
            ) from error
        except Exception as error:  # noqa: BLE001 - a picture or a prompt that cannot be read
            if TOO_LONG in str(error):
                told = f"The conversation is too long for the {ask.role} model: {error}"
                return ContextLengthError(told)
            return error

    def _slot(self, ask: Ask) -> ScoreSlot | None:
        if ask.gate is None:
            return None
        early = not ask.scored_after  # a thought may be unsure
        return ScoreSlot(self._scores, ask.gate, ask.max_new_tokens, early)

    def _parameters(self, ask: Ask, slot: ScoreSlot | None) -> SamplingParams:
        """Greedy, whatever the checkpoint's generation configuration says."""
        return SamplingParams(
            temperature=0.0,
            repetition_penalty=1.0,
            max_tokens=ask.max_new_tokens,
            stop=list(ask.stop) or None,
            include_stop_str_in_output=True,
            output_kind=RequestOutputKind.CUMULATIVE
            if ask.watch is not None
            else RequestOutputKind.FINAL_ONLY,
            extra_args=None if slot is None else {EXTRA: slot},
        )

    def _reply(self, ask: Ask, request: Request, frames: tuple[Size, ...]) -> Reply:
        slot = request.slot
        if request.output is None:  # rejected before its end
            if slot is None:
                raise RuntimeError("a request that no gate watches was ended early")
            return Reply(
                text=self._text(slot.tokens),
                tokens=len(slot.tokens),
                finish="rejected",
                statistics=tuple(slot.scores),
                pieces=tuple(self._text([token]) for token in slot.tokens),
                seconds=request.seconds,
                frames=frames,
                box_frame=self._box_frame,
            )
        [out] = request.output.outputs
        tokens = list(out.token_ids)
        if out.finish_reason == "stop" and not isinstance(out.stop_reason, str):
            tokens = tokens[:-1]  # the end of sequence, which a reply does not count
        scores = tuple(slot.scores[: len(tokens)]) if slot is not None else ()
        first = self._first_scored(ask, tokens)
        scores, scored = scores[first:], tokens[first:] if slot is not None else []
        return Reply(
            text=_cut(out.text, ask.stop),
            tokens=len(tokens),
            finish="stop" if out.finish_reason == "stop" else "length",
            statistics=scores,
            pieces=tuple(self._text([token]) for token in scored),
            seconds=request.seconds,
            frames=frames,
            box_frame=self._box_frame,
            prompt_tokens=len(request.output.prompt_token_ids or ()),
            cached_tokens=request.output.num_cached_tokens or 0,
        )

    def _first_scored(self, ask: Ask, tokens: Sequence[int]) -> int:
        """The first token after the text that scoring waits for; all where it never came."""
        if not ask.scored_after:
            return 0
        for end in range(1, len(tokens) + 1):
            if ask.scored_after in self._text(tokens[max(0, end - 16) : end]):
                return end
        return 0

    def _text(self, tokens: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(tokens, skip_special_tokens=True)
        return text


def resize_rule(image_processor: Any, options: EngineOptions) -> ResizeRule:
    """The image processor's rule, within the bounds asked for."""
    size = image_processor.size
    return ResizeRule(
        image_processor.patch_size * image_processor.merge_size,
        options.min_pixels or size["shortest_edge"],
        options.max_pixels or size["longest_edge"],
    )


def _watcher(ask: Ask) -> Callable[[Any], None] | None:
    """What tells whoever watches an ask its text so far."""
    watch = ask.watch
    if watch is None:
        return None

    def told(output: Any) -> None:
        if not isinstance(output, Exception) and output.outputs:
            watch(output.outputs[0].text)

    return told


def _cut(text: str, stops: Sequence[str]) -> str:
    """The text up to and including its stop text."""
    for stop in stops:
        if stop in text:
            return text[: text.index(stop) + len(stop)]
    return text
