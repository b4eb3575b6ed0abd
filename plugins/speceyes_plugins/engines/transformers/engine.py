"""The local engine: real Qwen-VL checkpoints through transformers, batched and greedy."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from speceyes_cli.plugin import (
    Ask,
    ContextLengthError,
    EngineOptions,
    Reply,
    UsageError,
    first_line,
)
from speceyes_plugins.engines.transformers.agreement import find_difference
from speceyes_plugins.engines.transformers.conversations import Conversations, Written
from speceyes_plugins.engines.transformers.decoding import Decoder, DecodingRow
from speceyes_plugins.engines.transformers.loading import load, memory_for_turns
from speceyes_plugins.engines.transformers.models import TESTED, TURN_MEMORY
from speceyes_plugins.engines.transformers.pictures import Encoded, PictureEncoder
from speceyes_plugins.engines.transformers.prompts import PromptWriter, pictures_of

log = logging.getLogger(__name__)


def scored_tokens(row: DecodingRow) -> list[int]:
    """The tokens that `row.scores` are of: the last ones."""
    return row.tokens[len(row.tokens) - len(row.scores) :]


class TransformersEngine:
    """A model behind one role, on this machine."""

    workers = 1

    def __init__(self, options: EngineOptions) -> None:
        """Load the model; raises `UsageError` when it cannot be had."""
        self._options = options
        self._loaded = load(options)
        self.max_batch = options.batch_size
        device = self._loaded.device
        # Two models share one CPU badly: its cores are already busy with either.
        self.group = "cpu" if device.type == "cpu" else f"{device}:{options.role}"
        processor = self._loaded.processor
        self._tokenizer = processor.tokenizer
        self._writer = PromptWriter(processor, f"--{options.role} {options.model}")
        self._pictures = PictureEncoder(self._loaded.model, processor.image_processor)
        self._patch = processor.image_processor.patch_size
        self._context = int(self._loaded.model.config.get_text_config().max_position_embeddings)
        self._decoder = Decoder(self._ends(), self._text)
        self._conversations = Conversations(
            self._loaded, memory_for_turns(options.options.get(TURN_MEMORY), device)
        )
        self._require_agreement()

    @property
    def context_length(self) -> int:
        """Tokens of the longest conversation that the model reads."""
        return self._context

    def generate(self, asks: Sequence[Ask]) -> Sequence[Reply | Exception]:
        """Answer the asks in one batch.

        Out of memory, what earlier turns left is given up first; then the batch is halved.
        """
        try:
            return self._generate(asks)
        except (torch.OutOfMemoryError, MemoryError):
            some = self._conversations.clear()
            if len(asks) == 1 and not some:
                raise
        gc.collect()
        torch.cuda.empty_cache()
        if some:
            log.warning("out of memory: going on without what earlier turns left")
            return self.generate(asks)
        half = len(asks) // 2
        log.warning("out of memory at a batch of %d: going on with %d", len(asks), half)
        self.max_batch = max(1, half)
        return [*self.generate(asks[:half]), *self.generate(asks[half:])]

    def rehearse(self, ask: Ask) -> str | None:
        """What the model would not read of this ask, in words; None: it reads all of it."""
        return self._writer.rehearse(ask)

    def prepare(self, asks: Sequence[Ask]) -> None:
        """Open and resize the pictures of the asks that come next."""
        self._pictures.prepare([(ask.trajectory, p) for ask in asks for p in pictures_of(ask)])

    def _require_agreement(self) -> None:
        """Raise `UsageError` for an untested type that is not read as the library reads it."""
        model_type = self._loaded.model.config.model_type
        if model_type in TESTED:
            return
        try:
            difference = find_difference(self._loaded, self._writer, self._pictures)
        except Exception as error:  # noqa: BLE001 - it may break anywhere, and is then not for us
            difference = f"it raises {type(error).__name__} ({first_line(error)})"
        if difference is not None:
            raise UsageError(
                f"--{self._options.role}: {self._options.model} holds a {model_type!r} model, "
                f"which this engine does not read as transformers does: {difference}."
            )

    @torch.inference_mode()
    def _generate(self, asks: Sequence[Ask]) -> list[Reply | Exception]:
        started = time.perf_counter()
        shown = [[(ask.trajectory, picture) for picture in pictures_of(ask)] for ask in asks]
        found = self._pictures.encode([pair for pairs in shown for pair in pairs])
        outcomes: dict[int, Reply | Exception] = {}
        ready: list[tuple[int, list[Encoded]]] = []
        for i, pairs in enumerate(shown):
            seen = [found[pair] for pair in pairs]
            failed = next((item for item in seen if isinstance(item, Exception)), None)
            if failed is None:
                ready.append((i, seen))
            else:
                outcomes[i] = failed
        if ready:
            rows = self._decode([(asks[i], seen) for i, seen in ready])
            seconds = (time.perf_counter() - started) / len(ready)
            for (i, seen), row in zip(ready, rows, strict=True):
                outcomes[i] = row if isinstance(row, Exception) else self._reply(row, seen, seconds)
        return [outcomes[i] for i in range(len(asks))]

    def _decode(
        self, asks: Sequence[tuple[Ask, Sequence[Encoded]]]
    ) -> list[DecodingRow | ContextLengthError]:
        """Replies to asks whose pictures have been seen, each going on from what is kept of it."""
        texts = self._writer.write(
            [(ask, [len(item.features) for item in seen]) for ask, seen in asks]
        )
        written = [
            Written(self._within_context(ask, len(ids)), seen, ids)
            for (ask, seen), ids in zip(asks, texts, strict=True)
        ]
        fitting = [i for i, item in enumerate(written) if item.ask.max_new_tokens > 0]
        fitting.sort(key=lambda i: len(written[i].ids))  # equal lengths are read in one call
        decoded = self._decode_written([written[i] for i in fitting]) if fitting else []
        rows = dict(zip(fitting, decoded, strict=True))
        return [rows.get(i) or self._too_long(len(item.ids)) for i, item in enumerate(written)]

    def _decode_written(self, written: Sequence[Written]) -> list[DecodingRow]:
        rows: list[DecodingRow] = []
        try:
            begun = self._conversations.begin(written)
            plain = [item.ask for item in written]
            keeps = map(self._conversations.keeps, plain)
            rows = self._decoder.decode(begun.batch, plain, keeps)
        finally:
            self._conversations.end(written, rows)
        for row, item, known in zip(rows, written, begun.known, strict=True):
            row.prompt_tokens, row.cached_tokens = len(item.ids), known
        return rows

    def _within_context(self, ask: Ask, prompt: int) -> Ask:
        """The ask with no more new tokens than there is room for; 0 where there is none."""
        room = max(0, self._context - prompt)
        return ask if ask.max_new_tokens <= room else replace(ask, max_new_tokens=room)

    def _too_long(self, prompt: int) -> ContextLengthError:
        return ContextLengthError(
            f"The conversation has {prompt:,} tokens; the {self._options.role} model reads "
            f"{self._context:,} at most."
        )

    def _reply(self, row: DecodingRow, seen: Sequence[Encoded], seconds: float) -> Reply:
        text = self._text(row.tokens)
        for stop in row.ask.stop:
            if stop in text:
                text = text[: text.index(stop) + len(stop)]
        return Reply(
            text=text,
            tokens=len(row.tokens),
            finish=row.finish or "length",
            statistics=tuple(row.scores),
            pieces=tuple(self._text([token]) for token in scored_tokens(row)),
            seconds=seconds,
            frames=tuple(item.frame(self._patch) for item in seen),
            box_frame=self._loaded.box_frame,
            prompt_tokens=row.prompt_tokens,
            cached_tokens=row.cached_tokens,
        )

    def _text(self, tokens: list[int]) -> str:
        text: str = self._tokenizer.decode(
            tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    def _ends(self) -> frozenset[int]:
        """Every token that ends a reply: the tokenizer's and the generation configuration's."""
        ends = {self._tokenizer.eos_token_id}
        told = self._loaded.model.generation_config.eos_token_id
        ends.update(told if isinstance(told, list) else [told])
        return frozenset(token for token in ends if token is not None)

    def forget(self, trajectory: str) -> None:
        """Drop the trajectory's picture features and its keys and values."""
        self._pictures.forget(trajectory)
        self._conversations.kept.forget(trajectory)

    def describe(self) -> Mapping[str, Any]:
        """What `run.json` keeps of this model."""
        size = self._loaded.processor.image_processor.size
        return {
            "engine": "transformers",
            "model": self._options.model,
            "revision": self._loaded.revision,
            "architecture": type(self._loaded.model).__name__,
            "parameters": sum(p.numel() for p in self._loaded.model.parameters()),
            "device": self._options.device
            if ":" in self._options.device
            else self._loaded.device.type,
            "dtype": str(self._loaded.dtype).removeprefix("torch."),
            "attention": self._loaded.attention,
            "min_pixels": size["shortest_edge"],
            "max_pixels": size["longest_edge"],
            "box_frame": self._loaded.box_frame,
            "batch_size": self._options.batch_size,
        }

    def close(self) -> None:
        """Release the model and its memory."""
        self._pictures.close()
        del self._decoder, self._pictures, self._conversations
        self._loaded = None  # type: ignore[assignment] # nothing may be asked after this
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
