"""Which samples of a run are shown, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from speceyes_cli.core.run.info import RunInfo
from speceyes_cli.view.figures import in_order
from speceyes_cli.view.queries import read_query, write_query
from speceyes_cli.view.reading import search
from speceyes_cli.view.record_index import (
    ABSENT,
    FAILED,
    RIGHT,
    ROUTES,
    UNDECIDED,
    WRONG,
    RecordIndex,
)

VERDICTS = {"right": RIGHT, "wrong": WRONG, "undecided": UNDECIDED, "failed": FAILED}
KINDS = ("gain", "harm", "both right", "both wrong")
"""Accepted samples, by who was right: the draft alone, the agent alone, both, neither."""
ORDERS = ("dataset", "surest first", "least sure first", "slowest first")
PAGE = 50
"""Samples listed on one page."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What the reader asked for; an empty text leaves all in."""

    route: str = ""
    """"small", "large" or "error"."""
    verdict: str = ""
    """One of `VERDICTS`."""
    kind: str = ""
    """One of `KINDS`."""
    tied: str = ""
    """"yes": a token of the draft was as good as tied."""
    split: str = ""
    text: str = ""
    """What question, answers, turns or observations hold."""
    order: str = ""
    """One of `ORDERS`."""

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Choice:
        """From the query of an address; a word that is none of those known leaves all in."""
        known = {
            "route": ROUTES,
            "verdict": tuple(VERDICTS),
            "kind": KINDS,
            "tied": ("yes",),
            "order": ORDERS,
        }
        given = read_query(cls, query)
        return cls(**{k: v for k, v in given.items() if v and (k not in known or v in known[k])})

    def query(self, **more: object) -> str:
        """As the query of an address, with more in it."""
        return write_query(self, more)


def kinds_of(index: RecordIndex, baseline: RecordIndex | None) -> Any:
    """Each sample's place in `KINDS`, -1 where the draft did not stand or the agent is not known.

    The agent's own branch counts before the baseline run's answer, as in every table.
    """
    rows = index.rows
    agent = rows["large_right"].copy()
    if baseline is not None:
        unknown = np.flatnonzero(agent == ABSENT)
        found = verdicts_by_sample(baseline)
        names, ids = index.split_names, index.sample_ids
        for place in unknown:
            key = (names[rows["split"][place]], ids[place])
            agent[place] = found.get(key, ABSENT)
    accepted = (rows["accepted"] == 1) & (rows["right"] >= UNDECIDED) & (agent >= UNDECIDED)
    draft_right, agent_right = rows["right"] == RIGHT, agent == RIGHT
    kinds = np.select(
        [draft_right & ~agent_right, ~draft_right & agent_right, draft_right], [0, 1, 2], 3
    )
    return np.where(accepted, kinds, -1)


def verdicts_by_sample(index: RecordIndex) -> dict[tuple[str, str], int]:
    """Each sample's verdict as a number, by split and id."""
    names = index.split_names
    return {
        (names[split], name): int(right)
        for split, name, right in zip(
            index.rows["split"], index.sample_ids, index.rows["right"], strict=True
        )
    }


def choose(
    folder: Path, info: RunInfo, index: RecordIndex, kinds: Any, choice: Choice
) -> list[int]:
    """The chosen samples' places in the index, in order."""
    rows = index.rows
    keep = np.ones(len(rows), dtype=bool)
    if choice.route:
        keep &= rows["route"] == ROUTES.index(choice.route)
    if choice.verdict:
        keep &= rows["right"] == VERDICTS[choice.verdict]
    if choice.kind:
        keep &= kinds == KINDS.index(choice.kind)
    if choice.tied:
        keep &= rows["tied"]
    if choice.split:
        keep &= rows["split"] == index.splits.get(choice.split, -1)
    if choice.text:
        keep &= np.isin(rows["place"], list(search(folder, choice.text)))
    chosen = np.array([place for place in in_order(info, index) if keep[place]], dtype=int)
    match choice.order:
        case "surest first":
            key = -np.nan_to_num(rows["confidence"][chosen], nan=-1.0)
        case "least sure first":
            key = np.nan_to_num(rows["confidence"][chosen], nan=2.0)
        case "slowest first":
            key = -rows["seconds"][chosen]
        case _:
            return [int(place) for place in chosen]
    return [int(place) for place in chosen[np.argsort(key, kind="stable")]]
