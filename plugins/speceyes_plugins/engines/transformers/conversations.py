"""What a model goes on from in each conversation, and what stays of it afterwards."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

from speceyes_cli.plugin import Ask
from speceyes_plugins.engines.transformers.beginnings import Beginnings
from speceyes_plugins.engines.transformers.decoding import Batch, DecodingRow
from speceyes_plugins.engines.transformers.kept_turns import KeptTurn, KeptTurns
from speceyes_plugins.engines.transformers.library_batch import LibraryBatch
from speceyes_plugins.engines.transformers.loading import Loaded
from speceyes_plugins.engines.transformers.pictures import Encoded
from speceyes_plugins.engines.transformers.positions import positions_of
from speceyes_plugins.engines.transformers.prompts import pictures_of
from speceyes_plugins.engines.transformers.text_batch import Prompt, TextBatch
from speceyes_plugins.engines.transformers.text_model import TextModel, suits

log = logging.getLogger(__name__)


class Written(NamedTuple):
    """An ask as the model reads it."""

    ask: Ask
    pictures: Sequence[Encoded]
    """As `pictures_of` lists them."""
    ids: list[int]


class Begun(NamedTuple):
    """Prompts that were read."""

    batch: Batch
    known: list[int]
    """How many tokens of each needed no reading."""


class Conversations:
    """Begins batches from what earlier turns left, and keeps what a next turn may go on from."""

    def __init__(self, loaded: Loaded, budget: int) -> None:
        """`budget` is the memory for kept turns, in bytes."""
        self._loaded = loaded
        self._image_token = int(loaded.model.config.image_token_id)
        self._text = TextModel(loaded.model) if suits(loaded.model, loaded.attention) else None
        self.kept = KeptTurns(budget if self._text is not None else 0)
        self._beginnings = Beginnings(self.kept.budget // 10)
        self._rewriting = False

    def begin(self, asks: Sequence[Written]) -> Begun:
        """Read the prompts; `end` must follow for the same asks, whatever happens between."""
        prompts = [self._prompt(written, self._take(written.ask)) for written in asks]
        known = [len(prompt.ids) - prompt.fresh for prompt in prompts]
        if self._text is None:
            pad = self._loaded.processor.tokenizer.pad_token_id
            return Begun(LibraryBatch(self._loaded.model, prompts, pad), known)
        return Begun(TextBatch(self._text, prompts, self._image_token), known)

    def keeps(self, ask: Ask) -> bool:
        """Whether a next turn could go on from this one."""
        return bool(ask.trajectory) and self.kept.budget > 0

    def end(self, asks: Sequence[Written], rows: Sequence[DecodingRow]) -> None:
        """Keep what came of each ask; without rows, nothing."""
        turns: dict[str, KeptTurn | None] = {written.ask.trajectory: None for written in asks}
        for (ask, _, ids), row in zip(asks, rows, strict=False):
            if row.columns is not None:
                known = (*ids, *row.tokens)[: row.columns.length]
                self._beginnings.learn(ids[: self._text_before_pictures(ids)], row.columns)
                turns[ask.trajectory] = KeptTurn(
                    row.columns, known, len(ids), tuple(pictures_of(ask)), ask.messages
                )
        for key, turn in turns.items():
            self.kept.end(key, turn)

    def clear(self) -> bool:
        """Give up all that is kept, for want of memory; whether there was anything."""
        turns, beginnings = self.kept.clear(), self._beginnings.clear()
        return turns or beginnings

    def _text_before_pictures(self, ids: list[int]) -> int:
        return ids.index(self._image_token) if self._image_token in ids else len(ids)

    def _take(self, ask: Ask) -> KeptTurn | None:
        return self.kept.begin(ask.trajectory) if self.keeps(ask) else None

    def _prompt(self, written: Written, kept: KeptTurn | None) -> Prompt:
        ask, pictures, ids = written
        known, skipped = None, 0
        if kept is not None:
            common = kept.common(ids, pictures_of(ask), self._image_token)
            self._notice(kept.is_rewritten_by(ask.messages, common.tokens))
            if common.tokens:
                known, skipped = kept.columns.cut(common.tokens), common.pictures
        if (start := self._beginnings.find(ids, known.length if known else 0)) is not None:
            known, skipped = start, 0
        merge = self._loaded.processor.image_processor.merge_size
        grids = [picture.grid for picture in pictures]
        positions = positions_of(ids, grids, self._image_token, merge)
        return Prompt(ids, positions, known, pictures[skipped:])

    def _notice(self, rewritten: bool) -> None:  # noqa: FBT001 - what was noticed
        if rewritten and not self._rewriting:
            self._rewriting = True
            log.warning(
                "the chat template of %s writes earlier turns differently once others follow: "
                "what it changes is read again in every turn",
                self._loaded.model.config.model_type,
            )
