"""What each setting of `--parity paper` changes, on the embedded pair.

Every run answers the same drawings. The first is this program as it is; each next one changes one
setting to the paper's, and the last all of them. Reported are accuracy, the shares that pass the
screen and the gate, the agent's turns, and how many answers differ from the first run's. No time
is measured. Pictures, screen and cut drafts have no option of their own: they are measured
together, by `--parity paper` with every option named as it is here.

    OMP_NUM_THREADS=1 python benchmarks/paper_settings.py --limit 60
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from speceyes_cli import evaluate
from speceyes_cli.core.run.info import hardware
from speceyes_cli.core.run.records import Record

OURS = {"option_order": "shuffle:0", "batch_size": 8, "fallbacks": 8, "threshold": 0.98}
BUDGETS = {
    "deepeyes": {"max_turns": 6, "max_new_tokens": 512},
    "thyme": {"max_turns": 5, "max_new_tokens": 2048},
}
OWN = {"deepeyes": {"box-rounding": "outward"}, "thyme": {"state": "persist"}}
PAPER = {"deepeyes": {"box-rounding": "truncate"}, "thyme": {"state": "fresh"}}
THRESHOLD = {"deepeyes": 0.98, "thyme": 0.95}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=int, default=60, help="samples of each split")
    parser.add_argument("--agents", nargs="*", default=list(PAPER))
    arguments = parser.parse_args()
    print("command:", " ".join(["python", *sys.argv]))
    print("machine:", hardware(), "python", platform.python_version())
    for agent in arguments.agents:
        with tempfile.TemporaryDirectory() as folder:
            first: Sequence[Record] = ()
            for name, settings in cases(agent):
                run = evaluate(
                    "needle",
                    agent=agent,
                    limit=arguments.limit,
                    out=Path(folder) / name.replace(" ", "_"),
                    **settings,
                )
                first = first or run.records
                print(f"{agent:9} {name:32} {figures(run.records, first)}", flush=True)


def cases(agent: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each setting alone, then all."""
    ours: Mapping[str, Any] = {**OURS, **BUDGETS[agent], "agent_option": OWN[agent]}
    yield "ours", dict(ours)
    yield "order of options", {**ours, "option_order": "dataset"}
    yield "agent's own option", {**ours, "agent_option": PAPER[agent]}
    if THRESHOLD[agent] != ours["threshold"]:
        yield "threshold", {**ours, "threshold": THRESHOLD[agent]}
    yield "batch and fallbacks", {**ours, "batch_size": 6, "fallbacks": 1}
    yield "pictures, screen, cut drafts", {**ours, "parity": "paper"}
    yield "all", {"parity": "paper"}


def figures(records: Sequence[Record], first: Sequence[Record]) -> str:
    """Accuracy, screen, gate, turns, and answers that are not the first run's."""
    count = len(records)
    right = sum(r.verdict is not None and r.verdict.right is True for r in records)
    passed = [r for r in records if r.passed_screen]
    small = sum(r.route == "small" for r in records)
    turns = [sum(c.phase == "agent" for c in r.calls) for r in records if r.route == "large"]
    then = {(r.split, r.sample_id): r.text for r in first}
    other = sum(then[r.split, r.sample_id] != r.text for r in records)
    return (
        f"right {right}/{count}  passed the screen {len(passed)}  drafts that stood {small}  "
        f"turns {sum(turns) / max(1, len(turns)):.2f}  other answers {other}"
    )


if __name__ == "__main__":
    main()
