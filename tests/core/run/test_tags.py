"""What a run is, from one list: the tags of the configuration's fields, and what follows."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from pydantic import BaseModel

from speceyes_cli.analysis.settings import setting_of
from speceyes_cli.core.chat import Role
from speceyes_cli.core.run.info import RunConfig, RunInfo
from speceyes_cli.core.run.tags import tags_of
from speceyes_cli.core.tables.summaries import LoadedRun, matching_baselines
from speceyes_cli.host.planning.options import RunOptions
from speceyes_cli.host.planning.sweeps import axes
from speceyes_cli.host.running.pool import config_field
from speceyes_cli.host.specs import EngineOptions
from tests.core.conftest import MakeRecord

TAGS = tags_of(RunConfig)
CHANGED: dict[str, Any] = {
    "splits": ("test",),
    "limit": 3,
    "gate": "log",
    "top_k": 8,
    "threshold": 0.5,
    "draft_tokens": 9,
    "batch_size": 1,
    "fallbacks": 1,
    "concurrency": 2,
    "small_min_pixels": 5,
    "small_max_pixels": 5,
    "large_min_pixels": 5,
    "large_max_pixels": 5,
    "max_turns": 5,
    "max_new_tokens": 5,
    "answer_options": {"agent": {"margin": 3}},
    "time_options": {"large": {"slow": 3.0}},
    "prompt_hashes": {"agent": "other"},
    "audit": 0.5,
    "data_fingerprint": {"test": "other", "other": None},
    "model_digests": {"large": "other"},
}
"""Another value for each field that is neither text nor a yes or no."""


def test_every_field_has_a_tag() -> None:
    assert list(TAGS) == list(RunConfig.model_fields)


def test_a_field_without_a_tag_is_found() -> None:
    class Untagged(BaseModel):
        speed: int

    with pytest.raises(KeyError, match=r"Untagged\.speed has no Tag"):
        tags_of(Untagged)


def change(config: RunConfig, name: str) -> RunConfig:
    value = getattr(config, name)
    other = not value if isinstance(value, bool) else CHANGED.get(name, "another")
    return config.model_copy(update={name: other})


@pytest.mark.parametrize("name", list(TAGS))
def test_a_certificate_binds_what_decides_answers(config: RunConfig, name: str) -> None:
    """Not the gate, which it sets itself, nor where files are: their contents are compared."""
    bound = setting_of(change(config, name)) != setting_of(config)
    tag = TAGS[name]
    by_contents = name == "model_digests"
    assert bound is (
        by_contents or (tag.decides == "answers" and tag.part not in ("gate", "files"))
    )


@pytest.mark.parametrize("name", [name for name in TAGS if name != "method"])
def test_a_baseline_shares_what_decides_the_agents_answers_and_time(
    info: RunInfo, make_record: MakeRecord, name: str
) -> None:
    records = [make_record("s1")]

    def loaded(config: RunConfig) -> LoadedRun:
        return LoadedRun.of(None, info.model_copy(update={"config": config}), records)  # type: ignore[arg-type]

    run = loaded(info.config)
    other = change(info.config.model_copy(update={"method": "baseline"}), name)
    tag = TAGS[name]
    shared = tag.decides != "neither" and tag.part in ("samples", "agent", "machine", "keyed")
    found = bool(matching_baselines(run, [loaded(other)]))
    assert found is not (shared or tag.part == "files")


def test_what_can_be_swept_is_what_decides_on_the_same_samples() -> None:
    options = {field.name for field in fields(RunOptions)}
    expected = {
        name
        for name, tag in TAGS.items()
        if tag.decides != "neither" and tag.part not in ("samples", "files", "keyed")
    }
    assert {axis.replace("-", "_") for axis in axes()} == expected
    assert expected <= options


@pytest.mark.parametrize("role", ["small", "large"])
def test_every_option_of_an_engine_is_tagged(role: Role) -> None:
    """So that the call cache's key holds it, unless it decides neither answers nor time."""
    own = {"role", "options"}
    names = {config_field(f.name, role) for f in fields(EngineOptions) if f.name not in own}
    assert names <= set(TAGS)
