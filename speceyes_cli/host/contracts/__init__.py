"""Each offered spec with its callables watched: what they give and raise names their plugin."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from speceyes_cli.core.errors import PluginError
from speceyes_cli.core.gate.token import TokenScore
from speceyes_cli.core.samples import Sample, Verdict
from speceyes_cli.host.contracts.agents import WatchedAgent, watch_policy
from speceyes_cli.host.contracts.engines import watch_engine
from speceyes_cli.host.contracts.judges import watch_judge
from speceyes_cli.host.offers import Offer
from speceyes_cli.host.specs import (
    AgentOptions,
    AgentSpec,
    CheckSpec,
    DatasetSpec,
    DataSource,
    EngineOptions,
    EngineSpec,
    Finding,
    GateSpec,
    JudgeOptions,
    JudgeSpec,
    MethodSpec,
    Scored,
)

log = logging.getLogger(__name__)
Given = TypeVar("Given")


def keep_to_contract(spec: Given, offer: Offer) -> Given:
    """The spec with each of its callables watched."""
    watched: Given = _watch(spec, offer)
    return watched


@functools.singledispatch
def _watch(spec: Any, offer: Offer) -> Any:
    del offer
    return spec


@_watch.register
def _(spec: AgentSpec, offer: Offer) -> AgentSpec:
    def factory(options: AgentOptions) -> WatchedAgent:
        with offer.told("factory"):
            agent = spec.factory(options)
        return WatchedAgent(agent, offer)

    return replace(spec, factory=factory)


@_watch.register
def _(spec: MethodSpec, offer: Offer) -> MethodSpec:
    both = spec.both_branches
    return replace(
        spec,
        policy=watch_policy(spec.policy, offer),
        both_branches=None if both is None else watch_policy(both, offer),
        race=None if spec.race is None else watch_policy(spec.race, offer),
    )


@_watch.register
def _(spec: EngineSpec, offer: Offer) -> EngineSpec:
    def takes(model: str) -> bool:
        """An engine that cannot tell takes nothing, and says so."""
        try:
            with offer.told("takes"):
                return bool(spec.takes(model))
        except PluginError as error:
            log.warning("speceyes: %s", error)
            return False

    def factory(options: EngineOptions) -> Any:
        with offer.told("factory"):
            engine = spec.factory(options)
        return watch_engine(engine, offer)

    return replace(spec, takes=takes, check=_told(spec.check, offer, "check"), factory=factory)


@_watch.register
def _(spec: GateSpec, offer: Offer) -> GateSpec:
    @functools.wraps(spec.score)
    def score(scores: Sequence[TokenScore]) -> float:
        with offer.told("score"):
            confidence = spec.score(scores)
        offer.check(confidence, (int, float), "score")
        if confidence < 0 or confidence > 1:
            raise offer.wrong(f"gives {confidence:g} from score, not a confidence from 0 to 1")
        return confidence

    hopeless = spec.hopeless and _told(spec.hopeless, offer, "hopeless")
    return replace(spec, score=score, hopeless=hopeless)


@_watch.register
def _(spec: DatasetSpec, offer: Offer) -> DatasetSpec:
    def open_split(split: str, source: DataSource) -> Iterator[Sample]:
        with offer.told("open"):
            samples = spec.open(split, source)
            if isinstance(samples, str) or not isinstance(samples, Iterable):
                raise offer.wrong("gives no samples from open: yield them")
            for sample in samples:
                yield offer.check(sample, Sample, "open")

    def size(split: str, source: DataSource) -> int | None:
        with offer.told("size"):
            found = spec.size(split, source)
        return None if found is None else offer.check(found, int, "size")

    def score(sample: Sample, text: str) -> Verdict:
        with offer.named("score"):
            return offer.check(spec.score(sample, text), Verdict, "score")

    def metrics(scored: Sequence[Scored]) -> Mapping[str, float]:
        with offer.told("metrics"):
            found = offer.check(spec.metrics(scored) if spec.metrics else {}, Mapping, "metrics")
        for name, value in found.items():
            if not math.isfinite(offer.check(value, (int, float), f"metrics, {name}")):
                raise offer.wrong(f"gives {value:g} from metrics, {name}: leave it out")
        return found

    return replace(
        spec,
        open=open_split,
        size=size,
        score=score,
        check=_told(spec.check, offer, "check"),
        fingerprint=_told(spec.fingerprint, offer, "fingerprint"),
        metrics=spec.metrics and metrics,
    )


@_watch.register
def _(spec: JudgeSpec, offer: Offer) -> JudgeSpec:
    def factory(options: JudgeOptions) -> Any:
        with offer.told("factory"):
            judge = spec.factory(options)
        return watch_judge(judge, offer)

    return replace(spec, factory=factory)


@_watch.register
def _(spec: CheckSpec, offer: Offer) -> CheckSpec:
    def run() -> Iterator[Finding]:
        with offer.told("run"):
            findings = spec.run()
            if isinstance(findings, str) or not isinstance(findings, Iterable):
                raise offer.wrong("gives no findings from run: yield them")
            for finding in findings:
                yield offer.check(finding, Finding, "run")

    return replace(spec, run=run)


def _told(function: Callable[..., Given], offer: Offer, doing: str) -> Callable[..., Given]:
    """The function, with whatever it raises turned into one sentence."""

    @functools.wraps(function)
    def watched(*arguments: Any) -> Given:
        with offer.told(doing):
            return function(*arguments)

    return watched
