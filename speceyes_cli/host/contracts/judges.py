"""Judges, watched: batches of verdicts, each on a claim."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from speceyes_cli.core.judging.judges import Auditor, Batches, Claim, Identity, Judge, Judged
from speceyes_cli.host.offers import Offer
from speceyes_cli.host.type_check import misfit


def watch_judge(judge: Any, offer: Offer) -> Judge:
    """The judge, watched; `PluginError` when it lacks a method or its name."""
    for method in ("prepare(claims)", "judge(claims)", "close()"):
        if not callable(getattr(judge, method.partition("(")[0], None)):
            raise offer.wrong(f"has no method {method}")
    if wrong := misfit(getattr(judge, "name", None), str):
        raise offer.wrong(f"is not complete: its name {wrong}")
    watched = WatchedAuditor if isinstance(judge, Auditor) else WatchedJudge
    return watched(judge, offer)


class WatchedJudge:
    """A judge whose verdicts are what the program expects, or an error that names it."""

    def __init__(self, judge: Any, offer: Offer) -> None:
        self._judge = judge
        self._offer = offer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._judge, name)

    @property
    def name(self) -> str:
        """The judge's own."""
        return str(self._judge.name)

    def prepare(self, claims: Sequence[Claim]) -> Identity | None:
        """The judge's own."""
        with self._offer.told("prepare"):
            identity = self._judge.prepare(claims)
        return None if identity is None else self._offer.check(identity, Identity, "prepare")

    def judge(self, claims: Sequence[Claim]) -> Batches:
        """The judge's own batches, each verdict checked."""
        return self._batches("judge", self._judge.judge, claims)

    def close(self) -> None:
        """The judge's own."""
        with self._offer.told("close"):
            self._judge.close()

    def _batches(
        self, doing: str, judge: Callable[[Sequence[Claim]], Any], claims: Sequence[Claim]
    ) -> Batches:
        with self._offer.told(doing):
            batches = judge(claims)
            if isinstance(batches, str) or not isinstance(batches, Iterable):
                raise self._offer.wrong(f"gives no batches from {doing}: yield lists of verdicts")
            for batch in batches:
                if isinstance(batch, str) or not isinstance(batch, Sequence):
                    raise self._offer.wrong(f"yields no lists of verdicts from {doing}")
                yield [self._offer.check(judged, Judged, doing) for judged in batch]


class WatchedAuditor(WatchedJudge):
    """The same for a judge that can give second opinions."""

    def audit(self, claims: Sequence[Claim]) -> Batches:
        """The judge's own second opinions."""
        return self._batches("audit", self._judge.audit, claims)
