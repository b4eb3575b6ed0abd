"""A run as plain data: what each sample's two models said, how sure the draft was, what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from speceyes_cli.core.chat import Finish, Role
from speceyes_cli.core.errors import DataError
from speceyes_cli.core.gate.token import TokenScore, score_from
from speceyes_cli.core.run.info import RunConfig, same_data
from speceyes_cli.core.run.records import DraftNote, PictureNote, Record, VerdictNote
from speceyes_cli.core.tables.summaries import LoadedRun


@dataclass(frozen=True, slots=True)
class ScoredDraft:
    """The small model's answer and how each of its tokens stood."""

    text: str
    finish: Finish
    """How it ended; "rejected": the gate ended it early, as hopeless."""
    tokens: tuple[TokenScore, ...]
    """NaN where undefined, as the gate saw them."""

    @property
    def complete(self) -> bool:
        """It ended by itself and says something; any other draft is never accepted."""
        return self.finish == "stop" and bool(self.text.strip())


@dataclass(frozen=True, slots=True)
class ScoredSample:
    """One sample that was answered."""

    sample_id: str
    split: str
    category: str | None
    cluster: str
    """Samples that share this are not independent; one that shares nothing has its own."""
    picture: str | None
    """The picture's name."""
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


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """Every answered sample of one run."""

    run: str
    config: RunConfig
    samples: tuple[ScoredSample, ...]
    errors: int
    """Samples that failed; they are not in `samples`."""
    undecided: int
    """Answers, of either branch, that no rule could judge; they count as wrong."""

    @property
    def both_branches(self) -> bool:
        """Whether draft and agent were run and judged for every sample."""
        return bool(self.samples) and all(
            s.draft is not None and s.draft_right is not None and s.agent_right is not None
            for s in self.samples
        )


def read_table(run: LoadedRun) -> ScoreTable:
    """The run's answered samples; `DataError` when there is none."""
    answered = [record for record in run.records if record.error is None]
    if not answered:
        raise DataError(f"{run.folder} holds no answered sample; run `speceyes eval` first.")
    return ScoreTable(
        run=run.info.name,
        config=run.info.config,
        samples=tuple(_sample(record) for record in answered),
        errors=len(run.records) - len(answered),
        undecided=sum(_undecided(record) for record in answered),
    )


def read_tables(runs: Sequence[LoadedRun]) -> list[ScoreTable]:
    """One table for each run; `DataError` when the runs are of different data."""
    first = runs[0].info.config
    for run in runs[1:]:
        config = run.info.config
        where = () if same_data(first, config) else ("data", "data_fingerprint")
        for field in ("dataset", "option_order", *where):
            mine, theirs = getattr(first, field), getattr(config, field)
            if mine != theirs:
                raise DataError(
                    f"These runs are of different data: {runs[0].info.name} has {field} {mine!r}, "
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


def _undecided(record: Record) -> int:
    verdicts: list[VerdictNote | None] = [branch.verdict for branch in record.branches.values()]
    return sum(v is None or v.right is None for v in verdicts or [record.verdict])


def _sample(record: Record) -> ScoredSample:
    right = record.verdict is not None and record.verdict.right is True
    judged: dict[Role, bool] = {
        role: branch.verdict.right is True for role, branch in record.branches.items()
    }
    if not judged and record.route != "error":
        judged = {record.route: right}
    return ScoredSample(
        sample_id=record.sample_id,
        split=record.split,
        category=record.category,
        cluster=_cluster(record),
        picture=_picture(record),
        picture_digest=record.picture_digest,
        route="small" if record.route == "small" else "large",
        right=right,
        passed_screen=record.passed_screen,
        draft=_draft(record.draft, _finish(record)) if record.draft is not None else None,
        draft_right=judged.get("small"),
        agent_right=judged.get("large"),
        seconds=dict(record.phase_seconds),
    )


def _cluster(record: Record) -> str:
    """Clusters are shared by splits: POPE asks about the same pictures in each of its three."""
    if record.cluster is not None:
        return f"cluster {record.cluster}"
    return f"sample {record.split}/{record.sample_id}"


def _picture(record: Record) -> str | None:
    parts = (
        part
        for messages in record.messages.values()
        for message in messages
        for part in message.content
    )
    return next((part.picture for part in parts if isinstance(part, PictureNote)), None)


def _finish(record: Record) -> Finish:
    """How the last draft ended: the gate judged that one."""
    ends = [call.finish for call in record.calls if call.phase == "draft"]
    return ends[-1] if ends else "stop"


def _draft(note: DraftNote, finish: Finish) -> ScoredDraft:
    return ScoredDraft(
        text=note.text,
        finish=finish,
        tokens=tuple(score_from(token) for token in note.tokens),
    )
