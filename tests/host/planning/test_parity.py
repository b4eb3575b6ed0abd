from __future__ import annotations

from dataclasses import replace

import pytest

from speceyes_cli.core.errors import UsageError
from speceyes_cli.host.manager import Host
from speceyes_cli.host.planning.options import RunOptions
from speceyes_cli.host.planning.plans import RunPlan, plan_run

NEEDLE = RunOptions(parity="paper", limit=1)


def plan(host: Host, passed: tuple[str, ...] = (), **changes: object) -> RunPlan:
    return plan_run(replace(NEEDLE, **changes), passed, host)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("agent", "threshold", "turns", "tokens", "own"),
    [
        ("deepeyes", 0.98, 6, 512, {"box-rounding": "truncate"}),
        ("thyme", 0.95, 5, 2048, {"state": "fresh"}),
    ],
)
def test_everything_that_differs_on_purpose_is_set(
    host: Host, agent: str, threshold: float, turns: int, tokens: int, own: dict[str, str]
) -> None:
    made = plan(host, agent=agent)
    config = made.info.config
    assert (config.parity, config.option_order) == ("paper", "dataset")
    assert (config.threshold, config.batch_size, config.fallbacks) == (threshold, 6, 1)
    assert (config.max_turns, config.max_new_tokens) == (turns, tokens)
    assert own.items() <= config.answer_options["agent"].items()
    assert made.recipe.method_options.as_paper
    assert made.recipe.gate.cut_stands
    assert made.recipe.gate.hopeless is None


def test_the_list_is_kept_and_names_each_setting(host: Host) -> None:
    told = "\n".join(plan(host).info.notes)
    for word in (
        "--option-order dataset",
        "--fallbacks 1",
        "--tie-policy accept",
        "box-rounding=truncate",
        "multiples of",
    ):
        assert word in told
    assert "upstream:FOLDER" in told


def test_what_is_named_stays_and_is_told(host: Host) -> None:
    made = plan(
        host,
        ("threshold", "tie_policy", "agent_option"),
        threshold=0.9,
        tie_policy="reject",
        agent_option=["box-rounding=outward"],
    )
    assert made.info.config.threshold == 0.9
    assert made.info.config.tie_policy == "reject"
    assert made.info.config.answer_options["agent"]["box-rounding"] == "outward"
    told = "\n".join(made.info.notes)
    assert "--threshold 0.9, as named; the paper's is 0.98" in told
    assert "--tie-policy reject, as named; the paper's is accept" in told
    assert "box-rounding=outward, as named; the paper's is truncate" in told


def test_a_step_score_keeps_its_own_threshold(host: Host) -> None:
    made = plan(host, method="specreason")
    assert made.info.config.threshold == 7
    assert not any("--tie-policy" in line for line in made.info.notes)


def test_a_run_with_it_is_another_run(host: Host) -> None:
    assert plan(host).info.name != plan(host, parity=None).info.name
    assert plan(host, parity=None).info.notes == ()


def test_unknown_words_and_agents_are_told(host: Host) -> None:
    with pytest.raises(UsageError, match="--parity knows 'paper' only, not 'pape'"):
        plan(host, parity="pape")
    with pytest.raises(UsageError, match="the paper has no agent looker; it has deepeyes, thyme"):
        plan(host, agent="looker", small="scripted", large="scripted", dataset="dots")
