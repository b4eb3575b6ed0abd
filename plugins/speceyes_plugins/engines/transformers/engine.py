"""The local engine: real Qwen-VL checkpoints through transformers, batched and greedy."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from speceyes_cli.plugin import Ask, EngineOptions, Reply
from speceyes_plugins.engines.transformers.decoding import Decoder, DecodingRow, Prompt
from speceyes_plugins.engines.transformers.loading import load
from speceyes_plugins.engines.transformers.pictures import Encoded, Grid, PictureEncoder, gather
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
        self._writer = PromptWriter(processor)
        self._pictures = PictureEncoder(self._loaded.model, processor.image_processor)
        self._patch = processor.image_processor.patch_size
        self._merge = processor.image_processor.merge_size
        self._decoder = Decoder(self._loaded.model, self._ends(), self._text)

    def generate(self, asks: Sequence[Ask]) -> Sequence[Reply | Exception]:
        """Answer the asks in one batch; out of memory halves it and tries again."""
        try:
            return self._generate(asks)
        except torch.OutOfMemoryError:
            if len(asks) == 1:
                raise
        half = len(asks) // 2
        log.warning("out of memory at a batch of %d: going on with %d", len(asks), half)
        self.max_batch = max(1, half)
        gc.collect()
        torch.cuda.empty_cache()
        return [*self.generate(asks[:half]), *self.generate(asks[half:])]

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
            prompt = self._prompt([(asks[i], seen) for i, seen in ready])
            rows = self._decoder.decode(prompt, [asks[i] for i, _ in ready])
            seconds = (time.perf_counter() - started) / len(ready)
            for (i, seen), row in zip(ready, rows, strict=True):
                outcomes[i] = self._reply(row, seen, seconds)
        return [outcomes[i] for i in range(len(asks))]

    def _prompt(self, asks: Sequence[tuple[Ask, Sequence[Encoded]]]) -> Prompt:
        """Token ids padded on the left, their positions, and the pictures' features."""
        model, device = self._loaded.model, self._loaded.device
        texts = self._writer.write(
            [(ask, [len(item.features) for item in seen]) for ask, seen in asks]
        )
        width = max(len(ids) for ids in texts)
        pad = self._tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (width - len(row)) + row for row in texts])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in texts])
        image_token = int(model.config.image_token_id)
        kinds = (ids == image_token).int()
        grids_of = [[item.grid for item in seen] for _, seen in asks]
        positions = self._positions(ids, kinds, mask, grids_of)
        features, grids = gather([item for _, seen in asks for item in seen]) or (None, None)
        return Prompt(
            ids.to(device), mask.to(device), positions.to(device), features, grids, image_token
        )

    def _positions(
        self, ids: Tensor, kinds: Tensor, mask: Tensor, grids: Sequence[Sequence[Grid]]
    ) -> Tensor:
        """Positions of every token, [3, rows, length]; `kinds` tells visual tokens by a 1.

        The library goes through the rows one by one; those that are laid out alike share one pass.
        """
        layouts: dict[object, int] = {}  # what a row looks like, and the first that does
        alike = [
            layouts.setdefault((kinds[row].numpy().tobytes(), int(mask[row].sum()), *own), row)
            for row, own in enumerate(map(tuple, grids))
        ]
        firsts = list(layouts.values())
        shown = [grid for row in firsts for grid in grids[row]]
        positions, _ = self._loaded.model.model.get_rope_index(
            ids[firsts],
            mm_token_type_ids=kinds[firsts],
            image_grid_thw=torch.tensor(shown) if shown else None,
            attention_mask=mask[firsts],
        )
        found: Tensor = positions[:, [firsts.index(row) for row in alike]]
        return found

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
        """Drop the trajectory's picture features."""
        self._pictures.forget(trajectory)

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
            "batch_size": self._options.batch_size,
        }

    def close(self) -> None:
        """Release the model and its memory."""
        self._pictures.close()
        del self._decoder, self._pictures
        self._loaded = None  # type: ignore[assignment] # nothing may be asked after this
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
