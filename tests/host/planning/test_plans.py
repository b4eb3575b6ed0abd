from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from speceyes_example.dots import DOTS
from speceyes_example.scripted import SCRIPTED

from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.run.store import SampleKey
from speceyes_cli.host.manager import Catalog, Host, Source
from speceyes_cli.host.planning.models import choose_engine, close_engines, load_engines
from speceyes_cli.host.planning.options import RunOptions
from speceyes_cli.host.planning.plans import RunPlan, plan_run

OPTIONS = RunOptions(agent="looker", dataset="dots", small="scripted", large="scripted?delay=0")


def plan(host: Host, **changes: object) -> RunPlan:
    return plan_run(replace(OPTIONS, **changes), (), host)  # type: ignore[arg-type]


def with_dataset(host: Host, **changes: object) -> Host:
    changed = replace(DOTS, **changes)  # type: ignore[arg-type]
    catalog: Catalog[object] = Catalog("dataset", {"dots": changed}, {"dots": Source("e", "e")})
    return replace(host, datasets=catalog)  # type: ignore[arg-type]


def test_a_plan_loads_nothing_and_writes_nothing(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = plan(host)
    assert set(found.loads) == {"small", "large"}
    assert found.folder == Path("runs") / found.info.name
    assert not list(tmp_path.iterdir())


def test_the_same_options_have_the_same_name_and_others_another(host: Host) -> None:
    assert plan(host).info.name == plan(host).info.name
    assert plan(host).info.name.startswith("dots-looker-speceyes-min-0.98-")
    names = {
        plan(host, **change).info.name
        for change in (
            {},
            {"threshold": 0.9},
            {"gate": "log"},
            {"top_k": 32},
            {"split": "near"},
            {"limit": 3},
            {"data": "broken"},
            {"batch_size": 1},
            {"small": "scripted?delay=1"},
            {"small_max_pixels": 999},
            {"max_turns": 2},
            {"method": "baseline"},
            {"method": "specreason"},
            {"screen": "small"},
            {"draft_tokens": 5},
            {"thinking": True},
            {"fallbacks": 1},
        )
    }
    assert len(names) == 17


def test_where_and_how_a_run_is_kept_does_not_name_it(host: Host) -> None:
    kept = plan(host, out=Path("x"), resume=False, retry_errors=True, keep_images=True)
    assert kept.info.name == plan(host).info.name
    assert kept.folder == Path("x")


def test_samples_are_limited_per_split_and_resumed_by_id(host: Host) -> None:
    found = plan(host, limit=2)
    assert found.size() == 4
    done = {SampleKey("near", "dot-0"): "small"}
    assert [(p.sample.split, p.sample.id) for p in found.samples(done)] == [
        ("near", "dot-1"),
        ("far", "dot-0"),
        ("far", "dot-1"),
    ]


def test_a_split_may_have_to_be_named(host: Host) -> None:
    one = with_dataset(host, named_only=("far",))
    assert plan(one).info.config.splits == ("near",)
    assert plan(one, split="far").info.config.splits == ("far",)


def test_the_dataset_may_have_a_limit_of_its_own(host: Host) -> None:
    limited = with_dataset(host, default_limit=3)
    assert plan(limited).size() == 6
    assert plan(limited, limit=0).size() == 60
    assert plan(limited, limit=0).info.config.limit is None
    assert plan(limited, limit=100).size() == 60


def test_a_size_that_cannot_be_told_is_none(host: Host) -> None:
    unknown = with_dataset(host, size=lambda split, _: None if split == "far" else 40)
    assert plan(unknown).size() is None


def test_the_first_engine_that_takes_a_model_serves_it(host: Host) -> None:
    greedy = replace(SCRIPTED, name="greedy", takes=lambda _: True)
    catalog = Catalog("engine", {"scripted": SCRIPTED, "greedy": greedy}, {})
    both = replace(host, engines=catalog)
    assert choose_engine("scripted", both).name == "scripted"
    assert choose_engine("other", both).name == "greedy"


def test_a_model_nobody_takes_is_answered_with_the_engines(host: Host) -> None:
    alone = replace(host, engines=Catalog("engine", {"scripted": SCRIPTED}, {}))
    with pytest.raises(
        UsageError,
        match=r"'other', and there is no such folder; engines: scripted \(replies by rule",
    ):
        choose_engine("other", alone)


def test_each_role_gets_its_own_options(host: Host) -> None:
    loads = plan(host, small_max_pixels=100, large_max_pixels=200, large_min_pixels=5).loads
    small, large = loads["small"].options, loads["large"].options
    assert (small.role, small.min_pixels, small.max_pixels) == ("small", None, 100)
    assert (large.role, large.min_pixels, large.max_pixels) == ("large", 5, 200)
    assert large.model == "scripted?delay=0"


def test_an_agent_may_have_models_of_its_own_in_a_set(host: Host) -> None:
    def models(agent: str, **changes: object) -> dict[str, str]:
        named = {"small": None, "large": None, "dataset": "needle", **changes}
        loads = plan(host, agent=agent, **named).loads
        return {role: load.options.model for role, load in loads.items()}

    assert models("qwen") == {"small": "embedded", "large": "embedded"}
    assert models("deepeyes") == {"small": "embedded", "large": "embedded-qwen2.5"}
    assert models("deepeyes", large="embedded") == {"small": "embedded", "large": "embedded"}


def test_the_budget_reaches_the_agent(host: Host) -> None:
    agent = plan(host, max_turns=2, max_new_tokens=7).recipe.agent
    assert (agent.max_turns, agent.max_new_tokens) == (2, 7)


def test_an_engine_shared_by_two_roles_is_closed_once(host: Host) -> None:
    told: list[str] = []
    engines = load_engines(plan(host).loads, told.append)
    assert told == [
        "Loading the small model: scripted",
        "Loading the large model: scripted?delay=0",
    ]
    closed = []
    engine = engines["small"]
    engine.close = lambda: closed.append(1)  # type: ignore[method-assign]
    close_engines({"small": engine, "large": engine})
    assert closed == [1]
