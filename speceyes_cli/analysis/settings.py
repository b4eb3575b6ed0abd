"""What two runs must share for one to predict the other: all that decides an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from speceyes_cli.core.run.info import RunConfig, differences, identity_of
from speceyes_cli.core.run.tags import Part, tagged

_PARTS: tuple[Part, ...] = ("samples", "method", "draft", "agent", "machine", "keyed")
"""All but the gate, which a replay or a certificate chooses, and the files: see `data_of`."""
_ENGINE_FIELDS = (
    *("engine", "model", "revision", "dtype", "attention", "min_pixels", "max_pixels"),
)


def setting_of(config: RunConfig) -> dict[str, Any]:
    """The part of a configuration that decides answers; timing, gate and threshold left out."""
    whole = identity_of(config)
    return {field: whole[field] for field in tagged(RunConfig, ["answers"], _PARTS)}


def engines_of(engines: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of each role's engine, what decides answers: the model and its revision."""
    return {
        role: {field: engine[field] for field in _ENGINE_FIELDS if field in engine}
        for role, engine in engines.items()
    }


def data_of(config: RunConfig) -> dict[str, str | None]:
    """Each split's fingerprint, or where its files are when the dataset gives none."""
    return {split: config.data_fingerprint.get(split) or config.data for split in config.splits}


def first_difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """The first field in which they differ, with both values; None when they agree."""
    return next(differences(one, other), None)


def first_data_difference(
    one: Mapping[str, str | None], other: Mapping[str, str | None]
) -> str | None:
    """The first split they share whose data differ; None when all agree."""
    shared = [split for split in one if split in other]
    return first_difference({s: one[s] for s in shared}, {s: other[s] for s in shared})
