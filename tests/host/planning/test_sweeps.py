from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speceyes_cli.core.errors import UsageError
from speceyes_cli.host.manager import Host
from speceyes_cli.host.planning.options import RunOptions
from speceyes_cli.host.planning.plans import RunPlan
from speceyes_cli.host.planning.sweeps import Axis, parse_axis, plan_sweep

OPTIONS = RunOptions(agent="looker", dataset="dots", small="scripted", large="scripted")


def plans(host: Host, *sweep: str, **changes: object) -> list[RunPlan]:
    return plan_sweep(replace(OPTIONS, **changes), sweep, ("dataset", *changes), host)  # type: ignore[arg-type]


def told(plan: RunPlan) -> tuple[object, ...]:
    config = plan.info.config
    return config.method, config.gate, config.threshold


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("gate=min,mean", Axis("gate", ("min", "mean"))),
        ("gate= min , mean,min", Axis("gate", ("min", "mean"))),
        ("threshold=0.94:0.97:0.01", Axis("threshold", (0.94, 0.95, 0.96, 0.97))),
        ("threshold=0.9,0.95:0.96:0.005", Axis("threshold", (0.9, 0.95, 0.955, 0.96))),
        ("threshold=0.97:0.95:-0.01", Axis("threshold", (0.97, 0.96, 0.95))),
        ("top-k=32:96:16", Axis("top_k", (32, 48, 64, 80, 96))),
        ("top_k=64", Axis("top_k", (64,))),
        ("agent-option.margin=1:3:1", Axis("agent_option", (1, 2, 3), "margin")),
        ("agent_option.mood=a,b", Axis("agent_option", ("a", "b"), "mood")),
        ("engine-option.large.slow=0.5", Axis("engine_option", (0.5,), "large.slow")),
        ("small=scripted?delay=0,other", Axis("small", ("scripted?delay=0", "other"))),
    ],
)
def test_an_axis_is_a_list_or_a_range_with_its_end(host: Host, text: str, axis: Axis) -> None:
    assert parse_axis(text, host) == axis


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("gate", "--sweep gate: write axis=values, such as gate=min,mean."),
        ("treshold=1", "no such axis; did you mean 'threshold'? known: agent, "),
        ("out=a,b", "no such axis"),
        ("gate=", "--sweep gate has no values."),
        ("gate=, ,", "--sweep gate has no values."),
        ("threshold=0.9:0.8:0.1", "the range is empty"),
        ("threshold=0.9:1:0", "a range is start:stop:step"),
        ("threshold=0.9:1", "a range is start:stop:step"),
        ("threshold=a:b:c", "a range is start:stop:step"),
        ("threshold=0:inf:1", "the range is empty"),
        ("threshold=0:1:1e-9", "more than 1,000 points"),
        ("threshold=high", "'high' is not a number"),
        ("top-k=1.5", "'1.5' is not a whole number"),
        ("top-k=nan", "'nan' is not a whole number"),
    ],
)
def test_what_is_no_axis_is_told(host: Host, text: str, sentence: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_axis(text, host)
    assert sentence in str(error.value)


@given(st.text())
def test_no_text_does_worse_than_a_usage_error(host: Host, text: str) -> None:
    try:
        axis = parse_axis(text, host)
    except UsageError:
        return
    assert axis.values


@given(st.sampled_from(["threshold", "top-k"]), st.text(alphabet="0123456789.:,-einfa"))
def test_no_number_does_worse_than_a_usage_error(host: Host, name: str, text: str) -> None:
    try:
        axis = parse_axis(f"{name}={text}", host)
    except UsageError:
        return
    assert 0 < len(axis.values) <= 1_000 * len(text)


def test_every_combination_is_a_run_of_its_own(host: Host) -> None:
    found = plans(host, "gate=min,mean", "threshold=0.9,0.95")
    assert [told(plan) for plan in found] == [
        ("speceyes", gate, threshold) for gate in ("min", "mean") for threshold in (0.9, 0.95)
    ]
    assert len({plan.folder for plan in found}) == 4
    assert set(found[0].info.passed) == {"dataset", "gate", "threshold"}


def test_runs_lie_below_the_named_folder(host: Host) -> None:
    [one] = plans(host, "gate=min", out=Path("here"))
    assert one.folder == Path("here") / one.info.name


def test_an_option_is_given_once_or_swept(host: Host) -> None:
    with pytest.raises(UsageError, match=r"--top-k is given .* SPECEYES_TOP_K"):
        plans(host, "gate=min,mean", "top-k=32,64", top_k=32)


def test_points_that_a_method_cannot_tell_apart_are_run_once(host: Host) -> None:
    found = plans(host, "agent=looker,deepeyes", "method=draft,baseline", "gate=min,mean")
    assert [(p.info.config.method, p.info.config.agent) for p in found] == [
        ("draft", "looker"),
        ("baseline", "looker"),
        ("baseline", "deepeyes"),
    ]


def test_a_swept_threshold_is_for_gates_and_specreason_keeps_its_own(host: Host) -> None:
    found = plans(host, "method=specreason,speceyes", "threshold=0.9,0.95")
    assert [told(plan) for plan in found] == [
        ("specreason", None, 7),
        ("speceyes", "min", 0.9),
        ("speceyes", "min", 0.95),
    ]
    alone = plans(host, "threshold=5:7:1", method="specreason")
    assert [told(plan)[2] for plan in alone] == [5, 6, 7]


def test_models_are_shared_whatever_the_k(host: Host) -> None:
    found = plans(host, "top-k=32,64,96")
    assert len({load for plan in found for load in plan.loads.values()}) == 2
    assert [plan.info.config.top_k for plan in found] == [32, 64, 96]


@pytest.mark.parametrize(
    ("sweep", "sentence"),
    [
        (["gate=min", "gate=mean"], "--sweep gate is given twice"),
        (["threshold=0:1:0.01", "top-k=2:500:1"], "points; at most 1,000"),
        (["gate=min,minn"], "no gate 'minn'"),
        (["threshold=0.9,1.2"], "--threshold is a confidence from 0 to 1, not 1.2."),
    ],
)
def test_every_point_is_checked_before_the_first_is_run(
    host: Host, sweep: list[str], sentence: str
) -> None:
    with pytest.raises(UsageError) as error:
        plans(host, *sweep)
    assert sentence in str(error.value)
