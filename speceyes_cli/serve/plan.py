"""From options to a service: everything that can be wrong is found before a model is loaded."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from speceyes_cli.analysis.certificate import Certificate, read_certificate
from speceyes_cli.analysis.learned.gate_file import LearnedGate
from speceyes_cli.core.agents import Policy
from speceyes_cli.core.chat import Role
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.methods.words import answer_words
from speceyes_cli.core.run.evaluate import loop_limits
from speceyes_cli.core.run.prompt_notes import prompt_hashes
from speceyes_cli.core.samples import Sample
from speceyes_cli.core.secrets import check_key, refuse_shared_key
from speceyes_cli.host.manager import Host
from speceyes_cli.host.planning.learned import settle_gate
from speceyes_cli.host.planning.models import (
    Load,
    is_separable,
    plan_loads,
    require_separable,
    require_statistics,
    works_on,
)
from speceyes_cli.host.planning.options import (
    DECISION,
    AgentChoice,
    DecisionOptions,
    FallbackOptions,
    ModelOptions,
    ParityOptions,
    RunOptions,
    as_run_options,
    option,
)
from speceyes_cli.host.planning.parity import OF_DATASETS, follow_paper
from speceyes_cli.host.planning.plans import (
    check_numbers,
    choose_method_options,
    choose_policy,
    choose_threshold,
    follow,
    make_agent,
    make_gate,
)
from speceyes_cli.host.planning.wording import read_wording
from speceyes_cli.serve.certified import make_promise, require_audits_possible, require_served
from speceyes_cli.serve.service import Range, ServeLimits, Service

SERVER = "The server"
KEY_VARIABLE = "SPECEYES_SERVE_API_KEY"
LIMITS = "What a request may do"
ORIGIN = re.compile(r"https?://[^/?#\s]+")


@dataclass(frozen=True, kw_only=True)
class ServeOptions(FallbackOptions, ParityOptions, AgentChoice, DecisionOptions, ModelOptions):
    """The options of `speceyes serve`."""

    host: str = option("127.0.0.1", "Address to listen at; 0.0.0.0 for every one.", SERVER)
    port: int = option(8000, "Port to listen at; 0 for a free one.", SERVER)
    served_name: str = option("speceyes", "The model's name as clients give it.", SERVER)
    serve_api_key: str | None = option(
        None,
        "Key that clients must send; better in the environment than here.",
        SERVER,
        flags="--api-key",
    )
    stop_seconds: float = option(30.0, "Time that a stop leaves to what is in flight.", SERVER)
    drain_seconds: float = option(
        0.0,
        "Time before a stop in which /readyz is 503 and questions are still taken, so that a "
        "balancer sends the next ones elsewhere.",
        SERVER,
    )
    max_waiting: int = option(64, "Requests that may wait; more are answered 429.", LIMITS)
    max_pictures: int = option(32, "Pictures of a conversation.", LIMITS)
    max_picture_mb: float = option(
        20.0, "Size of a request's encoded pictures together, in MiB.", LIMITS
    )
    max_picture_pixels: int = option(36_000_000, "Width times height of a picture.", LIMITS)
    fetch_pictures: bool = option(
        default=False,
        help="Fetch http(s) pictures too, from public addresses only.",
        panel=LIMITS,
        flags="--fetch-pictures",
    )
    threshold_range: str = option(
        "0:1", "Thresholds that a request may choose, LOW:HIGH; the same twice for none.", LIMITS
    )
    request_gates: str = option(
        "all", "Gates that a request may choose: all, none, or names with commas.", LIMITS
    )
    words: str = option(
        "large",
        "Model that is asked first where no picture is in sight: large at once, or small, whose "
        "answer stands where the gate accepts it.",
        DECISION,
    )
    certificate: Path | None = option(
        None,
        "File of `analyze calibrate`: its gate, K and threshold are used, and answers that leave "
        "it by their request's own are marked.",
        DECISION,
    )
    audit: float | None = option(
        None,
        "Share of accepted drafts, picked at random, for which the agent answers too, later and "
        "where no question waits: a test tells when the certificate's promise is broken.",
        DECISION,
    )
    audit_file: Path | None = option(
        None,
        "File that keeps what the audits find, so that their test goes on at the next start; each "
        "process needs its own.",
        DECISION,
    )
    stricter_on_alarm: bool = option(
        default=False,
        help="An alarm of the audits halves the distance of the threshold to 1.",
        panel=DECISION,
        flags="--stricter-on-alarm",
    )
    cors_origins: str = option(
        "", "Origins whose web pages may ask, with commas; * for any.", SERVER
    )
    page: bool = option(
        default=False,
        help="A page for trying it stands at /: drop a picture, ask, and see the decision.",
        panel=SERVER,
        flags="--page",
    )


@dataclass(frozen=True, slots=True)
class ServePlan:
    """A service that is known to be possible."""

    service: Service
    agent_name: str
    loads: Mapping[Role, Load]
    learned: LearnedGate | None = None
    """What the loaded small model must match, where the gate was learned."""
    certificate: Certificate | None = None
    """What the loaded models must match, where there is one."""
    notes: tuple[str, ...] = ()
    """What an operator should know before it serves."""


def plan_service(options: ServeOptions, host: Host, passed: tuple[str, ...] = ()) -> ServePlan:
    """Resolve every name and check every value; raises `SpecEyesError` for the first wrong one."""
    limits = read_limits(options)
    key = read_key(options)
    run = as_run_options(options)
    check_numbers(run)
    method = host.methods.get(run.method)
    run, told = follow_paper(run, method, passed, host, OF_DATASETS)
    certificate = read_certificate(options.certificate) if options.certificate else None
    require_audits_possible(
        certificate, options.audit, options.audit_file, steps=options.stricter_on_alarm
    )
    run, host = settle_gate(run, host, passed, certificate.learned if certificate else None)
    if certificate is not None:
        run = follow(certificate, run, passed)
    run = replace(run, threshold=choose_threshold(run, method))
    wording = read_wording(run, host)
    method_options = choose_method_options(run, method, wording)
    policy = choose_policy(run, method)
    gate = make_gate(run, host)
    agent = make_agent(run, host, wording)
    loads = plan_loads(method, run, host)

    promise = None
    if certificate is not None:
        hashes = prompt_hashes(agent, wording.for_method, wording.texts)
        require_served(certificate, replace(run, audit=None), hashes, loads, host)
        promise = make_promise(
            certificate, gate, options.audit, options.audit_file, steps=options.stricter_on_alarm
        )
    words = read_words(options.words)

    def start(sample: Sample, gate: Gate) -> Policy:
        if sample.pictures or "large" not in method.roles:
            return policy(sample, agent, gate, method_options)
        drafts = gate if words == "small" and "small" in method.roles else None
        return answer_words(sample, drafts, agent.max_new_tokens, method_options)

    service = Service(
        name=options.served_name,
        start=start,
        agent=agent,
        gate=gate,
        gates=choose_gates(options, run, loads, host),
        limits=limits,
        phase_limits=loop_limits(options.fallbacks),
        api_key=key,
        origins=read_origins(options.cors_origins),
        page=options.page,
        promise=promise,
    )
    learned = host.learned.get(gate.name)
    return ServePlan(service, options.agent, loads, learned, certificate, (*told, *wording.notes))


def read_key(options: ServeOptions) -> str | None:
    """The key that clients must send; `UsageError` for one that none of them could."""
    refuse_shared_key(KEY_VARIABLE)
    key = options.serve_api_key
    if key is None and os.environ.get(KEY_VARIABLE) != "":  # the parser takes "" for nothing
        return None
    key = check_key(key or "", ("--api-key", KEY_VARIABLE))
    if not key:
        raise UsageError(f"--api-key is empty, or {KEY_VARIABLE}; unset it to let anyone in.")
    return key


def read_words(chosen: str) -> Role:
    """The model that is asked first where no picture is in sight; raises `UsageError`."""
    roles: tuple[Role, ...] = get_args(Role)
    for role in roles:
        if chosen == role:
            return role
    raise UsageError(f"--words is large or small, not {chosen}.")


def read_origins(named: str) -> tuple[str, ...]:
    """Origins as browsers name them; raises `UsageError` for what none of them is."""
    origins = tuple(one.strip() for one in named.split(",") if one.strip())
    for origin in origins:
        if origin != "*" and not ORIGIN.fullmatch(origin):
            raise UsageError(
                f"--cors-origins {origin}: an origin is http(s)://HOST or http(s)://HOST:PORT, "
                "without a path; * is any."
            )
    return origins


def choose_gates(
    options: ServeOptions, run: RunOptions, loads: Mapping[Role, Load], host: Host
) -> dict[str, Gate]:
    """The gates that a request may choose; the server's own is always one of them.

    "all" are those that the small model's engine can serve at this K; `UsageError` for a named one
    that it cannot.
    """
    small = loads.get("small")
    separable = [spec for spec in host.gates if is_separable(spec, run.top_k)]
    fitting = [spec.name for spec in separable if small is None or works_on(spec, small.spec)]
    named = [name.strip() for name in options.request_gates.split(",")]
    wanted = {"all": fitting, "none": []}.get(options.request_gates, named)
    names = dict.fromkeys([run.gate, *wanted])
    if small is not None:
        for name in wanted:
            require_statistics(host.gates.get(name), small, host)
            require_separable(host.gates.get(name), run.top_k)
    return {name: make_gate(replace(run, gate=name), host) for name in names}


def read_limits(options: ServeOptions) -> ServeLimits:
    """The operator's limits; raises `UsageError` for what makes no sense."""
    low, colon, high = options.threshold_range.partition(":")
    try:
        thresholds = Range(float(low), float(high))
    except ValueError:
        thresholds = Range(1.0, 0.0)
    if not colon or not 0 <= thresholds.low <= thresholds.high:
        raise UsageError(
            f"--threshold-range is LOW:HIGH, such as 0.9:1, not {options.threshold_range}."
        )
    wrong = {
        "--port": (options.port, 0 <= options.port <= 65_535),  # noqa: PLR2004 - ports have 16 bits
        "--max-waiting": (options.max_waiting, options.max_waiting >= 0),
        "--max-pictures": (options.max_pictures, options.max_pictures > 0),
        "--max-picture-mb": (options.max_picture_mb, 0 < options.max_picture_mb <= 100),  # noqa: PLR2004 - the loader's own limit
        "--max-picture-pixels": (options.max_picture_pixels, options.max_picture_pixels > 0),
        "--stop-seconds": (options.stop_seconds, 0 <= options.stop_seconds < math.inf),
        "--drain-seconds": (options.drain_seconds, 0 <= options.drain_seconds < math.inf),
    }
    for flag, (value, fits) in wrong.items():
        if not fits:
            raise UsageError(f"{flag} cannot be {value:g}.")
    return ServeLimits(
        waiting=options.max_waiting,
        picture_bytes=int(options.max_picture_mb * 2**20),
        picture_pixels=options.max_picture_pixels,
        pictures=options.max_pictures,
        fetch=options.fetch_pictures,
        thresholds=thresholds,
    )
