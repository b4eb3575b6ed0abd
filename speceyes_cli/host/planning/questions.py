"""One question about one picture, planned as a run is but without a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from speceyes_cli.analysis.learned.gate_file import LearnedGate
from speceyes_cli.core.agents import Policy
from speceyes_cli.core.chat import Picture, Role
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.pictures.loading import (
    PictureSource,
    is_address,
    load_picture,
    local_path,
)
from speceyes_cli.core.samples import Sample
from speceyes_cli.core.secrets import hide_userinfo
from speceyes_cli.host.manager import Host
from speceyes_cli.host.planning.learned import settle_gate
from speceyes_cli.host.planning.models import Load, plan_loads
from speceyes_cli.host.planning.options import RunOptions
from speceyes_cli.host.planning.parity import OF_MANY, follow_paper
from speceyes_cli.host.planning.plans import (
    check_numbers,
    choose_method_options,
    choose_policy,
    choose_threshold,
    make_agent,
    make_gate,
)
from speceyes_cli.host.planning.wording import read_wording
from speceyes_cli.host.specs import CONFIDENCE, Agent

FEWEST_OPTIONS = 2


@dataclass(frozen=True, slots=True)
class QuestionPlan:
    """A question that can be answered once its models are loaded."""

    sample: Sample
    policy: Policy
    agent: Agent
    agent_name: str
    gate: Gate
    method: str
    gated: bool
    """A gate decides, so its threshold is a confidence."""
    loads: Mapping[Role, Load]
    learned: LearnedGate | None
    """What the loaded small model must match, where the gate was learned."""
    notes: tuple[str, ...] = ()
    """What a user should know before it is answered."""


def plan_question(
    sample: Sample, options: RunOptions, host: Host, passed: tuple[str, ...] = ()
) -> QuestionPlan:
    """Resolve every name; the draft is scored to its end, so that each token can be shown.

    `passed` are the options that the user named, which `--parity` leaves as they are.
    """
    check_numbers(options)
    method = host.methods.get(options.method)
    options, told = follow_paper(options, method, passed, host, OF_MANY)
    options, host = settle_gate(options, host, passed)
    options = replace(options, threshold=choose_threshold(options, method))
    gate = replace(make_gate(options, host), hopeless=None)
    wording = read_wording(options, host)
    method_options = choose_method_options(options, method, wording)
    agent = make_agent(options, host, wording)
    policy = choose_policy(options, method)
    return QuestionPlan(
        sample=sample,
        policy=policy(sample, agent, gate, method_options),
        agent=agent,
        agent_name=options.agent,
        gate=gate,
        method=method.name,
        gated=method.bar is CONFIDENCE and len(method.roles) > 1,
        loads=plan_loads(method, options, host),
        learned=host.learned.get(gate.name),
        notes=(*told, *wording.notes),
    )


def make_question(picture: PictureSource, question: str, choices: tuple[str, ...]) -> Sample:
    """The sample, its picture opened at once: `PictureError` before any model is loaded."""
    check_question(question, choices)
    name = hide_userinfo(str(picture)) if is_address(picture) else "the picture"
    if named := local_path(picture, None):
        name = str(picture)
        if named.expanduser().is_dir():
            raise UsageError(f"{name} is a folder: name one picture, or use --dataset for many.")
    image = load_picture(picture, name)
    return Sample("question", "infer", Picture(name, lambda: image), question, choices)


def check_question(question: str, choices: tuple[str, ...]) -> None:
    """Raise `UsageError` for an empty question, and for options that are no choice."""
    if not question.strip():
        raise UsageError("The question is empty.")
    if choices and len(choices) < FEWEST_OPTIONS:
        raise UsageError("One option is no choice: name at least two with --option, or none.")


def require_choices(name: str, choices: tuple[str, ...], host: Host) -> None:
    """Raise `UsageError` when the named dataset asks multiple choice and no option is given."""
    dataset = host.datasets.get(name)
    if dataset.multiple_choice and not choices:
        raise UsageError(
            f"Every question of {dataset.name} has options; name each with --option, such as "
            "--option red --option blue."
        )
