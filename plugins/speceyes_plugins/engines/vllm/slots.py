"""Where the scores of one gated request are put, from inside vLLM's sampler until its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import torch
from speceyes_kernels import RowFault, row_faults, token_statistics
from torch import Tensor

from speceyes_cli.plugin import Gate, TokenScore

EXTRA = "speceyes_gate"
"""Key of a request's slot in `SamplingParams.extra_args`."""
FAULTS = {
    RowFault.NONE: "",
    RowFault.NAN: "nan",
    RowFault.INFINITE: "infinite",
    RowFault.TOO_FEW: "too_few",
}


@dataclass(slots=True, eq=False)
class ScoreSlot:
    """The scores of one request's tokens.

    vLLM copies sampling parameters; the slot in them stays the same object, which is how the
    sampler's scores reach the engine without a registry.
    """

    step: StepScores
    """Who scores the request's rows: its engine's own."""
    gate: Gate
    limit: int
    """Tokens after which the draft is cut."""
    early: bool
    """A draft that can no longer pass may be ended."""
    tokens: list[int] = field(default_factory=list)
    """The likeliest token of each step, which greedy decoding takes."""
    scores: list[TokenScore] = field(default_factory=list)
    hopeless: bool = False
    """No continuation can pass the gate."""

    def __deepcopy__(self, _memo: dict[int, Any]) -> Self:
        return self

    def put(self, index: int, token: int, score: TokenScore) -> None:
        """Note the token at this place of the reply; a place that is scored again is replaced."""
        del self.tokens[index:], self.scores[index:]
        self.tokens.append(token)
        self.scores.append(score)
        gate = self.gate
        self.hopeless = (
            self.early
            and gate.hopeless is not None
            and gate.hopeless(self.scores, gate.threshold, self.limit)
        )


class ScoredRow(NamedTuple):
    """One row of logits that belongs to a gated request."""

    row: int
    slot: ScoreSlot
    place: Callable[[], int | None]
    """Place in the reply of the token sampled from the row, asked for once the step is over.

    None: the row's token was not kept, as while a prompt is read in parts.
    """


class StepScores:
    """Scores rows of one step's logits, and puts them into their slots once the step is over.

    Statistics stay on the logits' device until `collect`: nothing waits for a device that the step
    itself does not wait for.
    """

    def __init__(self) -> None:
        self._pending: list[tuple[Sequence[ScoredRow], Tensor]] = []

    def score(self, logits: Tensor, rows: Sequence[ScoredRow]) -> None:
        """Score the rows of `logits`, [rows, vocabulary], each at its own gate's K."""
        shapes: dict[tuple[int, int], list[ScoredRow]] = {}
        for row in rows:
            shapes.setdefault((row.slot.gate.top_k, row.slot.gate.kept), []).append(row)
        for (k, kept), alike in shapes.items():
            places = [row.row for row in alike]
            whole = places == list(range(len(logits)))
            chosen = logits if whole else logits[torch.tensor(places, device=logits.device)]
            self._pending.append((alike, _measure(chosen, k, kept)))

    def collect(self) -> None:
        """Put what was scored into the slots: one transfer to the host for each K."""
        pending, self._pending = self._pending, []
        for rows, table in pending:
            for row, line in zip(rows, table.tolist(), strict=True):
                index = row.place()
                if index is not None:
                    row.slot.put(index, int(line[0]), _read(line))


def _measure(logits: Tensor, k: int, kept: int) -> Tensor:
    """[rows, 6 + rivals] of float64: token, fault, four statistics, gaps to the next largest."""
    found = token_statistics(logits, k=k)
    faults = row_faults(logits, found)
    columns = (found.argmax, faults, found.separability, found.logprob, found.margin, found.entropy)
    table = torch.stack([column.double() for column in columns], dim=1)
    if not kept:
        return table
    top = logits.topk(min(kept, logits.shape[-1])).values.double()
    return torch.cat([table, top[:, :1] - top[:, 1:]], dim=1)


def _read(line: Sequence[float]) -> TokenScore:
    _, fault, separability, logprob, margin, entropy, *gaps = line
    rivals = tuple(round(gap, 5) for gap in gaps if gap < torch.inf)
    return TokenScore(separability, logprob, margin, entropy, FAULTS[RowFault(int(fault))], rivals)
