from __future__ import annotations

import pytest

from speceyes_cli.core.errors import UsageError
from speceyes_cli.host.manager import Host
from speceyes_cli.host.planning.options import RunOptions
from speceyes_cli.host.planning.plans import plan_run


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (RunOptions(race=True, method="baseline"), "baseline cannot"),
        (RunOptions(race=True, both_branches=True), "choose one"),
    ],
)
def test_a_race_needs_a_method_with_branches_to_cancel(
    options: RunOptions, says: str, host: Host
) -> None:
    with pytest.raises(UsageError, match=says):
        plan_run(options, (), host)


def test_a_race_is_a_run_of_its_own(host: Host) -> None:
    raced, plain = (plan_run(RunOptions(race=race), (), host) for race in (True, False))
    assert raced.info.config.race
    assert raced.info.name != plain.info.name
