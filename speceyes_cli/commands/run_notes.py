"""What a user should know before believing an answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import typer

from speceyes_cli.core.methods.thinking import THOUGHT_END
from speceyes_cli.core.run.records import ErrorNote, Record
from speceyes_cli.core.tables.summaries import LoadedRun
from speceyes_cli.core.text import one_line
from speceyes_cli.host.planning.models import Load
from speceyes_cli.host.planning.options import RunOptions

MOST_FAILURES = 3
LONGEST = 500
"""Characters of a sentence about what was left out."""


def toy_note(loads: Iterable[Load], dataset: str | None) -> str | None:
    """A warning that the embedded models were trained on needle only; None where it is not due."""
    toys = [load for load in loads if load.options.model.partition("-")[0] == RunOptions.models]
    if not toys or dataset == RunOptions.dataset:
        return None
    return (
        f"The {RunOptions.models} models know nothing but the drawings of {RunOptions.dataset}: "
        "what they say of other pictures means nothing. --small and --large name real models, "
        "--models paper the published ones."
    )


def tell_left_out(sentences: Sequence[str]) -> None:
    """Name what could not be read, on the error stream."""
    for sentence in sentences:
        typer.echo(f"speceyes: left out: {one_line(sentence, LONGEST)}", err=True)


def failure_notes(records: Sequence[Record], dataset: str) -> list[str]:
    """The first failures with their reasons, and where the others are listed."""
    failed = [(record, record.error) for record in records if record.error is not None]
    if not failed:
        return []
    alike: dict[str, list[Record]] = {}
    reasons: dict[str, str] = {}
    for record, error in failed:
        alike.setdefault(error.place or error.text, []).append(record)
        reasons.setdefault(error.place or error.text, _reason(error))
    lines = [
        f"  {records[0].split}/{records[0].sample_id}{_and_more(records)}: {reasons[key]}"
        for key, records in list(alike.items())[:MOST_FAILURES]
    ]
    if left := sum(len(records) for records in list(alike.values())[MOST_FAILURES:]):
        lines.append(f"  and {left} more; records.jsonl tells all")
    told = f"{len(failed)} of {len(records)} samples failed; --retry-errors tries them again."
    return [f"{told} `speceyes data check {dataset}` looks at the data alone.", *lines]


def undefined_note(records: Sequence[Record], gate: str | None) -> str | None:
    """How many drafts had no defined confidence, so that none of them could stand, and why."""
    drafts = [r.draft for r in records if r.draft is not None and r.draft.tokens]
    undefined = [
        r.draft
        for r in records
        if r.draft is not None and r.draft.tokens and r.draft.confidence is None and not _doubt(r)
    ]
    if gate is None or not undefined:
        return None
    faults = Counter(t.fault for draft in undefined for t in draft.tokens if t.fault)
    told = f" ({', '.join(f'{fault} {count}' for fault, count in faults.most_common())})"
    why = (
        f"tokens whose statistics are undefined{told}"
        if faults
        else "the engine gave no figure for them"
    )
    return (
        f"{len(undefined)} of {len(drafts)} drafts have no defined confidence under the gate {gate}"
        f" and could not stand: {why}."
    )


def doubt_notes(run: LoadedRun) -> list[str]:
    """Why drafts could not be trusted whatever they said: one line for each reason."""
    drafts = [record for record in run.records if record.draft is not None]
    counts = Counter(doubt for record in drafts if (doubt := _doubt(record)))
    return [
        f"{count} of {len(drafts)} drafts could not be trusted: {doubt}."
        for doubt, count in counts.most_common()
    ]


def _doubt(record: Record) -> str:
    """Why no gate could accept the draft; empty where its score decided."""
    draft = record.draft
    if draft is None:
        return ""
    faults = {token.fault for token in draft.tokens if token.fault}
    if "not_greedy" in faults:
        return (
            "their tokens are not the likeliest, as with a penalty or sampling of the server's own "
            "(start vLLM with --generation-config vllm)"
        )
    whole = next((call.text for call in reversed(record.calls) if call.phase == "draft"), "")
    if not draft.tokens and THOUGHT_END in whole:
        return "they hold a thought that was not asked for (--thinking allows for it)"
    return ""


def _reason(error: ErrorNote) -> str:
    """One line: the text, or for a plugin's own error its class, text, file and line."""
    if not error.place:
        return one_line(error.text, 500) or error.kind
    return f"{one_line(f'{error.kind}: {error.text}')} ({one_line(error.place, 300)})"


def _and_more(records: Sequence[Record]) -> str:
    return f" and {len(records) - 1} more" if len(records) > 1 else ""


def undecided_note(count: int, folder: str = "RUN") -> str:
    """What can be done about answers that no rule could decide."""
    one = count == 1
    answers = "1 answer" if one else f"{count} answers"
    return (
        f"{answers} could not be decided by rule and {'counts' if one else 'count'} as wrong: "
        f"`speceyes judge {folder}` asks a model about {'it' if one else 'them'}."
    )
