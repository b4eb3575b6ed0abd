"""Token ids of screen, draft and first agent turn against those of the paper's code path.

SPECEYES_UPSTREAM_CLONE names a clone of the paper's repository to compare with its own words.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from speceyes_plugins.sandbox.values import PICTURE
from transformers import AutoProcessor
from typer.testing import CliRunner

from speceyes_cli.app import build_app
from speceyes_cli.host.manager import Host
from tests.plugins.agents.clones import reference
from tests.plugins.agents.clones.reference import Asked
from tests.plugins.agents.clones.written_clones import UPSTREAM, write_clone
from tests.plugins.engines.genuine import write_processor

QUESTIONS = (
    "What is the material of the glove?",
    "Wo steht die {Tasse} — links oder rechts?",
    "手套是什么颜色\nLook twice.",
    "Is 100% of it <red>? Please look at 'it'.",
)
OPTIONS = (
    ("rubber", "cotton", "kevlar", "leather"),
    ("The cup is left of the plate.", "The cup is right of it."),
    ("红色", "NA", "007", "3.5 m"),
    ("{a}", "b\tb", "c  c", "50% <d>"),
)
SIZES = ((1000, 700), (333, 777), (56, 30), (28, 28))


def encoded(number: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", SIZES[number], (number * 40, 9, 99)).save(out, "PNG")
    return out.getvalue()


def picture(number: int) -> Image.Image:
    return Image.open(io.BytesIO(encoded(number))).convert("RGB")


def write_vstar(folder: Path) -> Iterator[Asked]:
    (folder / "direct_attributes").mkdir(parents=True)
    for number, (question, options) in enumerate(zip(QUESTIONS, OPTIONS, strict=True)):
        stem = folder / "direct_attributes" / str(number)
        stem.with_suffix(".png").write_bytes(encoded(number))
        row = {"question": question, "options": options}
        stem.with_suffix(".json").write_text(json.dumps(row, ensure_ascii=False), encoding="utf-8")
        yield Asked("vstar", question, options, picture(number))


def write_hrbench(folder: Path) -> Iterator[Asked]:
    import base64  # noqa: PLC0415 - for one benchmark
    import csv  # noqa: PLC0415 - for one benchmark

    folder.mkdir(parents=True)
    with (folder / "hr_bench_4k.tsv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, delimiter="\t")
        columns = ("index", "question", "answer", "category", "A", "B", "C", "D")
        rows.writerow([*columns, "cycle_category", "image"])
        for number, question in enumerate(QUESTIONS):
            options = OPTIONS[number] if len(OPTIONS[number]) == 4 else OPTIONS[0]
            shown = base64.b64encode(encoded(number)).decode()
            rows.writerow([number, question, "A", "single", *options, "0", shown])
            yield Asked("hr", question, options, picture(number))


def write_pope(folder: Path) -> Iterator[Asked]:
    (folder / "Full").mkdir(parents=True)
    rows = [
        {
            "id": str(number),
            "question_id": str(number),
            "question": question,
            "answer": "yes",
            "image_source": f"s{number}",
            "image": {"bytes": encoded(number), "path": f"{number}.png"},
            "category": "random",
        }
        for number, question in enumerate(QUESTIONS)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "Full" / "random-00000-of-00001.parquet")
    for number, question in enumerate(QUESTIONS):
        yield Asked("pope", question, (), picture(number))


BENCHMARKS: dict[str, tuple[str, Callable[[Path], Iterator[Asked]]]] = {
    "vstar": ("direct_attributes", write_vstar),
    "hrbench": ("hrbench_4k", write_hrbench),
    "pope": ("random", write_pope),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Processors of the two models with Qwen's vocabulary and published templates; no weights."""
    folder = tmp_path_factory.mktemp("models")
    return {
        "large": write_processor(folder / "large", "qwen2_5_vl"),
        "small": write_processor(folder / "small", "qwen3_vl"),
    }


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The user's clone where one is named, else one that the test writes."""
    named = os.environ.get("SPECEYES_UPSTREAM_CLONE")
    return Path(named) if named else write_clone(tmp_path / "clone", UPSTREAM)


@pytest.mark.parametrize("benchmark", BENCHMARKS)
@pytest.mark.parametrize("agent", ["deepeyes", "thyme"])
def test_token_for_token(
    host: Host, models: dict[str, Path], clone: Path, tmp_path: Path, agent: str, benchmark: str
) -> None:
    split, write = BENCHMARKS[benchmark]
    asked = list(write(tmp_path / "data"))
    done = CliRunner().invoke(
        build_app(host),
        [
            *("prompts", "show", "--json", "--parity", "paper", "--limit", "0"),
            *("--agent", agent, "--prompts", f"upstream:{clone}"),
            *("--dataset", benchmark, "--split", split, "--data", str(tmp_path / "data")),
            *("--small", str(models["small"]), "--large", str(models["large"])),
        ],
        obj=host,
    )
    assert done.exit_code == 0, done.stderr
    ours: dict[str, list[list[int]]] = {}
    for one in json.loads(done.stdout)["phases"]:
        ours.setdefault(one["phase"], []).append(one["ids"])
    build = reference.deepeyes if agent == "deepeyes" else partial(reference.thyme, path=PICTURE)
    processors = {role: AutoProcessor.from_pretrained(place) for role, place in models.items()}
    for number, one in enumerate(asked):
        for phase, chat in build(clone, one):
            processor = processors["small" if phase == "draft" else "large"]
            text = processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
            theirs = processor(text=[text], images=[reference.resized(one.image)])
            assert ours[phase][number] == list(theirs["input_ids"][0]), (phase, one.question)
