"""`speceyes judge`: verdicts for the answers of runs."""

from __future__ import annotations

import contextlib
import json as json_module
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console

from speceyes_cli.commands.judge.report import JudgedRun, report, told_as_json, watch_judging
from speceyes_cli.commands.options import refuse_named, takes
from speceyes_cli.commands.run_notes import tell_left_out
from speceyes_cli.commands.stop_signals import stop_signals
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.judging.answer_rules import score_by_rule
from speceyes_cli.core.judging.judges import Auditor, Judge
from speceyes_cli.core.judging.judging import (
    Audit,
    Judging,
    compare_audit,
    draw_audit,
    judge_claims,
    open_judging,
)
from speceyes_cli.core.secrets import refuse_shared_key
from speceyes_cli.core.tables.summaries import require_any, run_folders, try_each
from speceyes_cli.host.manager import Host
from speceyes_cli.host.planning.options import argument, option
from speceyes_cli.host.planning.plugin_options import JUDGE as JUDGE_FLAG
from speceyes_cli.host.planning.plugin_options import Owner, read_options
from speceyes_cli.host.plugin_options import OptionValues, deciding
from speceyes_cli.host.specs import JudgeOptions

SOME_FAILED = 1
JUDGE = "The judge"
SERVER = "Its server"
VERDICTS = "The verdicts"


@dataclass(frozen=True, kw_only=True)
class JudgeCommandOptions:
    """The options of `speceyes judge`."""

    runs: list[Path] = argument("Run folders, or folders that hold them.", required=True)
    judge: str = option(
        "llm", "rules: offline; llm: rules first, then a model; or a plugin's.", JUDGE
    )
    api_url: str = option("http://localhost:23333/v1", "OpenAI-compatible endpoint.", SERVER)
    judge_api_key: str = option(
        "EMPTY",
        "Key for it, never written to a file; better in the environment than here.",
        SERVER,
        flags="--api-key",
    )
    judge_model: str | None = option(
        None, "Model to ask; the one the endpoint lists when it lists one.", SERVER
    )
    concurrency: int = option(32, "Requests in flight.", SERVER)
    timeout: float = option(60.0, "Seconds to wait for an answer before asking again.", SERVER)
    judge_cache: Path | None = option(
        None, "File of answers had before; one of the user's own by default.", SERVER
    )
    judge_option: list[str] | None = option(
        None, "An option of the judge's own, as name=value; given once for each.", JUDGE
    )
    audit: int = option(0, "Verdicts to have judged a second time, in other words.", VERDICTS)
    resume: bool = option(
        default=True,
        help="Go on where judging stopped, or judge everything anew.",
        panel=VERDICTS,
        flags="--resume/--fresh",
    )
    retry_errors: bool = option(
        default=False,
        help="Ask again where the judge failed.",
        panel=VERDICTS,
        flags="--retry-errors",
    )
    json: bool = option(
        default=False, help="Print a list of objects.", panel=VERDICTS, flags="--json"
    )


OF_SERVERS = ("api_url", "judge_api_key", "judge_model", "concurrency", "timeout", "judge_cache")


@takes(JudgeCommandOptions)
def judge_command(context: typer.Context, options: JudgeCommandOptions) -> None:
    """Judge the answers of runs: by rule, and by a model where rules are undecided.

    Each verdict is kept as it comes: stop at any time, and the same command goes on. A judge that
    fails is an error, never a wrong answer; --retry-errors asks again. `gather` then counts these
    verdicts, and `verdicts.jsonl` in the run folder shows each with the judge's reply.

    A server: vllm serve Qwen/Qwen2.5-72B-Instruct --port 23333

    A run that is in use, empty or damaged is left out and named; the others are judged.

    Exit codes: 0 done, 1 the judge failed on some or a run was left out, 2 something to mend, 130
    stopped (143 by SIGTERM, 129 by SIGHUP).
    """
    refuse_shared_key("SPECEYES_JUDGE_API_KEY")
    if options.audit < 0:
        raise UsageError(f"--audit must be at least 0, not {options.audit}.")
    host: Host = context.obj
    if not host.judges.get(options.judge).asks_server:
        refuse_named(
            context, OF_SERVERS, f"is for a judge that asks a model; {options.judge} asks none."
        )
    screen = Console(stderr=True, highlight=False, emoji=False)
    folders = run_folders(options.runs)
    with stop_signals() as received:
        try:
            done, left_out = try_each(
                folders, lambda folder: judge_run(folder, options, host, screen)
            )
        except KeyboardInterrupt:
            told = "Stopped; every verdict so far is kept."
            screen.print(f"{told} The same command goes on from there.")
            raise typer.Exit(received.exit_code) from None
    require_any(done, left_out)
    tell_left_out(left_out)
    if options.json:
        typer.echo(json_module.dumps([told_as_json(one) for one in done], indent=2))
    else:
        report(done, Console(highlight=False, emoji=False))
    if left_out or any(one.tally.counts["error"] for one in done):
        raise typer.Exit(SOME_FAILED)


def judge_run(folder: Path, options: JudgeCommandOptions, host: Host, screen: Console) -> JudgedRun:
    """Judge what is pending in one run; nothing is dropped before the judge is known to work."""
    with (
        open_judging(folder) as judging,
        contextlib.closing(make_judge(options, host, judging.info.config.dataset)) as judge,
    ):
        if options.audit and not isinstance(judge, Auditor):
            raise UsageError(f"--audit needs a judge that can be asked twice; {judge.name} cannot.")
        claims = judging.claims()
        if options.resume:
            claims = judging.pending(judge.name, retry_errors=options.retry_errors)
        spec = host.judges.get(options.judge)
        decisive = deciding(spec.options, judge_options(options, host), "answers")
        judging.sign_with(judge.name, decisive, anew=not options.resume)
        identity = judge.prepare(claims)
        if options.resume:
            judging.bind(identity)
        else:
            judging.forget()
        with watch_judging(screen, len(claims), judging.info.name) as observe:
            judge_claims(judging, judge, claims, observe)
        return JudgedRun(judging.info, judging.tally(), audit_run(judging, judge, options.audit))


def audit_run(judging: Judging, judge: Judge, count: int) -> Audit | None:
    """Have some verdicts judged a second time; None without --audit."""
    if not count or not isinstance(judge, Auditor):
        return None
    with contextlib.closing(judge.audit(draw_audit(judging, count))) as batches:
        return compare_audit(judging.verdicts, [one for some in batches for one in some])


def judge_options(options: JudgeCommandOptions, host: Host) -> OptionValues:
    """The judge's own options, given or by default."""
    spec = host.judges.get(options.judge)
    return read_options(JUDGE_FLAG, options.judge_option, Owner("judge", spec.name, spec.options))


def make_judge(options: JudgeCommandOptions, host: Host, dataset: str) -> Judge:
    """The judge by name, with the rule of the run's dataset."""
    known = host.datasets.specs.get(dataset)
    return host.judges.get(options.judge).factory(
        JudgeOptions(
            rule=known.score if known is not None else score_by_rule,
            api_url=options.api_url,
            api_key=options.judge_api_key,
            model=options.judge_model,
            concurrency=options.concurrency,
            timeout=options.timeout,
            cache=options.judge_cache,
            options=judge_options(options, host),
        )
    )
