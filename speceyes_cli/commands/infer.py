"""`speceyes infer`: one question with its whole decision, or the small model over a dataset."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from speceyes_cli.commands.decision_view import DecisionView, closing
from speceyes_cli.commands.eval import (
    FAILED_SAMPLES,
    answer_plans,
    make_screen,
    open_cache,
    report,
)
from speceyes_cli.commands.options import is_written, passed_options, refuse_named, takes
from speceyes_cli.commands.run_notes import toy_note
from speceyes_cli.commands.tables import rows_as_json
from speceyes_cli.core.errors import DataError, UsageError
from speceyes_cli.core.run.info import write_atomically
from speceyes_cli.core.run.kept_images import keep_images
from speceyes_cli.core.run.processes import launch_from
from speceyes_cli.core.run.record_builder import build_record
from speceyes_cli.core.run.records import Record
from speceyes_cli.core.samples import Sample
from speceyes_cli.core.scheduling.trajectories import Finished
from speceyes_cli.core.text import strip_control
from speceyes_cli.host.manager import Host
from speceyes_cli.host.planning.chat_questions import question_from_chat, read_chat_file
from speceyes_cli.host.planning.options import (
    MODELS,
    RUN,
    WHAT,
    AgentChoice,
    BranchOptions,
    DataOptions,
    DecisionOptions,
    FolderOptions,
    ModelOptions,
    ParityOptions,
    argument,
    as_run_options,
    option,
)
from speceyes_cli.host.planning.plans import RunPlan, plan_run
from speceyes_cli.host.planning.questions import (
    QuestionPlan,
    make_question,
    plan_question,
    require_choices,
)
from speceyes_cli.host.running.drafts import export_drafts
from speceyes_cli.host.running.pool import EnginePool
from speceyes_cli.host.running.question import answer_question
from speceyes_cli.host.running.session import rows_of

TRACE = "trace.json"


@dataclass(frozen=True, kw_only=True)
class InferOptions(
    FolderOptions,
    ParityOptions,
    AgentChoice,
    BranchOptions,
    DecisionOptions,
    ModelOptions,
    DataOptions,
):
    """A question, or a dataset, and how the models run."""

    picture: str | None = argument(
        "A picture file, or a JSON file of messages in the form of Qwen's models; without one, a "
        "whole dataset is drafted."
    )
    question: str | None = argument("What is asked about it.")
    choices: list[str] | None = option(
        None, "One option of a multiple-choice question; given once for each.", WHAT, "--option"
    )
    batch_size: int = option(32, "Requests that a model answers in one batch.", MODELS)
    save_trace: Path | None = option(
        None, "New folder for the pictures the models saw and a JSON trace.", RUN
    )
    json: bool = option(
        default=False, help="Print the decision, or the closing figures.", panel=RUN, flags="--json"
    )


FOR_DATASETS = (
    *("split", "data", "option_order", "limit", "batch_size", "concurrency", "out", "resume"),
    *("retry_errors", "max_errors", "keep_images"),
)
"""What one picture has no use for."""
FOR_QUESTIONS = (
    *("choices", "save_trace", "threshold", "screen", "both_branches", "race", "large"),
    *("large_min_pixels", "large_max_pixels", "max_turns", "max_new_tokens"),
    "agent_option",
)
"""What the small model alone over a dataset has no use for."""


@takes(InferOptions)
def infer_command(context: typer.Context, options: InferOptions) -> None:
    """Answer one question and show the whole decision, or draft a whole dataset.

    speceyes infer photo.jpg "What colour is the car?" --option red --option blue

    shows the screen's word, the draft with each token's gap, the gate's verdict, and each turn of
    the agent with its tools.

    speceyes infer --dataset needle

    runs the small model alone in large batches, and keeps answers, every gate's score and every
    token's statistics in a run folder that gather, judge and analyze read.
    """
    passed = passed_options(context)
    host: Host = context.obj
    if not options.cache:
        refuse_named(context, ["cache_dir"], "needs --cache.")
    if options.picture is not None:
        refuse_named(context, FOR_DATASETS, "is for a dataset, and a picture is named.")
        if is_written(context, "dataset"):
            require_choices(options.dataset, tuple(options.choices or ()), host)
        infer_question(options, passed, host)
    else:
        if options.method != "draft" and is_written(context, "method"):
            raise UsageError(
                f"infer runs the small model alone over a dataset; for {options.method} use eval."
            )
        refuse_named(context, FOR_QUESTIONS, "goes with a picture and a question; none is named.")
        infer_dataset(options, passed, host)


def infer_question(options: InferOptions, passed: tuple[str, ...], host: Host) -> None:
    """One question; exit code 1 when it ends without an answer."""
    choices = tuple(options.choices or ())
    if twice := next((choice for choice in choices if choices.count(choice) > 1), None):
        raise UsageError(f"--option {twice} is given twice.")
    sample = read_question(str(options.picture), options.question, choices)
    plan = plan_question(sample, as_run_options(options), host, passed)
    if options.save_trace is not None:
        make_empty(options.save_trace)
    told = Console(stderr=True, highlight=False, emoji=False)
    for line in plan.notes:
        told.print(strip_control(line), markup=False, soft_wrap=True)
    if note := toy_note(plan.loads.values(), None):
        told.print(note, markup=False)
    shown = Console(highlight=False, emoji=False)
    with open_cache(options) as cache, EnginePool(told.print, cache) as pool:
        engines = pool.take(plan.loads)
        view = DecisionView(shown, plan.gate, gated=plan.gated)
        with contextlib.nullcontext(ignore) if options.json else view as observe:
            finished = answer_question(plan, engines, observe)
    if cache is not None:
        told.print(f"Call cache: {cache.counts}.")
    record = build_record(sample, 0, finished, plan.gate, None)
    if options.json:
        typer.echo(json.dumps(trace(plan, record), indent=2, ensure_ascii=False))
    else:
        shown.print(closing(record))
    if options.save_trace is not None:
        save_trace(options.save_trace, plan, record, finished)
        told.print(f"Trace in {strip_control(str(options.save_trace))}", markup=False)
    if record.error is not None:
        raise typer.Exit(FAILED_SAMPLES)


def read_question(picture: str, question: str | None, choices: tuple[str, ...]) -> Sample:
    """The question about a picture file, or the one that a JSON file of messages holds."""
    if question is not None:
        return make_question(picture, question, choices)
    if picture.lower().endswith(".json"):
        path = Path(picture)
        return question_from_chat(read_chat_file(path), choices, path.parent)
    raise UsageError(f'What is asked about {picture}? Write speceyes infer PICTURE "question".')


def ignore(_key: str, _event: object) -> None:
    """Show nothing."""


def trace(plan: QuestionPlan, record: Record) -> dict[str, Any]:
    """The decision as JSON values."""
    return {
        "method": plan.method,
        "gate": plan.gate.name if plan.gated else None,
        "top_k": plan.gate.top_k if plan.gated else None,
        "threshold": plan.gate.threshold,
        "models": {role: load.options.model for role, load in plan.loads.items()},
        "notes": list(plan.notes),
        "record": record.model_dump(mode="json"),
    }


def make_empty(folder: Path) -> None:
    """Make the trace's folder; `DataError` when it holds something or cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        occupied = any(folder.iterdir())
    except OSError as error:
        raise DataError(f"--save-trace {folder}: {error.strerror or error}.") from None
    if occupied:
        raise DataError(f"--save-trace {folder} is not empty; name a new folder.")


def save_trace(folder: Path, plan: QuestionPlan, record: Record, finished: Finished) -> None:
    """Write what the models saw, and the trace."""
    keep_images(folder, finished)
    text = json.dumps(trace(plan, record), indent=2, ensure_ascii=False)
    write_atomically(folder / TRACE, [text, "\n"])


def what_follows(plan: RunPlan) -> str:
    """What a run without a picture is about to do."""
    config = plan.info.config
    many = "all samples" if config.limit is None else f"at most {config.limit} samples of each"
    return strip_control(
        f"No picture is named, so the small model ({config.small}) answers a dataset alone: "
        f"{config.dataset}, {', '.join(config.splits)}, {many}; kept in {plan.folder}."
    )


def infer_dataset(options: InferOptions, passed: tuple[str, ...], host: Host) -> None:
    """The small model alone over a dataset, every draft scored to its end."""
    alone = replace(as_run_options(options), method="draft", race=False, both_branches=False)
    plan = plan_run(alone, passed, host)
    launch = launch_from(os.environ)
    screen = make_screen(launch)
    screen.print(what_follows(plan), markup=False, soft_wrap=True)
    with open_cache(options) as cache:
        [run] = answer_plans([plan], host, screen, cache, resume=options.resume)
    if launch.rank > 0:  # the first process reports for all
        return
    if cache is not None:
        screen.print(f"Call cache: {cache.counts}.")
    drafts = export_drafts(run, plan, host)
    rows, baseline = rows_of(run, plan, [])
    if options.json:
        typer.echo(rows_as_json(rows))
    else:
        report(rows, run, baseline)
        typer.echo(f"Every gate's score and every token: {strip_control(str(drafts))}")
    if rows[-1].n_error > options.max_errors:
        raise typer.Exit(FAILED_SAMPLES)
