"""Samples a second of `speceyes infer` at batch 32 against batch 1.

    python benchmarks/infer_batch.py [--repeats 5] [--base COMMIT]

Runs the command itself over all of needle, in turn, a process each, and reads from its run folder
how long it answered: from the first sample drawn to the last record kept and exported, loading the
model left out. With --base both builds in turn, as benchmarks/versus.py installs them. The last
lines say where a sample's time goes in the engine, stage by stage.
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
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from torch import Tensor
from versus import environments

from speceyes_cli.core.chat import Ask, Engine
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.gate.scores import min_score
from speceyes_cli.core.methods.policies import draft_ask
from speceyes_cli.core.pictures.decoded_cache import DecodedPictures
from speceyes_cli.core.samples import Sample
from speceyes_cli.host.manager import build_host
from speceyes_cli.host.planning.options import RunOptions
from speceyes_cli.host.planning.plans import plan_run

GATE = Gate("min", min_score)
BATCHES = (1, 32)
COMMAND = ("infer", "--dataset", "needle", "--limit", "0", "--batch-size")


def rate(batch: int, python: Path) -> float:
    """Samples a second of one run of the command."""
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "run"
        words = [str(python), "-m", "speceyes_cli", *COMMAND, str(batch), "--out", str(run)]
        subprocess.run(words, check=True, capture_output=True, cwd=place)
        answered = len((run / "records.jsonl").read_text(encoding="utf-8").splitlines())
        told = json.loads((run / "run.json").read_text(encoding="utf-8"))
        return float(answered / told["active_seconds"])


@contextmanager
def alone() -> Iterator[dict[str, Path]]:
    """The interpreter of this build."""
    yield {"now": Path(sys.executable)}


def measured(builds: Mapping[str, Path], repeats: int) -> dict[str, dict[int, list[float]]]:
    """Rates of each build at each batch, taken in turn."""
    rates: dict[str, dict[int, list[float]]] = {name: {b: [] for b in BATCHES} for name in builds}
    for _ in range(repeats):
        for batch in BATCHES:
            for name, python in builds.items():
                rates[name][batch].append(rate(batch, python))
    return rates


def needles(count: int) -> list[Sample]:
    plan = plan_run(RunOptions(method="draft", limit=0), (), build_host())
    return [placed.sample for placed in islice(plan.samples({}), count)]


def load(batch: int) -> Engine:
    options = RunOptions(method="draft", batch_size=batch)
    return plan_run(options, (), build_host()).loads["small"]()


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def stages(engine: Engine, samples: list[Sample]) -> Iterator[tuple[str, float]]:
    """Milliseconds a sample of each stage, the batch taken together."""
    per = 1000 / len(samples)
    opened = DecodedPictures()
    yield "draw or decode the picture", per * timed(lambda: [s.picture.open() for s in samples])
    kept = [opened.remember(s.id, s.picture) for s in samples]
    for picture in kept:
        picture.open()
    encoder = engine._pictures  # type: ignore[attr-defined]
    inputs: list[Tensor] = []
    yield "resize it", per * timed(lambda: inputs.extend(map(encoder.resized, kept)))
    yield "cut into patches, vision tower", per * timed(lambda: encoder.look(inputs))
    whole = [ask_of(sample, place) for place, sample in enumerate(samples)]
    total = per * timed(lambda: engine.generate(whole))
    again = per * timed(lambda: engine.generate(whole))  # pictures are kept: text alone
    yield "prompt, prefill and decoding", again
    yield "all of a call", total


def ask_of(sample: Sample, place: int) -> Ask:
    ask = draft_ask(sample, GATE)
    return Ask("small", ask.messages, ask.max_new_tokens, gate=GATE, trajectory=str(place))


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):6.1f}/s ({min(values):.1f} to {max(values):.1f})"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--base")
    chosen = parser.parse_args()
    import torch

    cores = len(os.sched_getaffinity(0))
    print("python", " ".join(sys.argv))
    print(f"{platform.machine()}, {cores} cores, {torch.get_num_threads()} torch threads")
    with environments(chosen.base) if chosen.base else alone() as builds:
        rates = measured(builds, chosen.repeats)
    for name, found in rates.items():
        for batch, values in found.items():
            print(f"{name}, batch {batch:2}: {spread(values)}")
        ratios = [many / one for one, many in zip(found[1], found[32], strict=True)]
        print(f"ratio: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    samples = needles(32)
    for batch in BATCHES:
        engine = load(batch)
        engine.generate([ask_of(sample, -1) for sample in samples[:batch]])  # warm
        print(f"milliseconds a sample at batch {batch}:")
        for name, each in stages(engine, samples[:batch]):
            print(f"  {name:32} {each:7.2f}")


if __name__ == "__main__":
    main()
