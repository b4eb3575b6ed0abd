"""Samples a second of this commit against another one.

    python benchmarks/versus.py BASE [--repeats 5] [--limit 64] [--agents deepeyes thyme]

Installs BASE and the commit that is checked out each into a copy of this environment (hard links,
removed afterwards), and lets the command answer the same samples of needle with either, in turn, a
process each: with its default settings, with one thread, and serially, both with this checkout's
embedded models. Rates are read from the run folder, the loading of models left out. Answers and
routes must be equal; where they are not, the samples are named.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = ROOT / "plugins" / "speceyes_plugins" / "embedded" / "weights"
MODELS = ("--small", str(WEIGHTS / "small"), "--large", str(WEIGHTS / "qwen2.5"))
"""For both builds, so that they answer alike; of DeepEyes and Thyme."""
SETTINGS: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "default": ({}, ()),
    "one thread": ({"OMP_NUM_THREADS": "1"}, ()),
    "serial": ({}, ("--batch-size", "1", "--fallbacks", "1")),
}
Answers = dict[tuple[str, str], tuple[str | None, str]]


@dataclass
class Runs:
    """What several runs of one build under one setting gave."""

    rates: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    """Seconds of processor time of the whole process and its children."""
    memory: list[float] = field(default_factory=list)
    """Peak resident memory in MiB."""
    answers: Answers = field(default_factory=dict)


@contextmanager
def environments(base: str) -> Iterator[dict[str, Path]]:
    """The interpreter of each build."""
    with tempfile.TemporaryDirectory(prefix=".versus-", dir=Path(sys.prefix).parent) as place:
        made = {}
        for name, commit in (("base", base), ("now", "HEAD")):
            source, copy = Path(place) / f"{name}-source", Path(place) / name
            source.mkdir()
            packed = subprocess.run(
                [shutil.which("git") or "git", "archive", commit],
                cwd=ROOT,
                check=True,
                capture_output=True,
            )
            unpack = [shutil.which("tar") or "tar", "-x"]
            subprocess.run(unpack, cwd=source, check=True, input=packed.stdout)
            shutil.copytree(sys.prefix, copy, copy_function=os.link, symlinks=True)
            python = copy / "bin" / "python"
            install = [str(python), "-m", "pip", "install", "-q", "--no-deps", "--force-reinstall"]
            subprocess.run([*install, str(source)], check=True)
            made[name] = python
        yield made


def run(python: Path, words: tuple[str, ...], extra: dict[str, str], found: Runs) -> None:
    """Run the command once and note what it gave."""
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "run"
        process = subprocess.Popen(
            [str(python), "-m", "speceyes_cli", "eval", *words, "--out", str(out)],
            cwd=place,
            env={**os.environ, **extra},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{python} eval {' '.join(words)} ended with {process.returncode}")
        lines = (out / "records.jsonl").read_text(encoding="utf-8").splitlines()
        records = [json.loads(line) for line in lines]
        told = json.loads((out / "run.json").read_text(encoding="utf-8"))
    found.rates.append(len(records) / told["active_seconds"])
    found.processor.append(used.ru_utime + used.ru_stime)
    found.memory.append(used.ru_maxrss / 1024)
    found.answers = {(r["split"], r["sample_id"]): (r["text"], r["route"]) for r in records}


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):6.2f} ({min(values):.2f} to {max(values):.2f})"


def compare(base: Runs, now: Runs) -> None:
    ratios = [b / a for a, b in zip(base.rates, now.rates, strict=True)]
    print(f"  samples a second  base {spread(base.rates)}   now {spread(now.rates)}")
    print(f"  ratio             {spread(ratios)}")
    print(f"  processor seconds base {spread(base.processor)}   now {spread(now.processor)}")
    memory = statistics.median(now.memory) / statistics.median(base.memory)
    print(
        f"  peak memory, MiB  base {spread(base.memory)}   now {spread(now.memory)}: {memory:.2f}"
    )
    other = [key for key, answer in base.answers.items() if now.answers.get(key) != answer]
    print(f"  answers and routes of {len(base.answers)} samples: {len(other)} differ")
    for key in other:
        print(f"    {'/'.join(key)}: {base.answers[key]} became {now.answers.get(key)}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("base")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--limit", type=int, default=64)
    parser.add_argument("--agents", nargs="*", default=["deepeyes", "thyme"])
    parser.add_argument("--methods", nargs="*", default=["baseline", "speceyes"])
    parser.add_argument("--settings", nargs="*", default=list(SETTINGS))
    chosen = parser.parse_args()
    print("python", " ".join(sys.argv))
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores")
    with environments(chosen.base) as builds:
        for setting, agent, method in product(chosen.settings, chosen.agents, chosen.methods):
            extra, more = SETTINGS[setting]
            words = ("--agent", agent, "--method", method, "--limit", str(chosen.limit), *more)
            words += MODELS
            found = {name: Runs() for name in builds}
            for _ in range(chosen.repeats):
                for name, python in builds.items():
                    run(python, words, extra, found[name])
            print(f"{setting}, {agent}, {method}")
            compare(found["base"], found["now"])


if __name__ == "__main__":
    main()
