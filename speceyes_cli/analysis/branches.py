"""What accepting the surest drafts does at each threshold: the arithmetic under every replay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class Branches(NamedTuple):
    """What the two branches of each sample did; one array entry a sample, in one order."""

    passed: Any
    """Whether the screen let it on to the draft; True without a screen."""
    draft_right: Any
    agent_right: Any
    spent: Any
    """Seconds of the screen, and of the draft where there was one."""
    agent: Any
    """Seconds of the agent, its tools included."""
    baseline: Any
    """Seconds of the agent alone; NaN where that is not known."""


class Sweep(NamedTuple):
    """What each threshold does; every entry is an array with one value a threshold."""

    accepted: Any
    """Samples that the draft answers."""
    right: Any
    """Right answers."""
    gain: Any
    """Accepted, the draft right and the agent wrong."""
    harm: Any
    """Accepted, the draft wrong and the agent right."""
    both_right: Any
    """Accepted, both right."""
    both_wrong: Any
    """Accepted, both wrong."""
    seconds: Any
    """Seconds of all samples."""
    before: Any
    """Seconds of the agent alone on the samples for which they are known."""
    after: Any
    """Seconds of the same samples here."""


def sweep(branches: Branches, values: Sequence[float], thresholds: Sequence[float]) -> Sweep:
    """What every threshold does; `values` are the samples' acceptable confidences.

    One sort serves all thresholds: the drafts that exceed one are the end of the sorted list.
    """
    import numpy as np  # noqa: PLC0415 - slow to import

    confidences = np.where(branches.passed, np.asarray(values, dtype=float), -np.inf)
    order = np.argsort(confidences, kind="stable")
    first = np.searchsorted(confidences[order], np.asarray(thresholds, dtype=float), side="right")

    def over(amounts: Any) -> Any:
        """The sum over the accepted samples, for each threshold."""
        amounts = np.asarray(amounts)[order]
        kind = float if amounts.dtype.kind == "f" else np.int64
        return np.append(np.cumsum(amounts[::-1], dtype=kind)[::-1], kind(0))[first]

    draft, agent = branches.draft_right, branches.agent_right
    gain, harm = over(draft & ~agent), over(~draft & agent)
    known = ~np.isnan(branches.baseline)
    whole = branches.spent + branches.agent
    return Sweep(
        accepted=len(order) - first,
        right=int(agent.sum()) + gain - harm,
        gain=gain,
        harm=harm,
        both_right=over(draft & agent),
        both_wrong=over(~draft & ~agent),
        seconds=whole.sum() - over(branches.agent),
        before=np.full(len(first), branches.baseline[known].sum()),
        after=whole[known].sum() - over(np.where(known, branches.agent, 0.0)),
    )
