"""One question from its plan to its end."""

from __future__ import annotations

from collections.abc import Mapping

from speceyes_cli.core.agents import Keeper
from speceyes_cli.core.chat import Engine, Role
from speceyes_cli.core.scheduling.scheduler import Scheduler
from speceyes_cli.core.scheduling.trajectories import Finished, Observer, Task
from speceyes_cli.host.planning.learned import require_fitting_engines
from speceyes_cli.host.planning.questions import QuestionPlan
from speceyes_cli.host.planning.rehearsal import rehearse_agent


def answer_question(
    plan: QuestionPlan,
    engines: Mapping[Role, Engine],
    observe: Observer = lambda _key, _event: None,
) -> Finished:
    """Run the method's own generator to its end, each event shown to `observe`.

    Raises `UsageError` when the small model is not the one that a learned gate was fitted on.
    """
    require_fitting_engines(plan.learned, engines)
    try:
        rehearse_agent(plan.agent_name, plan.agent, plan.loads, engines)
        task = Task(plan.sample.key, lambda: plan.policy)
        [finished] = Scheduler(engines, observe=observe).run([task])
    finally:
        if isinstance(plan.agent, Keeper):
            plan.agent.close()
    return finished
