"""A run as plain data: what each sample's two models said, how sure the draft was, what it cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from speceyes_cli.core.chat import Finish
from speceyes_cli.core.errors import DataError
from speceyes_cli.core.gate.token import TokenScore
from speceyes_cli.core.run.columns import NO, UNKNOWN, YES, Columns, columns_of
from speceyes_cli.core.run.info import RunConfig, same_data
from speceyes_cli.core.tables.summaries import LoadedRun

if TYPE_CHECKING:
    from speceyes_cli.core.run.columns import Mask


@dataclass(frozen=True, slots=True)
class ScoredDraft:
    """The small model's answer and how each of its tokens stood."""

    text: str
    finish: Finish
    """How it ended; "rejected": the gate ended it early, as hopeless."""
    tokens: Sequence[TokenScore]
    """NaN where undefined, as the gate saw them."""
    cut_stands: bool = False
    """The run let a draft stand that its token limit cut."""
    tied: bool = False
    """A tie of the two largest logits decided one of its tokens."""

    @property
    def complete(self) -> bool:
        """It ended by itself and says something; any other draft is never accepted."""
        ended = self.finish == "stop" or (self.cut_stands and self.finish == "length")
        return ended and bool(self.text.strip())


@dataclass(frozen=True, slots=True)
class ScoredSample:
    """One sample that was answered."""

    sample_id: str
    split: str
    category: str | None
    cluster: str
    """Samples that share this are not independent; one that shares nothing has its own."""
    picture_digest: str | None
    """The digest of the encoded picture; None where it is not known."""
    route: Literal["small", "large"]
    """Whose answer stood."""
    right: bool
    """Whether that answer is right; an undecided one counts as wrong, as in every table."""
    passed_screen: bool | None
    """None without a screen."""
    draft: ScoredDraft | None
    draft_right: bool | None
    """None: no draft, or one that was never judged because the agent's answer stood."""
    agent_right: bool | None
    """None: the agent did not run."""
    seconds: Mapping[str, float]
    """Seconds per phase and under "tool": model time is the sample's share of each batch."""
    cached_seconds: float = 0.0
    """How many of these were replayed from the call cache, not measured in this run."""
    place: int = -1
    """Where it stands in the run's columns."""
    unclear: bool = False
    """Both answered, and for lack of a verdict nobody can say whether the draft does harm."""

    @property
    def may_harm(self) -> bool:
        """Accepting the draft loses a right answer, or nobody can say that it does not."""
        return self.unclear or (bool(self.agent_right) and not self.draft_right)


@dataclass(frozen=True)
class ScoreTable:
    """Every answered sample of one run."""

    run: str
    config: RunConfig
    samples: tuple[ScoredSample, ...]
    errors: int
    """Samples that failed; they are not in `samples`."""
    undecided: int
    """Answers, of either branch, that no rule could judge; they count as wrong."""
    columns: Columns = field(default_factory=lambda: columns_of(()))
    """The run's records as arrays, failed ones included."""

    @cached_property
    def told_tokens(self) -> Mask:
        """Which tokens of the columns belong to these samples and have defined figures."""
        import numpy as np  # noqa: PLC0415 - slow to import

        tokens, first = self.columns.tokens, self.columns.drafts.first
        whole = np.fromiter((not fault for fault in tokens.fault), np.bool_, len(tokens.fault))
        own = np.zeros(len(self.columns), np.bool_)
        own[[sample.place for sample in self.samples]] = True
        return whole & np.repeat(own, np.diff(first))

    @property
    def both_branches(self) -> bool:
        """Whether draft and agent were run and judged for every sample."""
        return bool(self.samples) and all(
            s.draft is not None and s.draft_right is not None and s.agent_right is not None
            for s in self.samples
        )


def read_table(run: LoadedRun) -> ScoreTable:
    """The run's answered samples; `DataError` when there is none."""
    columns = run.columns
    samples = tuple(_samples(columns, cut_stands=run.info.config.parity is not None))
    if not samples:
        raise DataError(f"{run.folder} holds no answered sample; run `speceyes eval` first.")
    return ScoreTable(
        run=run.info.name,
        config=run.info.config,
        samples=samples,
        errors=len(columns) - len(samples),
        undecided=_undecided(columns),
        columns=columns,
    )


def read_tables(runs: Sequence[LoadedRun]) -> list[ScoreTable]:
    """One table for each run; `DataError` when the runs are of different data."""
    first = runs[0].info.config
    for run in runs[1:]:
        config = run.info.config
        where = () if same_data(first, config) else ("data", "data_fingerprint")
        for name in ("dataset", "option_order", *where):
            mine, theirs = getattr(first, name), getattr(config, name)
            if mine != theirs:
                raise DataError(
                    f"These runs are of different data: {runs[0].info.name} has {name} {mine!r}, "
                    f"{run.info.name} has {theirs!r}; name those of one dataset, such as "
                    f"{run.folder.parent}/{config.dataset}-*."
                )
    return [read_table(run) for run in runs]


def require_both_branches(table: ScoreTable) -> None:
    """Raise `DataError` when draft and agent were not both run for every sample."""
    if not table.both_branches:
        raise DataError(
            f"{table.run} ran one branch only for some of its samples, so what the other would "
            "have answered is unknown; `speceyes eval --both-branches` runs both."
        )


class StoredTokens(Sequence[TokenScore]):
    """The tokens of one draft, made of the run's columns each time they are looked at."""

    __slots__ = ("_columns", "_place")

    def __init__(self, columns: Columns, place: int) -> None:
        self._columns = columns
        self._place = place

    def __len__(self) -> int:
        first = self._columns.drafts.first
        return int(first[self._place + 1] - first[self._place])

    def __getitem__(self, place: Any) -> Any:
        return self._columns.token_scores(self._place)[place]

    def __iter__(self) -> Iterator[TokenScore]:
        return iter(self._columns.token_scores(self._place))


def _undecided(columns: Columns) -> int:
    """Answers that no rule could judge: of each branch where branches were run."""
    alone, count = columns.answered, 0
    for branch in columns.branches.values():
        made = branch.made
        alone = alone & ~made
        count += int((columns.answered & made & (branch.right == UNKNOWN)).sum())
    return count + int((alone & (columns.right == UNKNOWN)).sum())


def _samples(columns: Columns, *, cut_stands: bool) -> Iterator[ScoredSample]:
    """The answered records, in the run's order."""
    phases = {phase: seconds.tolist() for phase, seconds in columns.phase_seconds.items()}
    rights, passed = columns.right.tolist(), columns.passed_screen.tolist()
    cached = columns.cached_seconds.tolist()
    accepted = columns.drafts.accepted.tolist()
    branches = {role: (b.right.tolist(), b.provenance) for role, b in columns.branches.items()}
    for place in columns.places()[columns.answered].tolist():
        judged: dict[str, bool] = {
            role: right[place] == YES
            for role, (right, provenance) in branches.items()
            if provenance[place] is not None
        }
        right, route = rights[place] == YES, columns.route[place]
        judged = judged or {route: right}
        yield ScoredSample(
            sample_id=columns.sample_id[place],
            split=columns.split[place],
            category=columns.category[place],
            cluster=_cluster(columns, place),
            picture_digest=columns.picture_digest[place],
            route="small" if route == "small" else "large",
            right=right,
            passed_screen=None if passed[place] == UNKNOWN else passed[place] == YES,
            draft=_draft(columns, place, cut_stands=cut_stands)
            if accepted[place] != UNKNOWN
            else None,
            draft_right=judged.get("small"),
            agent_right=judged.get("large"),
            seconds={p: s[place] for p, s in phases.items() if not math.isnan(s[place])},
            cached_seconds=cached[place],
            place=place,
            unclear=_is_unclear(columns, place),
        )


def _is_unclear(columns: Columns, place: int) -> bool:
    """Whether the agent's answer may be right where the draft is not known to be.

    Equal answers do no harm, nor does an agent without an answer, whoever judges them.
    """
    small, large = columns.branches.get("small"), columns.branches.get("large")
    if small is None or large is None:
        return False
    draft, agent = int(small.right[place]), int(large.right[place])
    if draft == YES or agent == NO or UNKNOWN not in (draft, agent):
        return False
    texts = small.text[place], large.text[place]
    if texts[0] is None or texts[1] is None:
        return False
    return bool(texts[1].strip()) and texts[0].strip() != texts[1].strip()


def _cluster(columns: Columns, place: int) -> str:
    """Clusters are shared by splits: POPE asks about the same pictures in each of its three."""
    cluster = columns.cluster[place]
    return (
        f"sample {columns.split[place]}/{columns.sample_id[place]}"
        if cluster is None
        else f"cluster {cluster}"
    )


def _draft(columns: Columns, place: int, *, cut_stands: bool) -> ScoredDraft:
    return ScoredDraft(
        text=columns.drafts.text[place] or "",
        finish=columns.drafts.finish[place],
        tokens=StoredTokens(columns, place),
        cut_stands=cut_stands,
        tied=bool(columns.drafts.tied[place] > 0),
    )
