"""A batch of conversations under way, its keys and values in memory that is reserved ahead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention as attention

from speceyes_plugins.engines.transformers.kept_turns import Columns
from speceyes_plugins.engines.transformers.pictures import Encoded
from speceyes_plugins.engines.transformers.text_model import TextModel

BLOCK = 256
"""Columns by which the memory of a batch grows."""
STEPS = 64
"""Steps whose rotations are computed at once."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What one row reads before it writes."""

    ids: Sequence[int]
    """All of its tokens."""
    positions: Tensor
    """[3, tokens]."""
    known: Columns | None
    """Keys and values of its first tokens, which end at no place inside a picture."""
    pictures: Sequence[Encoded]
    """The pictures that are not among the known tokens."""

    @property
    def fresh(self) -> int:
        """Tokens that the model is yet to read."""
        return len(self.ids) - (self.known.length if self.known else 0)


class TextBatch:
    """Rows that decode together, each ending at the same column.

    A row that leaves gives its place to the last one, so that nothing else is copied.
    """

    def __init__(self, model: TextModel, prompts: Sequence[Prompt], image_token: int) -> None:
        """Read the prompts; `logits` are those after their last tokens."""
        self._model = model
        self._lengths = [len(prompt.ids) for prompt in prompts]
        self._end = max(self._lengths)
        """Column after the last token."""
        self._layers = self._reserve(prompts)
        self._mask: Tensor | None = None
        self._cover()
        self._next = torch.tensor([int(p.positions[0, -1]) + 1 for p in prompts])
        """The position of each row's next token, the same on all three axes."""
        self._turns: list[tuple[Tensor, Tensor]] = []
        self.logits = self._read(prompts, image_token)

    def __len__(self) -> int:
        return len(self._lengths)

    def step(self, tokens: Tensor) -> Tensor:
        """Append [rows] tokens; the logits after them, [rows, vocabulary]."""
        if not self._turns:
            self._turn()
        if self._end == self._layers[0].shape[3]:
            for index, layer in enumerate(self._layers):  # one by one: one is held twice at most
                self._layers[index] = _longer(layer, BLOCK)
            self._cover()
        rotation = self._turns.pop()
        hidden = self._model.run(self._model.embed(tokens), rotation, self._attend)
        self._end += 1
        self._lengths = [length + 1 for length in self._lengths]
        self._next += 1
        self.logits = self._model.logits(hidden)
        return self.logits

    def retain(self, staying: Sequence[int]) -> list[int]:
        """Let the other rows leave; which of the old rows each new one is."""
        left = set(range(len(staying))).difference(staying)
        moved = [row for row in staying if row >= len(staying)]
        order = list(range(len(staying)))
        for place, row in zip(sorted(left), moved, strict=True):
            order[place] = row
            for layer in self._layers:
                layer[:, place].copy_(layer[:, row])
        self._lengths = [self._lengths[row] for row in order]
        self._next = self._next[order]
        self._turns.clear()
        self._cover()
        return order

    def columns(self, row: int) -> Columns:
        """The row's keys and values: of a batch that was always one row its own, else a copy."""
        length = self._lengths[row]
        if self._layers[0].shape[1] == 1:
            return Columns(tuple(self._layers), length)
        own = (slice(None), slice(row, row + 1), slice(None), slice(self._end - length, self._end))
        return Columns(tuple(layer[own].clone() for layer in self._layers), length)

    def _reserve(self, prompts: Sequence[Prompt]) -> list[Tensor]:
        """Memory with what is known already in its place."""
        known = prompts[0].known
        if (
            len(prompts) == 1 and known is not None and not known.shared
        ):  # goes on in the memory that it had
            missing = self._end - known.layers[0].shape[3]
            return [_longer(x, missing + BLOCK) if missing > 0 else x for x in known.layers]
        model = self._model
        shape = (2, len(prompts), model.key_heads, self._end + BLOCK, model.width)
        layers = [
            torch.empty(shape, dtype=model.dtype, device=layer.device) for layer in model.layers
        ]
        unseen = self._end - min(self._lengths)
        for layer in layers:  # a masked column counts nothing, unless it holds no number
            layer[:, :, :, :unseen] = 0
        for row, prompt in enumerate(prompts):
            if prompt.known is not None:
                count, first = prompt.known.length, self._end - self._lengths[row]
                for layer, own in zip(layers, prompt.known.layers, strict=True):
                    layer[:, row, :, first : first + count] = own[:, 0, :, :count]
        return layers

    def _cover(self) -> None:
        """Which columns each row may see, where that is not all from the first to the last."""
        rows = len(self._lengths)
        self._live = [(layer[0, :rows], layer[1, :rows]) for layer in self._layers]
        self._first = self._end - max(self._lengths)
        self._mask = None
        if len(set(self._lengths)) == 1:
            return
        capacity = self._layers[0].shape[3]
        starts = torch.tensor([self._end - length for length in self._lengths])
        hidden = torch.arange(capacity) < starts[:, None]
        mask = torch.zeros(hidden.shape, dtype=self._model.dtype)
        mask.masked_fill_(hidden, -torch.inf)
        self._mask = mask[:, None, None].to(self._layers[0].device)

    def _turn(self) -> None:
        """The rotations of the next steps, the nearest last."""
        positions = self._next[:, None] + torch.arange(STEPS)
        cos, sin = self._model.rotation(positions.expand(3, -1, -1))
        self._turns = list(zip(cos.unbind(1), sin.unbind(1), strict=True))[::-1]

    def _attend(self, index: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """One new token a row. The queries that share a key head go as its several tokens."""
        (keys, values), mask = self._live[index], self._mask
        keys[:, :, self._end] = key
        values[:, :, self._end] = value
        seen = slice(self._first, self._end + 1)
        if mask is not None:
            mask = mask[..., seen].to(query.device)
        query = query.reshape(len(query), self._model.key_heads, -1, self._model.width)
        found = attention(
            query, keys[:, :, seen], values[:, :, seen], attn_mask=mask, scale=self._model.scale
        )
        return found.reshape(len(query), -1)

    def _read(self, prompts: Sequence[Prompt], image_token: int) -> Tensor:
        """Run what is new of every prompt, one behind the other, so that nothing is padded."""
        model, fresh = self._model, [prompt.fresh for prompt in prompts]
        both = list(zip(prompts, fresh, strict=True))
        tokens = torch.tensor([token for p, count in both for token in p.ids[-count:]])
        positions = torch.cat([p.positions[:, -count:] for p, count in both], dim=1)
        cos, sin = model.rotation(positions[:, None])
        hidden = model.embed(tokens)
        add = None
        pictures = [picture for prompt in prompts for picture in prompt.pictures]
        if pictures:
            places = torch.nonzero(tokens == image_token)[:, 0].to(hidden.device)
            add = _put_in(hidden, places, pictures)
        attend = _Prefill(
            model, self._layers, self._end, list(zip(self._lengths, fresh, strict=True))
        )
        last = torch.tensor(fresh).cumsum(0) - 1
        return model.logits(model.run(hidden, (cos[0], sin[0]), attend, add, last))


class _Prefill:
    """Attention of rows that lie one behind the other, each over its own columns."""

    def __init__(
        self, model: TextModel, layers: Sequence[Tensor], end: int, rows: Sequence[tuple[int, int]]
    ) -> None:
        """`rows` are their lengths, and how many of these tokens are new."""
        self._model = model
        self._layers = layers
        self._end = end
        self._runs = [(row, len(list(alike))) for row, alike in groupby(rows)]
        """Neighbours that are alike, which one call attends to."""
        self._masks = {row: _visible(*row, layers[0]) for row in rows}

    def __call__(self, index: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        layer = self._layers[index]
        counts = [count * fresh for (_, fresh), count in self._runs]
        parts = (part.split(counts) for part in (query, key, value))
        found, place = [], 0
        for (row, count), *own in zip(self._runs, *parts, strict=True):
            found.append(self._attend(layer[:, place : place + count], own, row))
            place += count
        return found[0] if len(found) == 1 else torch.cat(found)

    def _attend(self, layer: Tensor, parts: Sequence[Tensor], row: tuple[int, int]) -> Tensor:
        """Rows of one length; `layer` is [2, rows, key heads, capacity, width]."""
        (length, fresh), end, rows = row, self._end, layer.shape[1]
        query, key, value = (part.unflatten(0, (rows, fresh)).transpose(1, 2) for part in parts)
        layer[0, :, :, end - fresh : end] = key
        layer[1, :, :, end - fresh : end] = value
        seen = layer[:, :, :, end - length : end]
        mask = self._masks[row]
        found = attention(
            query,
            seen[0],
            seen[1],
            attn_mask=None if mask is None else mask.to(query.device),
            is_causal=length == fresh,
            scale=self._model.scale,
            enable_gqa=self._model.heads != self._model.key_heads,
        )
        return found.transpose(1, 2).flatten(2).flatten(0, 1)


def _longer(layer: Tensor, columns: int) -> Tensor:
    """The same keys and values with room for more columns."""
    longer = layer.new_empty((*layer.shape[:3], layer.shape[3] + columns, layer.shape[4]))
    longer[:, :, :, : layer.shape[3]] = layer
    return longer


def _visible(length: int, fresh: int, like: Tensor) -> Tensor | None:
    """What is added to the scores of the last `fresh` tokens, [fresh, length], if anything."""
    if fresh in (1, length):
        return None
    mask = torch.full((fresh, length), -torch.inf, dtype=like.dtype, device=like.device)
    return mask.triu_(length - fresh + 1)


def _put_in(
    hidden: Tensor, places: Tensor, pictures: Sequence[Encoded]
) -> Callable[[int, Tensor], None] | None:
    """Put pictures into their tokens' places; gives what is to be added to the first layers."""
    hidden[places] = torch.cat([picture.features for picture in pictures]).to(hidden)
    levels = [torch.cat(level) for level in zip(*(p.levels for p in pictures), strict=True)]
    if not levels:
        return None

    def add(index: int, hidden: Tensor) -> None:
        if index < len(levels):
            hidden.index_add_(0, places.to(hidden.device), levels[index].to(hidden))

    return add
