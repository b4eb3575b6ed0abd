"""A run's records as arrays, one place for each record: what tables, analyses and pages read.

    info, columns = read_columns(folder)        # of `reading`; also while the run is written
    columns.right == YES                        # numpy: which answers are right
    columns.places("test")                      # the places of one split, of all without a name
    columns.sample_id[3], columns.question[3]   # texts are lists
    columns.token_scores(3)                     # how each token of a draft stood
    read_record(folder, columns.key(3))         # of `reading`: all that is kept of one sample

100,000 records of a both-branches run take about 0.4 GiB, most of it the draft tokens' rivals.
Splits are in the run's order, samples in the dataset's. Flags are `YES`, `NO` or `UNKNOWN`, numbers
that are not defined NaN, texts that there are none of None.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from speceyes_cli.core.chat import Finish, Role
from speceyes_cli.core.gate.token import TokenScore
from speceyes_cli.core.judging.verdicts import ERROR
from speceyes_cli.core.run.store import SampleKey

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Flags = NDArray[np.int8]
    Mask = NDArray[np.bool_]

YES, NO, UNKNOWN = 1, 0, -1
_FLAG = {True: YES, False: NO, None: UNKNOWN}
_FIGURES = ("separability", "logprob", "margin", "entropy")
_NUMBERS = ("confidence", "seconds", "cached_seconds")
_COUNTS = ("position", "small_tokens", "large_tokens")
_TEXTS = ("sample_id", "question", "picture_digest", "meta")
_REPEATED = ("split", "options", "answer", "category", "cluster", "route", "text")
"""What many records share, so that one object serves them all."""
_texts_of, _repeated_of = attrgetter(*_TEXTS), attrgetter(*_REPEATED)
_numbers_of, _figures_of = attrgetter(*_NUMBERS, *_COUNTS), attrgetter(*_FIGURES)


class Branch(NamedTuple):
    """One of the two answers of a both-branches run, by record."""

    text: list[str | None]
    """None where the record has no such branch."""
    right: Flags
    """UNKNOWN: undecided, or no such branch."""
    provenance: list[str | None]
    """How the verdict was found; None where the record has no such branch."""

    @property
    def made(self) -> Mask:
        """Which records have this branch."""
        import numpy as np  # noqa: PLC0415 - slow to import

        given = (one is not None for one in self.provenance)
        return np.fromiter(given, dtype=np.bool_, count=len(self.text))


class Drafts(NamedTuple):
    """The small model's answers, by record."""

    text: list[str | None]
    """None: no draft was made."""
    accepted: Flags
    """Whether the gate let it stand; UNKNOWN: no draft was made."""
    finish: list[Finish]
    """How the last draft ended: "stop", "length" or "rejected"."""
    tied: Ints
    """Tokens that were as good as tied with a rival."""
    first: Ints
    """Shape (n + 1,): the tokens of record i are first[i] to first[i + 1] of `Tokens`."""


class Tokens(NamedTuple):
    """The tokens of all drafts, one after the other; numbers are NaN where undefined."""

    separability: Floats
    logprob: Floats
    margin: Floats
    entropy: Floats
    fault: list[str]
    rivals: Floats
    """The rivals' gaps to the top logit, of all tokens, one after the other."""
    first_rival: Ints
    """Shape (tokens + 1,): the rivals of token j are first_rival[j] to first_rival[j + 1]."""


@dataclass(frozen=True, eq=False)
class Columns:
    """The records of one run; every list and array has a place for each, unless it says else."""

    split: list[str]
    sample_id: list[str]
    position: Ints
    question: list[str]
    options: list[tuple[str, ...]]
    answer: list[str | None]
    category: list[str | None]
    cluster: list[str | None]
    meta: list[Mapping[str, Any]]
    picture_digest: list[str | None]
    route: list[str]
    """"small", "large" or "error"."""
    text: list[str | None]
    error: list[str | None]
    """The class of the error that ended it; None: it was answered."""
    confidence: Floats
    passed_screen: Flags
    right: Flags
    """UNKNOWN: undecided, or not judged."""
    provenance: list[str | None]
    """How the verdict was found; None without one."""
    branches: Mapping[Role, Branch]
    """Empty where no record has branches."""
    drafts: Drafts
    tokens: Tokens
    small_tokens: Ints
    large_tokens: Ints
    phase_seconds: Mapping[str, Floats]
    """NaN where a record lacks the phase."""
    seconds: Floats
    cached_seconds: Floats
    """Of `seconds`, what was replayed from the call cache and not measured in this run."""
    tool_errors: list[tuple[str, ...]]
    """The kind of each error of a tool that was told to the model."""

    def __len__(self) -> int:
        return len(self.sample_id)

    def key(self, place: int) -> SampleKey:
        """Of which sample a place is."""
        return SampleKey(self.split[place], self.sample_id[place])

    @cached_property
    def by_key(self) -> Mapping[SampleKey, int]:
        """The place of each sample."""
        keys = map(SampleKey, self.split, self.sample_id)
        return {key: place for place, key in enumerate(keys)}

    @cached_property
    def answered(self) -> Mask:
        """Records without an error."""
        return self._mask(one is None for one in self.error)

    @cached_property
    def without_truth(self) -> Mask:
        """Answers to questions without a known answer, which nobody could judge."""
        unknown = self._mask(one is None for one in self.answer)
        mask: Mask = self.answered & unknown & (self.right == UNKNOWN)
        return mask

    @cached_property
    def judge_failed(self) -> Mask:
        """Answers on which the judge itself failed."""
        return self.answered & self._mask(one == ERROR for one in self.provenance)

    @cached_property
    def judged(self) -> Mask:
        """Answers that could be judged and on which no judge failed."""
        return self.answered & ~self.judge_failed & ~self.without_truth

    @cached_property
    def has_verdict(self) -> Mask:
        """Records with a verdict, of a rule or a judge, undecided ones included."""
        return self._mask(one is not None for one in self.provenance)

    def places(self, split: str | None = None) -> Ints:
        """The places of one split's records, or of all."""
        import numpy as np  # noqa: PLC0415 - slow to import

        if split is None:
            return np.arange(len(self))
        return np.array([i for i, one in enumerate(self.split) if one == split], dtype=np.int64)

    def token_scores(
        self, place: int, most_rivals: int | None = None, tokens: Tokens | None = None
    ) -> list[TokenScore]:
        """How each token of a record's draft stood; none without a draft.

        With so many of their rivals, all by default. `tokens` are others in place of `self.tokens`.
        """
        tokens = self.tokens if tokens is None else tokens
        first, last = int(self.drafts.first[place]), int(self.drafts.first[place + 1])
        if first == last:
            return []
        figures = [getattr(tokens, name)[first:last].tolist() for name in _FIGURES]
        gaps: Iterable[tuple[float, ...]] = ((),) * (last - first)
        if most_rivals != 0:
            ends = tokens.first_rival[first : last + 1].tolist()
            kept = tokens.rivals[ends[0] : ends[-1]].tolist()
            spans = ((start - ends[0], end - ends[0]) for start, end in pairwise(ends))
            gaps = (tuple(kept[start:end][:most_rivals]) for start, end in spans)
        return list(map(TokenScore, *figures, tokens.fault[first:last], gaps))

    def _mask(self, values: Iterable[bool]) -> Mask:
        import numpy as np  # noqa: PLC0415 - slow to import

        return np.fromiter(values, dtype=np.bool_, count=len(self))


def columns_of(records: Iterable[Any]) -> Columns:
    """The columns of records, or of anything with their attributes."""
    builder = _Builder()
    for record in records:
        builder.add(record)
    return builder.finish()


class _Builder:
    """Takes records one at a time, so that no two need be in memory."""

    def __init__(self) -> None:
        self._count = 0
        self._shared: dict[Any, Any] = {}
        self._texts: dict[str, list[Any]] = {name: [] for name in (*_TEXTS, *_REPEATED)}
        self._numbers: dict[str, array[Any]] = {name: array("d") for name in _NUMBERS}
        self._numbers |= {name: array("q") for name in _COUNTS}
        self._keep_text = [self._texts[name].append for name in _TEXTS]
        self._keep_shared = [self._texts[name].append for name in _REPEATED]
        self._keep_number = [kept.append for kept in self._numbers.values()]
        self._error: list[str | None] = []
        self._passed = array("b")
        self._answers = _Answers(0)
        self._branches: dict[Role, _Answers] = {}
        self._phases: dict[str, array[float]] = {}
        self._drafts = _Drafts()
        self._tokens = _Tokens()
        self._tool_errors: list[tuple[str, ...]] = []

    def add(self, record: Any) -> None:
        """One more record."""
        for keep, text in zip(self._keep_text, _texts_of(record), strict=True):
            keep(text)
        for keep, text in zip(self._keep_shared, _repeated_of(record), strict=True):
            keep(self._share(text))
        for keep, number in zip(self._keep_number, _numbers_of(record), strict=True):
            keep(math.nan if number is None else number)
        self._error.append(None if record.error is None else self._share(record.error.kind))
        self._passed.append(_FLAG[record.passed_screen])
        self._answers.add(None, record.verdict)
        for role, branch in record.branches.items():
            if role not in self._branches:
                self._branches[role] = _Answers(self._count)
            self._branches[role].add(self._share(branch.text), branch.verdict)
        for phase, seconds in record.phase_seconds.items():
            kept = self._phases.setdefault(phase, array("d"))
            kept.extend([math.nan] * (self._count - len(kept)))
            kept.append(seconds)
        self._drafts.add(record)
        self._tokens.add(record.draft)
        self._tool_errors.append(self._share(_tool_errors_of(record.details)))
        self._count += 1
        self._drafts.first.append(len(self._tokens.fault))
        for branch in self._branches.values():
            branch.fill(self._count)

    def _share(self, value: Any) -> Any:
        return self._shared.setdefault(value, value)

    def finish(self) -> Columns:
        """The columns; nothing can be added after."""
        answers = self._answers.finish()
        for kept in self._phases.values():
            kept.extend([math.nan] * (self._count - len(kept)))
        columns: dict[str, Any] = {**self._texts}
        columns |= {name: _frozen(kept) for name, kept in self._numbers.items()}
        return Columns(
            **columns,
            error=self._error,
            passed_screen=_frozen(self._passed),
            right=answers.right,
            provenance=answers.provenance,
            branches={role: branch.finish() for role, branch in self._branches.items()},
            drafts=self._drafts.finish(),
            tokens=self._tokens.finish(),
            phase_seconds={phase: _frozen(kept) for phase, kept in self._phases.items()},
            tool_errors=self._tool_errors,
        )


def _tool_errors_of(details: Mapping[str, Any]) -> tuple[str, ...]:
    """The kinds of errors in the notes of a trajectory's turns, whoever wrote these."""
    turns = details.get("turns")
    kinds: list[Any] = []
    for turn in turns if isinstance(turns, list) else ():
        if isinstance(turn, dict):
            several = turn.get("kinds")
            kinds += several if isinstance(several, list) else [turn.get("kind")]
    return tuple(kind for kind in kinds if isinstance(kind, str))


class _Answers:
    """Answers of the runs or of one branch, with their verdicts."""

    def __init__(self, missing: int) -> None:
        self._text: list[str | None] = []
        self._right = array("b")
        self._provenance: list[str | None] = []
        self.fill(missing)

    def add(self, text: str | None, verdict: Any) -> None:
        self._text.append(text)
        self._right.append(UNKNOWN if verdict is None else _FLAG[verdict.right])
        self._provenance.append(None if verdict is None else sys.intern(verdict.provenance))

    def fill(self, count: int) -> None:
        """Nothing for the records up to this many."""
        while len(self._text) < count:
            self.add(None, None)

    def finish(self) -> Branch:
        return Branch(self._text, _frozen(self._right), self._provenance)


class _Drafts:
    def __init__(self) -> None:
        self._text: list[str | None] = []
        self._accepted = array("b")
        self._finish: list[Finish] = []
        self._tied = array("q")
        self.first = array("q", [0])

    def add(self, record: Any) -> None:
        draft = record.draft
        ends = [call.finish for call in record.calls if call.phase == "draft"]
        self._text.append(None if draft is None else sys.intern(draft.text))
        self._accepted.append(UNKNOWN if draft is None else _FLAG[draft.accepted])
        self._finish.append(ends[-1] if ends else "stop")
        self._tied.append(0 if draft is None else draft.tied_tokens)

    def finish(self) -> Drafts:
        accepted, tied, first = map(_frozen, (self._accepted, self._tied, self.first))
        return Drafts(self._text, accepted, self._finish, tied, first)


class _Tokens:
    def __init__(self) -> None:
        self._figures = {name: array("d") for name in _FIGURES}
        self._keep = [kept.append for kept in self._figures.values()]
        self.fault: list[str] = []
        self._rivals = array("d")
        self._first = array("q", [0])

    def add(self, draft: Any) -> None:
        for token in () if draft is None else draft.tokens:
            for keep, value in zip(self._keep, _figures_of(token), strict=True):
                keep(math.nan if value is None else value)
            self.fault.append(token.fault)
            self._rivals.extend(array("d", token.rivals))
            self._first.append(len(self._rivals))

    def finish(self) -> Tokens:
        figures = {name: _frozen(kept) for name, kept in self._figures.items()}
        return Tokens(
            **figures,
            fault=self.fault,
            rivals=_frozen(self._rivals),
            first_rival=_frozen(self._first),
        )


def _frozen(values: array[Any]) -> Any:
    """The same numbers, in the same memory, as a numpy array that cannot be written to."""
    import numpy as np  # noqa: PLC0415 - slow to import

    kept = np.frombuffer(values, dtype=values.typecode) if values else np.empty(0, values.typecode)
    kept.flags.writeable = False
    return kept
