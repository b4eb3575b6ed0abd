"""How long the readers of model text take over generated replies, and that none of them raises.

    python benchmarks/readers.py [REPLIES]     (100,000 by default)

Replies are put together from the words and signs of every reader's own grammar, well-formed, cut
and repeated, up to 100,000 characters. Prints the slowest reading of each reader; exits 1 where one
raised or took more than 50 ms.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from speceyes_cli.core.judging.answer_rules import score_text
from speceyes_cli.core.replies.choices import parse_choice
from speceyes_cli.core.replies.scores import read_score
from speceyes_cli.core.replies.yes_no import parse_yes_no, says_no
from speceyes_cli.core.samples import Sample

TABLES = Path(__file__).parent.parent / "tests" / "core" / "replies"
MOST_MS = 50.0
LONGEST = 100_000
PIECES = (
    "A|B|C|(A)|B.|b)|a|I|red|dark red|green|not red|yes|no|No|7|9/9|step 1|answer|Answer:"
    "|the answer is|option|I think|I'd say|because|so|but|not|isn't|or|and|maybe|wait|if|?|.|,|:"
    "|;|-|/|\n|\n\n| |\t|\\boxed{|\\text{|}|{|$|$$|\\(|\\|[|]|\"|'|```|```json\n|<think>|</think>"
    '|<answer>|</answer>|<b>|{"answer": "|"}|**|*|_|#|答案是|答えは|です|정답|Ответ:|\x00'
    "|\x1b[1m|\x1b]|\u200b|\ufdfa|é|🙂|\ud800"
)


def pieces() -> list[str]:
    tags = ["<|begin_of_box|>", "<|end_of_box|>", "<|im_end|>"]
    return [*(piece for piece in PIECES.split("|") if piece), *tags, "|"]


def replies(count: int) -> Iterator[str]:
    chance = random.Random(0)  # noqa: S311 - chance that a seed can repeat
    known = pieces()
    written = [row[1] for row in json.loads((TABLES / "choices.json").read_text("utf-8"))]

    def repeated() -> str:
        piece = chance.choice(known) + chance.choice(["", " ", "\n"])
        return piece * (int(LONGEST ** chance.random()) // len(piece) + 1)

    def cut() -> str:
        reply = chance.choice(written)
        return reply[: chance.randrange(len(reply) + 1)]

    def two() -> str:
        return chance.choice(written) + chance.choice(known) + chance.choice(written)

    def short() -> str:
        return chance.choice(["", " "]).join(chance.choices(known, k=chance.randrange(1, 30)))

    def long() -> str:
        return chance.choice(["", " "]).join(chance.choices(known, k=chance.randrange(1, 2_000)))

    kinds = [repeated, cut, two, short] * 12 + [long]
    for number in range(count):
        yield kinds[number % len(kinds)]()[:LONGEST]


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    colours = ("red", "dark red", "green", "not red")
    free = Sample("s", "t", None, "?", (), "Paris")  # type: ignore[arg-type]
    readers: dict[str, Callable[[str], object]] = {
        "choice": lambda text: parse_choice(text, colours),
        "yes_no": lambda text: parse_yes_no(text, "Is there a red dog in the image?"),
        "screen": says_no,
        "score": read_score,
        "free text": lambda text: score_text(free, text),
    }
    slowest: dict[str, tuple[float, str]] = dict.fromkeys(readers, (0.0, ""))
    raised = 0
    for read in readers.values():
        read("B")  # what is cached is read before
    for reply in replies(count):
        for name, read in readers.items():
            start = time.perf_counter()
            try:
                read(reply)
            except Exception as error:  # noqa: BLE001 - that is what is counted
                raised += 1
                print(f"{name} raised {error!r} over {reply[:80]!r}")
            took = 1000 * (time.perf_counter() - start)
            if took > slowest[name][0]:
                slowest[name] = took, reply
    for name, (took, reply) in slowest.items():
        print(f"{name:10} slowest {took:7.1f} ms over {len(reply):,} characters: {reply[:40]!r}")
    print(f"{count:,} replies, {raised} raised")
    return int(raised > 0 or any(took > MOST_MS for took, _ in slowest.values()))


if __name__ == "__main__":
    sys.exit(main())
