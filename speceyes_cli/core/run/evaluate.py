"""A method over a dataset: the loop from samples to records."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from speceyes_cli.core.agents import Agent, Keeper, Policy
from speceyes_cli.core.chat import Engine, Role
from speceyes_cli.core.errors import DataError
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.methods.method_options import PAPER, MethodOptions
from speceyes_cli.core.pictures.decoded_cache import DecodedPictures
from speceyes_cli.core.run.audits import Audit, Audits
from speceyes_cli.core.run.kept_images import keep_images
from speceyes_cli.core.run.record_builder import build_record
from speceyes_cli.core.run.records import AGENT_PHASES, Record
from speceyes_cli.core.run.store import IMAGES, RunStore, SampleKey
from speceyes_cli.core.samples import Sample, Verdict, with_picture
from speceyes_cli.core.scheduling.scheduler import Scheduler
from speceyes_cli.core.scheduling.trajectories import Finished, Task


class Placed(NamedTuple):
    """A sample and its place in its split, from 0."""

    sample: Sample
    position: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is done to each sample."""

    policy: Callable[[Sample, Agent, Gate, MethodOptions], Policy]
    agent: Agent
    gate: Gate
    score: Callable[[Sample, str], Verdict]
    keep_images: bool = False
    method_options: MethodOptions = PAPER
    fallbacks: int | None = None
    """Agent loops under way at once; 1 is the paper's serial setting, None leaves it to batches."""
    audit: Audit | None = None
    """How accepted drafts are audited; None: they are not."""


def evaluate(
    recipe: Recipe,
    samples: Iterable[Placed],
    engines: Mapping[Role, Engine],
    store: RunStore,
    observe: Callable[[Record], None],
) -> None:
    """Answer every sample, keep its record, then show it to `observe`.

    Records of samples that end together are kept in one transaction, so that a disk which takes its
    time to be sure is waited for once a batch. However this ends, the run's status and its export
    are brought up to date. Raises what drawing a sample raises; a sample that fails is a record,
    not an exception.
    """
    began = time.monotonic()
    status = "interrupted"
    try:
        with contextlib.closing(_answer(recipe, samples, engines, store.folder)) as answered:
            for together in answered:
                store.add(*together)
                for record in together:
                    observe(record)
        status = "finished"
    finally:
        if isinstance(recipe.agent, Keeper):
            recipe.agent.close()
        active = store.info.active_seconds + time.monotonic() - began
        store.update(status=status, active_seconds=active)
        store.export()


def unfinished(
    samples: Iterable[Sample], done: Mapping[SampleKey, str], *, retry_errors: bool
) -> Iterator[Placed]:
    """The samples of one split that have no record yet, or only an error that is to be retried.

    Raises `DataError` when two samples have the same id.
    """
    seen: set[str] = set()
    for position, sample in enumerate(samples):
        if sample.id in seen:
            raise DataError(f"Split {sample.split!r} has two samples called {sample.id!r}.")
        seen.add(sample.id)
        route = done.get(SampleKey(sample.split, sample.id))
        if route is None or (route == "error" and retry_errors):
            yield Placed(sample, position)


def loop_limits(fallbacks: int | None) -> dict[str, int]:
    """The scheduler's limits that keep this many trajectories in the agent's loop."""
    return {} if fallbacks is None else dict.fromkeys(AGENT_PHASES, fallbacks)


def _answer(
    recipe: Recipe, samples: Iterable[Placed], engines: Mapping[Role, Engine], folder: Path
) -> Generator[list[Record], None, None]:
    """Records in the order in which samples end, those that end together in one list."""
    live: dict[str, Placed] = {}
    pictures = DecodedPictures()
    audits = Audits(recipe.audit, recipe.agent, recipe.score)

    def tasks() -> Iterator[Task | None]:
        for placed in samples:
            while audits.due:
                yield audits.next_task()
            sample = placed.sample
            key = sample.key
            if "large" in engines or recipe.keep_images:  # else the small model alone looks, once
                sample = with_picture(sample, pictures.remember(key, sample.picture))
            live[key] = placed
            start = partial(recipe.policy, sample, recipe.agent, recipe.gate, recipe.method_options)
            yield Task(key, start)
        while audits.due or (recipe.audit and live):
            yield audits.next_task() if audits.due else None

    scheduler = Scheduler(engines, limits=loop_limits(recipe.fallbacks))
    together: list[Record] = []
    with contextlib.closing(scheduler.run(tasks())) as ended:
        for finished in ended:
            placed = live.pop(finished.key, None)
            record = (
                audits.record_of(finished)
                if placed is None
                else _record_or_error(recipe, placed, finished, folder)
            )
            if placed is not None and audits.wants(record):
                picture = pictures.remember(finished.key, placed.sample.picture)
                audits.add(with_picture(placed.sample, picture), record)
            else:
                pictures.forget(finished.key)
                together.append(record)
            if together and not scheduler.ended:
                yield together
                together = []


def _record_or_error(recipe: Recipe, placed: Placed, finished: Finished, folder: Path) -> Record:
    try:
        return _record(recipe, placed, finished, folder)
    except Exception as error:  # noqa: BLE001 - a plugin's odd answer fails its sample only
        failed = replace(finished, answer=None, error=error, events=())
        return _record(recipe, placed, failed, folder)


def _record(recipe: Recipe, placed: Placed, finished: Finished, folder: Path) -> Record:
    answer = finished.answer
    verdict = recipe.score(placed.sample, answer.text) if answer else None
    if recipe.keep_images:
        keep_images(folder / IMAGES, finished)
    branches = answer.branches if answer else {}
    judged = {role: recipe.score(placed.sample, text) for role, text in branches.items()}
    return build_record(placed.sample, placed.position, finished, recipe.gate, verdict, judged)
