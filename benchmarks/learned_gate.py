"""Does a learned gate answer more than the paper's four, at the same certified harm?

Runs both branches of the embedded pair, without a screen, on `--samples` samples of each split of
`needle`, under each agent. The first half of each split is one fold, the second half the other;
nothing was trained on either. A gate is fitted on one fold and measured on the other, and the other
way round: certified coverage (loss below 2% at risk 10%), AURC, and the paired bootstrap interval
of its AURC less that of the best of the paper's four. Beside it: other models of the same features,
an oracle that knows which drafts are right, and one that knows which discs are large: the room
there is, with luck and without it.

    OMP_NUM_THREADS=1 python benchmarks/learned_gate.py
    OMP_NUM_THREADS=1 python benchmarks/learned_gate.py --noise 30    # pictures with pixel noise
    python benchmarks/learned_gate.py --drawn                         # no model: a stated generator

Target: at least 5 points more coverage, or an AURC lower by at least 15% whose interval excludes 0.

With `--noise S`, each picture of both models gets Gaussian noise whose deviation is drawn for it
from 0 to S grey levels. With `--drawn`, drafts of one to eight tokens are drawn: each token has a
latent certainty, normal around that of its draft; separability sees it through a scale that differs
from draft to draft, probability and margin with noise of their own; the draft is right where every
token is, a token with probability sigmoid(2 + 2 * certainty).
"""

from __future__ import annotations

import argparse
import math
import platform
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from speceyes_cli.analysis.certified_points import Levels, Measure, find_points
from speceyes_cli.analysis.confidence import risk_by_coverage
from speceyes_cli.analysis.gate_comparison import compare_gates
from speceyes_cli.analysis.learned.fitting import Example, fit
from speceyes_cli.analysis.learned.parts import key_of
from speceyes_cli.analysis.scores import acceptable
from speceyes_cli.analysis.table import ScoredDraft, ScoredSample, ScoreTable
from speceyes_cli.core.errors import DataError
from speceyes_cli.core.gate.learned import FEATURES, LogisticScore, feature_values
from speceyes_cli.core.gate.token import FIGURES, TokenScore
from speceyes_cli.core.tables.summaries import load_run
from speceyes_cli.host.learning import examples_of
from speceyes_cli.host.manager import Catalog, Host, build_host
from speceyes_cli.host.run_scores import open_table

PAPER = ("min", "mean", "bottom20", "log")
LEVELS = Levels((0.02,), 0.10)
GAINED, LOWERED = 0.05, -0.15  # the target: points of coverage, or of AURC
SEED = 0
AGENT_RIGHT = 0.95
SCENES: dict[str, float] = {}
"""Of samples that models answered: see `known_from_the_scene`."""
Model = Callable[[Sequence[TokenScore]], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=500, help="of each split, both folds")
    parser.add_argument("--agents", nargs="+", default=["deepeyes", "thyme"])
    parser.add_argument("--splits", nargs="+", help="all of them, also those that must be named")
    parser.add_argument("--noise", type=float, default=0.0, help="most grey levels of noise")
    parser.add_argument("--drawn", action="store_true", help="draw drafts; run no model")
    parser.add_argument("--out", type=Path, help="keep the runs here; they go on where they were")
    arguments = parser.parse_args()
    print("command:", " ".join(["python", *sys.argv]), "· python", platform.python_version())
    host = build_host()
    if arguments.drawn:
        table = drawn_table(2 * arguments.samples)
        report("drawn", table, host)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.out or Path(scratch)
        for agent in arguments.agents:
            tables = answer(folder, agent, arguments.samples, arguments.noise, arguments.splits)
            for split, table in tables.items():
                report(f"{agent}, {split}", table, host)
            names = list(tables)
            for kept in dict.fromkeys([tuple(names[:-1]), tuple(names)]):
                if len(kept) > 1:
                    samples = tuple(s for name in kept for s in tables[name].samples)
                    whole = replace(tables[kept[0]], samples=samples)
                    report(f"{agent}, {' + '.join(kept)}", whole, host)


def answer(
    folder: Path, agent: str, samples: int, noise: float, splits: Sequence[str] | None
) -> dict[str, ScoreTable]:
    """The both-branches run of each split, answered or taken up."""
    from speceyes_datasets.needle import plugin
    from typer.testing import CliRunner

    from speceyes_cli.app import build_app

    plugin.SIZE = samples
    host = noisy(build_host(), noise)
    found = {}
    command = ["eval", "--agent", agent, "--both-branches", "--screen", "none", "--limit", "0"]
    for split in splits or host.datasets.get("needle").splits:
        out = folder / f"{agent}-{split}-{samples}-{noise:g}"
        words = [*command, "--split", split, "--out", str(out)]
        done = CliRunner().invoke(build_app(host), words, obj=host)
        assert done.exit_code == 0, done.output
        SCENES.update(known_from_the_scene(out))
        found[split] = open_table(out)[1]
    return found


def known_from_the_scene(folder: Path) -> dict[str, float]:
    """1 for a sample whose disc is large, 0 for a half-hidden dot, by its "split/id".

    No draft of a dot tells more than a guess, so this is the room there is but for luck.
    """
    return {
        f"{record.split}/{record.sample_id}": float(bool(record.meta.get("large")))
        for record in load_run(folder).records
    }


def noisy(host: Host, most: float) -> Host:
    """The host whose needle has noise in its pictures."""
    spec = host.datasets.get("needle")

    def open_noisy(split: str, source: Any) -> Iterator[Any]:
        for number, sample in enumerate(spec.open(split, source)):
            picture = sample.picture

            def draw(opened: Any = picture.open, seed: int = number) -> Any:
                from PIL import Image

                generator = np.random.default_rng([SEED, seed])
                pixels = np.asarray(opened(), dtype=float)
                spread = generator.uniform(0, most)
                noise = generator.normal(0, spread, pixels.shape) if most else 0.0
                return Image.fromarray(np.clip(pixels + noise, 0, 255).round().astype(np.uint8))

            yield replace(sample, picture=replace(picture, open=draw))

    changed = replace(
        spec,
        open=open_noisy,
        fingerprint=lambda split, source: f"{spec.fingerprint(split, source)}/noise {most:g}",
    )
    catalog: Catalog[Any] = replace(host.datasets, specs={**host.datasets.specs, "needle": changed})
    return replace(host, datasets=catalog)


def drawn_table(samples: int) -> ScoreTable:
    """Drafts whose generator the module's docstring states."""
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from tests.run_config import CONFIG

    generator = np.random.default_rng(SEED)
    rows = []
    for number in range(samples):
        length = int(generator.integers(1, 9))
        scale = math.exp(generator.normal(0, 0.3))
        sure = generator.normal(1.0, 1.0) + generator.normal(0, 0.7, length)
        right = bool((generator.uniform(size=length) < 1 / (1 + np.exp(-2 - 2 * sure))).all())
        tokens = tuple(drawn_token(value, scale, generator) for value in sure.tolist())
        rows.append(
            ScoredSample(
                sample_id=f"{number:05d}",
                split="test",
                category=None,
                cluster=str(number),
                picture_digest=None,
                route="large",
                right=True,
                passed_screen=None,
                draft=ScoredDraft("drawn", "stop", tokens),
                draft_right=right,
                agent_right=bool(generator.uniform() < AGENT_RIGHT),
                seconds={"draft": 0.1, "agent": 1.0},
            )
        )
    return ScoreTable("drawn", CONFIG, tuple(rows), errors=0, undecided=0)


def drawn_token(sure: float, scale: float, generator: np.random.Generator) -> TokenScore:
    seen = sure + generator.normal(0, 0.5, 3)
    probability = 1 / (1 + math.exp(-1 - 1.5 * seen[1]))
    return TokenScore(
        separability=max(0.0, scale * (6 + 1.5 * seen[0])),
        logprob=math.log(probability),
        margin=max(0.0, 2 + 2 * seen[2]),
        entropy=max(0.01, 2 * (1 - probability)),
    )


def folds(table: ScoreTable) -> tuple[ScoreTable, ScoreTable]:
    """The first half of each split, and the second."""
    ordered: dict[str, list[ScoredSample]] = {}
    for sample in sorted(table.samples, key=lambda sample: sample.sample_id):
        ordered.setdefault(sample.split, []).append(sample)
    first = [s for group in ordered.values() for s in group[: len(group) // 2]]
    second = [s for group in ordered.values() for s in group[len(group) // 2 :]]
    return replace(table, samples=tuple(first)), replace(table, samples=tuple(second))


def report(title: str, table: ScoreTable, host: Host) -> None:
    one, other = folds(table)
    rights = [bool(sample.draft_right) for sample in table.samples]
    harms = [bool(s.agent_right) and not s.draft_right for s in table.samples]
    lengths = [len(s.draft.tokens) for s in table.samples if s.draft is not None]
    print(
        f"\n{title}: {len(rights)} samples, draft right {np.mean(rights):.1%}, agent "
        f"{np.mean([bool(s.agent_right) for s in table.samples]):.1%}, harmful if all stand "
        f"{np.mean(harms):.1%}, {np.mean(lengths):.1f} tokens a draft"
    )
    for fitted, held in ((one, other), (other, one)):
        try:
            measure(fitted, held, host)
        except DataError as error:
            print(f"  {error}")


def measure(fitted: ScoreTable, held: ScoreTable, host: Host) -> None:
    """Every gate on the held fold; the learned ones fitted on the other."""
    values = {spec.name: scored(held, spec.score) for spec in host.gates}
    values |= {name: scored(held, model) for name, model in models(fitted).items()}
    if SCENES:
        values["large discs (scene)"] = [SCENES.get(key_of(s), 0.0) for s in held.samples]
    values["oracle"] = [float(bool(s.draft_right)) for s in held.samples]
    right = np.array([bool(sample.draft_right) for sample in held.samples])
    risks = {
        name: float(risk_by_coverage(np.array(found), right).mean())
        for name, found in values.items()
    }
    covered = {name: coverage(held, found) for name, found in values.items()}
    print(f"  fitted on {len(fitted.samples)}, measured on {len(held.samples)}")
    for name in values:
        print(f"    {name:24} certified coverage {covered[name]:6.1%}   AURC {risks[name]:.4f}")
    widest = max(PAPER, key=lambda name: covered[name])
    lowest = min(PAPER, key=lambda name: risks[name])
    gained = covered["learned"] - covered[widest]
    [found] = compare_gates(held, "learned", {name: values[name] for name in ("learned", lowest)})
    change = risks["learned"] / risks[lowest] - 1
    print(
        f"    learned: {100 * gained:+.1f} points of coverage over {widest}; AURC {change:+.1%} "
        f"beside {lowest}, difference {found.aurc.gate - found.aurc.other:+.4f} "
        f"[{found.aurc.low:+.4f}, {found.aurc.high:+.4f}]"
    )
    reached = gained >= GAINED or (change <= LOWERED and found.aurc.high < 0)
    print(f"    target {'reached' if reached else 'missed'}")


def models(table: ScoreTable) -> dict[str, Model]:
    """The learned gate, and what else could have been learned from the same features."""
    examples = examples_of(table)
    fitted = fit(examples, FIGURES, "the fold")
    print("  " + ", ".join(f"{name} {value:.3g}" for name, value in fitted.coefficients.items()))
    return {
        "learned": LogisticScore(fitted.intercept, fitted.coefficients),
        **boosted(examples, tuple(fitted.coefficients)),
    }


def boosted(examples: Sequence[Example], names: Sequence[str]) -> Mapping[str, Model]:
    """Monotone gradient boosting, where scikit-learn is installed."""
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
    except ImportError:
        return {}
    rows = [(feature_values(names, one.tokens), one.right) for one in examples if one.tokens]
    known = [(values, right) for values, right in rows if values is not None]
    model = HistGradientBoostingClassifier(
        max_iter=100,
        learning_rate=0.05,
        max_leaf_nodes=8,
        l2_regularization=1.0,
        monotonic_cst=[int(FEATURES[name].monotone) for name in names],
        random_state=SEED,
    ).fit(np.array([values for values, _ in known]), [right for _, right in known])

    def score(tokens: Sequence[TokenScore]) -> float:
        values = feature_values(names, tokens)
        return math.nan if values is None else float(model.predict_proba([values])[0, 1])

    return {"boosted trees": score}


def scored(table: ScoreTable, model: Model) -> list[float]:
    tokens = [sample.draft.tokens if sample.draft is not None else () for sample in table.samples]
    return acceptable(table, [model(list(one)) if len(one) else math.nan for one in tokens])


def coverage(table: ScoreTable, values: Iterable[float]) -> float:
    """What the certified threshold accepts; 0 where none is certified."""
    try:
        [point] = find_points(table, {Measure("gate", 64): list(values)}, LEVELS)
    except DataError:
        return 0.0
    return point.coverage


if __name__ == "__main__":
    main()
