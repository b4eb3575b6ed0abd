"""How long DeepEyes takes over a reply, and that none raises: generated calls, cut and repeated.

    python benchmarks/read_calls.py --count 100000

Each reply is drawn from a seed: a call in one of the forms of the tests, cut, with signs put in or
taken out, or fragments of the grammar repeated up to 100,000 signs. Prints one line for each kind:
replies, how they ended, and the median and longest time of one in milliseconds. Exits 1 where one
raised or took longer than `--most`.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from pathlib import Path

from PIL import Image
from speceyes_plugins.agents.deepeyes.agent import DeepEyes

from speceyes_cli.core.agents import AgentState
from speceyes_cli.core.chat import Picture, Reply, Run, Size
from speceyes_cli.core.samples import Sample
from speceyes_cli.host.specs import AgentOptions

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.plugins.agents.deepeyes.call_forms import MENDED, STRICT

LONGEST = 100_000
SIGNS = "{}[]()\"'\\,:=<>/`#*0123456789.-+eE \n\0abz字"
FRAGMENTS = (
    *("<tool_call>", "</tool_call>", "<answer>", "</answer>", "<think>", "</think>", "</", "<"),
    *(
        '{"name": "',
        '"arguments": {',
        '"bbox_2d": [',
        "10, 20, ",
        '", "',
        "'}",
        "/*",
        "//",
        "\\u00",
    ),
    *("```json\n", "<parameter=bbox_2d>", "<function=", "<arg_value>", "image_zoom_in_tool("),
)
SEEN = Size(1000, 800)
SAMPLE = Sample("s", "all", Picture("p", lambda: Image.new("RGB", SEEN)), "Which?")


def changed(call: str, rng: random.Random) -> str:
    """A call cut, or with one to five signs put in or taken out."""
    if rng.randrange(3) == 0:
        return call[: rng.randrange(len(call) + 1)]
    signs = list(call)
    for _ in range(rng.randint(1, 5)):
        place = rng.randrange(len(signs) + 1)
        if rng.randrange(2) and place < len(signs):
            del signs[place]
        else:
            signs.insert(place, rng.choice(SIGNS))
    return "".join(signs)


def repeated(rng: random.Random) -> str:
    """Fragments or single signs over and over, of any length up to the longest."""
    unit = "".join(
        rng.choice(FRAGMENTS) if rng.randrange(3) else rng.choice(SIGNS)
        for _ in range(rng.randint(1, 6))
    )
    length = int(10 ** rng.uniform(1, 5))
    begin = rng.choice(("", "<tool_call>", '<tool_call>{"name": "', "<answer>"))
    return begin + (unit * (length // len(unit) + 1))[:length]


def draw(seed: int) -> tuple[str, str]:
    """The kind of a reply, and its text."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    kind = rng.choice(("whole", "changed", "repeated"))
    call = rng.choice((*STRICT, *MENDED))
    if kind == "repeated":
        return kind, repeated(rng)
    return kind, f"<tool_call>{call if kind == 'whole' else changed(call, rng)}</tool_call>"


def read(text: str, turn: int) -> str:
    """What became of a reply: "run", or the name of what its turn ended with."""
    agent = DeepEyes(AgentOptions())
    step = agent.step(Reply(text, 1, "stop"), AgentState(SAMPLE, (), turn, (SEEN,)))
    try:
        assert isinstance(next(step), Run)
    except StopIteration as end:
        return type(end.value).__name__
    return "run"


def main() -> None:
    """Draw, read, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most", type=float, default=50.0, help="milliseconds for one reply")
    told = parser.parse_args()
    ends: dict[str, Counter[str]] = {}
    times: dict[str, list[float]] = {}
    slowest = (0.0, "")
    for seed in range(told.seed, told.seed + told.count):
        kind, text = draw(seed)
        began = time.perf_counter()
        try:
            end = read(text, seed % 6)
        except Exception as error:  # noqa: BLE001 - what is looked for
            end = f"raised {type(error).__name__} (seed {seed})"
        taken = (time.perf_counter() - began) * 1000
        ends.setdefault(kind, Counter())[end] += 1
        times.setdefault(kind, []).append(taken)
        slowest = max(slowest, (taken, f"seed {seed}"))
    for kind, found in sorted(ends.items()):
        middle = sorted(times[kind])[len(times[kind]) // 2]
        print(f"{kind}: {dict(found)}, median {middle:.2f} ms, longest {max(times[kind]):.2f} ms")
    raised = any(end.startswith("raised") for found in ends.values() for end in found)
    print(f"slowest: {slowest[0]:.2f} ms, {slowest[1]}")
    sys.exit(raised or slowest[0] > told.most)


if __name__ == "__main__":
    main()
