"""The offline judge: strict rules that say "undecided" rather than guess."""

from __future__ import annotations

from collections.abc import Iterable

from speceyes_cli.plugin import JudgeOptions, JudgeSpec, RuleJudge, hookimpl

NAME = "rules"


def make_judge(options: JudgeOptions) -> RuleJudge:
    """The dataset's own rule, as a judge."""
    return RuleJudge(NAME, options.rule)


@hookimpl
def speceyes_judges() -> Iterable[JudgeSpec]:
    """Yield the judge by rules."""
    summary = "letter, option text or yes/no, offline; never guesses"
    yield JudgeSpec(NAME, make_judge, summary, asks_server=False)
