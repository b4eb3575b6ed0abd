"""A run through vLLM in the program's own process, beside others on the same samples and cores.

    python benchmarks/vllm_run.py agree [--limit 60]    # beside the local engine
    python benchmarks/vllm_run.py servers [--repeats 3]  # beside two vLLM servers over HTTP

`agree` compares routes, answers and token scores of three agents and all methods. `servers` times
speculative runs in turn: samples a second, the loading of models and the start of servers left
out. vLLM comes from the environment that `python tests/real_servers/environment.py` makes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path += [str(ROOT / "tests" / "real_servers"), str(ROOT / "tests" / "servers")]

import contract  # noqa: E402
import environment  # noqa: E402
from starting import SETTINGS, started  # noqa: E402

WEIGHTS = ROOT / "plugins" / "speceyes_plugins" / "embedded" / "weights"
SERVED = {"small": ("small", 40, 160), "large": ("qwen2.5", 28, 168)}
"""By role the folder, the pixels that a side is a multiple of, and those of a square's side."""
LARGE = {"deepeyes": "embedded-qwen2.5", "thyme": "embedded-qwen2.5", "qwen": "embedded"}
METHODS = ("baseline", "draft", "speceyes", "specreason")
KEYS = {f"SPECEYES_{role}_API_KEY": contract.KEY for role in ("SMALL", "LARGE")}


def run(python: str, words: Sequence[str]) -> tuple[dict[str, dict[str, Any]], float]:
    """Records by sample, and samples a second, of `speceyes eval`."""
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "run"
        done = subprocess.run(
            [python, "-m", "speceyes_cli", "eval", *words, "--out", str(out)],
            env={**os.environ, **SETTINGS, **KEYS},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"eval {' '.join(words)} failed:\n{done.stderr[-3000:]}")
        told = json.loads((out / "run.json").read_text(encoding="utf-8"))
        records = environment.records(out)
    return records, len(records) / told["active_seconds"]


def agree(limit: int) -> None:
    """Routes, answers and scores of the same samples in process and by the local engine."""
    vllm = environment.with_program(environment.vllm()).python
    for agent, method in product(LARGE, METHODS):
        words = ("--agent", agent, "--method", method, "--limit", str(limit))
        ours, _ = run(sys.executable, words)
        theirs, _ = run(vllm, (*words, *in_process(agent)))
        routes = sum(one["route"] == theirs[key]["route"] for key, one in ours.items())
        pairs = [(one, theirs[key]) for key, one in ours.items()]
        same = sum((a["route"], a["text"]) == (b["route"], b["text"]) for a, b in pairs)
        gaps = [gap for pair in pairs for gap in apart(*pair)]
        largest = f"{max(gaps):.1e} over {len(gaps)}" if gaps else "none"
        print(
            f"{agent} {method}: {len(ours)} samples, same route {routes}, "
            f"same route and answer {same}, largest difference of token scores {largest}",
            flush=True,
        )


def in_process(agent: str) -> tuple[str, ...]:
    """The options that run both models through vLLM in the program's process."""
    return ("--small", "vllm:embedded", "--large", f"vllm:{LARGE[agent]}")


def apart(one: dict[str, Any], other: dict[str, Any]) -> list[float]:
    """How far the separabilities of two drafts lie apart, token by token."""
    if not one["draft"] or not other["draft"]:
        return []
    tokens = zip(one["draft"]["tokens"], other["draft"]["tokens"], strict=False)
    return [
        abs(a["separability"] - b["separability"])
        for a, b in tokens
        if a["separability"] is not None and b["separability"] is not None
    ]


def servers(limit: int, repeats: int) -> None:
    """Samples a second of speculative runs, in process and over HTTP in turn."""
    vllm = environment.with_program(environment.vllm()).python
    remote: list[str] = []
    with ExitStack() as stack:
        for role, (folder, factor, side) in SERVED.items():
            command = (vllm, "-m", "vllm.entrypoints.openai.api_server")
            model = ("--model", str(WEIGHTS / folder))
            options = (*contract.OPTIONS, "--trust-request-mm-kwargs", "--served-model-name", role)
            server = stack.enter_context(
                started([*command, *model, *options], "/v1/models", contract.KEY)
            )
            remote += [f"--{role}", f"{server.address}/v1?factor={factor}#{role}"]
            remote += [f"--{role}-min-pixels", str(side**2 - 1)]
            remote += [f"--{role}-max-pixels", str(side**2 + 1)]
        rates: dict[str, list[float]] = {"in process": [], "over HTTP": []}
        answers: dict[str, dict[str, Any]] = {}
        for _ in range(repeats):
            for name, words in (("in process", in_process("deepeyes")), ("over HTTP", remote)):
                records, rate = run(vllm, ("--limit", str(limit), *words))
                rates[name].append(rate)
                answers[name] = {k: (one["route"], one["text"]) for k, one in records.items()}
    for name, found in rates.items():
        print(f"{name}: {spread(found)} samples a second")
    ratios = [a / b for a, b in zip(rates["in process"], rates["over HTTP"], strict=True)]
    print(f"ratio: {spread(ratios)}")
    other = sum(answers["over HTTP"][key] != one for key, one in answers["in process"].items())
    print(f"{len(answers['in process'])} samples, {other} with another route or answer")


def spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["agree", "servers"])
    parser.add_argument("--limit", type=int, default=60, help="samples of each split")
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    print("$ python", " ".join(sys.argv))
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores")
    if chosen.part == "agree":
        agree(chosen.limit)
    else:
        servers(chosen.limit, chosen.repeats)


if __name__ == "__main__":
    main()
