"""Before a run: how many samples certify a loss, and what coverage to expect.

Units are independent samples of one size, tested by the exact binomial tail as `calibration` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ConfigDict

from speceyes_cli.analysis.calibration import Unit, certify, gather_units, smallest_n
from speceyes_cli.analysis.certified_points import judged_samples
from speceyes_cli.analysis.table import ScoreTable
from speceyes_cli.core.errors import DataError, UsageError

CHANCES = (0.5, 0.8, 0.9)
"""The chances of success for which samples are told."""
MOST_SAMPLES = 100_000
"""Where the search for a number of samples ends."""
DRAWS = 400
"""Calibration runs that are drawn from a pilot, for each number of samples."""
SEED = 0


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class Needed(_Figures):
    """The samples that an expected harm calls for."""

    harm: float
    """Expected P(accepted, the agent right, the draft wrong) at the threshold hoped for."""
    samples: dict[float, int | None]
    """By chance of success: samples with which that threshold passes its test; None: more than are
    searched for."""


class Expected(_Figures):
    """What calibration runs of so many samples come to, drawn from a pilot."""

    samples: int
    certified: float
    """Share of draws in which a threshold that accepts a draft is certified."""
    coverage: float
    """Median share of samples that the certified threshold accepts; 0 where there is none."""
    coverage_low: float
    """One draw in ten is below."""
    coverage_high: float
    """One draw in ten is above."""


def check_harm(harm: float, max_loss: float) -> None:
    """Raise `UsageError` for a harm that no number of samples could certify."""
    if not 0 <= harm < max_loss:
        raise UsageError(
            f"--harm is a share from 0 to below --max-loss {max_loss:g}, not {harm:g}: a harm at "
            "the bound is never certified but by mistake."
        )


def critical_sizes(max_loss: float, risk: float) -> Iterator[tuple[int, int]]:
    """For 0, 1, 2, ... harmful samples, the least samples that still certify; up to the limit."""
    from scipy.stats import binom  # noqa: PLC0415 - slow to import

    n, harmful = smallest_n(max_loss, risk), 0
    while n <= MOST_SAMPLES:
        yield n, harmful
        harmful += 1
        low, high = n, 2 * n + 2  # each harmful one more asks for less than twice as many
        while low < high:
            middle = (low + high) // 2
            if binom.cdf(harmful, middle, max_loss) <= risk:
                high = middle
            else:
                low = middle + 1
        n = low


def chance_to_certify(n: int, harm: float, max_loss: float, risk: float) -> float:
    """The chance that n samples of which a share `harm` is harmful pass the test at one threshold.

    The walk must pass at every stricter threshold too, where harm is less, so a little less is to
    be expected of it.
    """
    from scipy.stats import binom  # noqa: PLC0415 - slow to import

    most = int(binom.ppf(risk, n, max_loss))
    while most >= 0 and binom.cdf(most, n, max_loss) > risk:
        most -= 1
    return float(binom.cdf(most, n, harm)) if most >= 0 else 0.0


def samples_needed(harm: float, max_loss: float, risk: float) -> Needed:
    """The least samples for each of `CHANCES`."""
    from scipy.stats import binom  # noqa: PLC0415 - slow to import

    found: dict[float, int | None] = dict.fromkeys(CHANCES)
    for n, harmful in critical_sizes(max_loss, risk):
        reached = float(binom.cdf(harmful, n, harm))
        for chance in CHANCES:
            if found[chance] is None and reached >= chance:
                found[chance] = n
        if all(found.values()):
            break
    return Needed(harm=harm, samples=found)


def expect(
    table: ScoreTable,
    values: Sequence[float],
    levels: tuple[float, float],
    sizes: Sequence[int],
) -> list[Expected]:
    """What to expect of runs like this pilot, of each number of samples.

    Clusters are drawn with replacement from the pilot, whose samples' acceptable confidences are
    `values`; `levels` are the loss and the risk. A small pilot knows little of rare harm, and what
    it has not seen is not drawn. Raises `DataError` for a number of samples below one.
    """
    import numpy as np  # noqa: PLC0415 - slow to import

    judged = judged_samples(table.samples, values)
    members: dict[str, list[tuple[str, float, bool]]] = {}
    for row in judged:
        members.setdefault(row[0], []).append(row)
    units = [unit for name in members for unit in gather_units(members[name])]
    accepted = np.array([value for _, value, _ in judged])
    generator = np.random.default_rng(SEED)
    found = []
    for size in sizes:
        if size < 1:
            raise DataError(f"A run has at least one sample, not {size}.")
        clusters = max(1, round(size * len(units) / len(judged)))
        drawn = [
            _coverage(
                [units[place] for place in generator.integers(len(units), size=clusters)],
                levels,
                accepted,
            )
            for _ in range(DRAWS)
        ]
        low, middle, high = np.quantile(drawn, [0.1, 0.5, 0.9])
        found.append(
            Expected(
                samples=size,
                certified=sum(share > 0 for share in drawn) / DRAWS,
                coverage=float(middle),
                coverage_low=float(low),
                coverage_high=float(high),
            )
        )
    return found


def _coverage(units: list[Unit], levels: tuple[float, float], accepted: object) -> float:
    """The share of the pilot's samples that the threshold certified on these units accepts."""
    import numpy as np  # noqa: PLC0415 - slow to import

    try:
        found = certify(units, *levels)
    except DataError:
        return 0.0
    return 0.0 if found is None else float((np.asarray(accepted) > found.threshold).mean())
