"""How the readers of other evaluation programs read the replies of a table, beside ours.

    python benchmarks/peers.py [--write]

Installs each program in its pinned version from the package index into a new environment, runs its
own extraction function over the replies in tests/core/replies/peers.json, and prints how many are
read as what they say. `--write` keeps the readings in that file, which a test compares with ours.
inspect_ai and evalscope ask for "ANSWER: B" in their own prompts, so that many replies here are
none that they expect.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

from speceyes_cli.core.replies.choices import parse_choice

TABLE = Path(__file__).parent.parent / "tests" / "core" / "replies" / "peers.json"
PEERS = {
    "VLMEvalKit": "ms-vlmeval==0.0.20",
    "lmms-eval": "lmms-eval==0.7.3",
    "inspect_ai": "inspect-ai==0.3.285",
    "evalscope": "evalscope==1.14.1",
}
NEEDED = ["loguru", "numpy", "colorlog", "filetype", "datasets", "pillow", "editdistance"]
"""What the extraction functions' modules import; the other requirements are not needed."""

CHILD = '''
import importlib.util, json, sys, types

def skip_init(*names):
    """Import these packages without running what they import at their top."""
    for name in names:
        parent, _, last = name.rpartition(".")
        if parent:
            path = [f"{folder}/{last}" for folder in sys.modules[parent].__path__]
        else:
            path = list(importlib.util.find_spec(name).submodule_search_locations)
        module = types.ModuleType(name)
        module.__path__ = path
        sys.modules[name] = module

skip_init("vlmeval", "vlmeval.smp", "vlmeval.utils")
skip_init("lmms_eval", "lmms_eval.tasks", "lmms_eval.tasks.vstar_bench", "evalscope")
from evalscope.utils.multi_choices import parse_answers as of_evalscope
from inspect_ai.solver._multiple_choice import parse_answers as of_inspect
from lmms_eval.tasks.vstar_bench.utils import extract_answer_letter
from vlmeval.utils.matching_util import can_infer

def state(reply, options):
    return types.SimpleNamespace(
        output=types.SimpleNamespace(completion=reply), choices=list(options)
    )

def single(found):
    return next(iter(found)) if len(found) == 1 else None

def read(options, reply):
    letters = {chr(65 + place): text for place, text in enumerate(options)}
    return {
        "VLMEvalKit": can_infer(reply, dict(letters)) or None,
        "lmms-eval": extract_answer_letter(reply),
        "inspect_ai": single(of_inspect(state(reply, options), False)),
        "evalscope": single(of_evalscope(state(reply, options), False)),
    }

print(json.dumps([read(*row) for row in json.load(sys.stdin)]))
'''


def main() -> None:
    table: dict[str, Any] = json.loads(TABLE.read_text("utf-8"))
    rows = table["rows"]
    with tempfile.TemporaryDirectory() as folder:
        readings = run_peers(Path(folder), [[row["options"], row["reply"]] for row in rows])
    for row, reads in zip(rows, readings, strict=True):
        row["reads"] = reads
    report(rows)
    if "--write" in sys.argv[1:]:
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        versions = json.dumps(PEERS)
        TABLE.write_text(f'{{"versions": {versions}, "rows": [\n{lines}\n]}}\n', "utf-8")


def run_peers(folder: Path, rows: list[list[Any]]) -> list[dict[str, str | None]]:
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    install = [python, "-m", "pip", "install", "--quiet"]
    subprocess.run([*install, PEERS["inspect_ai"], *NEEDED], check=True)
    others = [version for name, version in PEERS.items() if name != "inspect_ai"]
    subprocess.run([*install, "--no-deps", *others], check=True)
    done = subprocess.run(
        [python, "-c", CHILD], input=json.dumps(rows), text=True, stdout=subprocess.PIPE, check=True
    )
    readings: list[dict[str, str | None]] = json.loads(done.stdout.splitlines()[-1])
    return readings


def report(rows: list[dict[str, Any]]) -> None:
    print(f"{'reader':12} {'right':>6} {'wrong':>6} {'undecided':>10}   of {len(rows)}")
    for name in [*PEERS, "ours"]:
        right = wrong = undecided = 0
        for row in rows:
            option = parse_choice(row["reply"], row["options"]).option
            ours = None if option is None else chr(ord("A") + option)
            read = ours if name == "ours" else row["reads"][name]
            if read == row["says"]:
                right += 1
            elif read is None:
                undecided += 1
            else:
                wrong += 1
        print(f"{name:12} {right:6} {wrong:6} {undecided:10}")


if __name__ == "__main__":
    main()
