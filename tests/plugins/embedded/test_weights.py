from __future__ import annotations

import json
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest
from speceyes_datasets.needle.plugin import make_sample
from speceyes_datasets.needle.problems import SPLITS
from speceyes_plugins.agents.deepeyes.agent import DeepEyes
from speceyes_plugins.embedded import PAIR, QWEN2_5
from speceyes_plugins.engines.transformers.engine import TransformersEngine

from speceyes_cli.core.chat import Ask, Reply, Role
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.gate.scores import min_score
from speceyes_cli.core.methods.policies import draft_ask
from speceyes_cli.core.replies.yes_no import says_no
from speceyes_cli.core.samples import Sample
from speceyes_cli.host.specs import AgentOptions, EngineOptions

MODELS: tuple[tuple[str, Role], ...] = ((PAIR, "small"), (PAIR, "large"), (QWEN2_5, "large"))
GATE = Gate("min", min_score)


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return [make_sample(split, seed) for split in SPLITS for seed in range(6)]


def engine(role: Role, name: str = PAIR) -> TransformersEngine:
    return TransformersEngine(EngineOptions(name, role))


def ask(role: Role, sample: Sample) -> Ask:
    if role == "small":
        return draft_ask(sample, GATE)
    agent = DeepEyes(AgentOptions())
    return Ask("large", agent.open(sample), max_new_tokens=120, stop=agent.stop)


def test_the_models_are_small_enough_to_come_along() -> None:
    folder = Path(str(resources.files("speceyes_plugins.embedded"))) / "weights"
    assert sum(path.stat().st_size for path in folder.rglob("*")) < 16 * 2**20


def test_the_models_are_in_the_real_architectures() -> None:
    newer, older = "Qwen3VLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration"
    told = [engine(role, name).describe() for name, role in MODELS]
    assert [one["architecture"] for one in told] == [newer, newer, older]
    assert [one["box_frame"] for one in told] == ["relative", "relative", "pixels"]


@pytest.mark.parametrize(("name", "role"), MODELS)
def test_batches_of_one_and_of_eight_give_the_same_answers(
    name: str, role: Role, samples: list[Sample]
) -> None:
    model = engine(role, name)
    asks = [ask(role, sample) for sample in samples]
    together = [r for i in range(0, len(asks), 8) for r in model.generate(asks[i : i + 8])]
    alone = [reply for one in asks for reply in model.generate([one])]
    for a, b in zip(together, alone, strict=True):
        assert isinstance(a, Reply)
        assert isinstance(b, Reply)
        assert (a.text, a.finish, a.tokens) == (b.text, b.finish, b.tokens)
        for x, y in zip(a.statistics, b.statistics, strict=True):
            assert x.separability == pytest.approx(y.separability, rel=1e-3)


def test_sure_drafts_are_right_more_often() -> None:
    samples = [make_sample(split, seed) for split in SPLITS for seed in range(40)]
    replies = engine("small").generate([ask("small", sample) for sample in samples])
    scored = sorted(
        (GATE.confidence(reply), reply.text.strip() == sample.answer)
        for reply, sample in zip(replies, samples, strict=True)
        if isinstance(reply, Reply)
    )
    right = [verdict for _, verdict in scored]
    assert sum(right[60:]) >= sum(right[:60]) + 20


@pytest.mark.parametrize("name", [PAIR, QWEN2_5])
def test_the_screen_lets_through_some_of_what_a_zoom_would_have_shown(name: str) -> None:
    samples = [make_sample("direct_attributes", seed) for seed in range(60)]
    agent = DeepEyes(AgentOptions())
    asks = [Ask("large", agent.screen(sample), max_new_tokens=10) for sample in samples]
    passed: dict[object, list[bool]] = {True: [], False: []}
    for sample, reply in zip(samples, engine("large", name).generate(asks), strict=True):
        assert isinstance(reply, Reply)
        passed[sample.meta["large"]].append(says_no(reply.text))
    assert sum(passed[True]) >= 0.9 * len(passed[True])
    assert 0.2 * len(passed[False]) <= sum(passed[False]) <= 0.8 * len(passed[False])


@pytest.mark.slow
@pytest.mark.parametrize(("agent", "least"), [("deepeyes", 0.9), ("thyme", 0.85), ("qwen", 0.85)])
def test_the_default_run_ends_with_its_figures(tmp_path: Path, agent: str, least: float) -> None:
    words = ["eval", "--agent", agent, "--threshold", "0.98", "--limit", "10", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "speceyes_cli", *words, "--out", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [row["split"] for row in rows] == [*SPLITS[:2], "all"]
    assert rows[-1]["n"] == 20
    assert rows[-1]["n_error"] == 0
    assert rows[-1]["accuracy"] >= least
    exported = (tmp_path / "run" / "records.jsonl").read_text(encoding="utf-8")
    records = [json.loads(line) for line in exported.splitlines()]
    assert {record["route"] for record in records} == {"small", "large"}
    assert any(record["tools"] for record in records)
