from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from speceyes_datasets.needle.plugin import SIZE, open_split
from speceyes_datasets.needle.problems import SPLITS, Split, make_problem
from speceyes_datasets.needle.scene import CELLS, PALETTE, SIDE, draw

from speceyes_cli.host.specs import DataSource

DRAFT_SIDE = 160  # what the embedded speculator sees


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_is_the_same_every_time(split: str) -> None:
    once, again = (list(open_split(split, DataSource())) for _ in range(2))
    assert len(once) == SIZE
    assert [(s.id, s.question, s.options, s.answer) for s in once] == [
        (s.id, s.question, s.options, s.answer) for s in again
    ]
    assert len({s.id for s in once}) == SIZE


def test_problems_are_pinned() -> None:
    """Other problems change what published figures mean: raise the fingerprint then."""
    digests = {
        split: hashlib.sha256(repr(make_problem(split, 0)).encode()).hexdigest()[:16]
        for split in SPLITS
    }
    assert digests == {
        "direct_attributes": "6967b112b9d28281",
        "relative_position": "a374b7ee0bd76ebc",
        "descriptions": "db8d9c2fea660f24",
    }


@pytest.mark.parametrize("split", SPLITS)
def test_the_disc_and_its_dot_are_drawn(split: Split) -> None:
    for seed in range(40):
        problem = make_problem(split, seed)
        target = problem.target
        picture = draw(problem.scene)
        assert picture.size == (SIDE, SIDE)
        dot = picture.getpixel((round(target.dot_x), round(target.y)))
        body = picture.getpixel((round(target.x), round(target.y)))
        assert dot == PALETTE[target.dot_colour]
        assert body == PALETTE[target.colour]
        assert (target.dot_x < target.x) == (target.dot_side == "left")


def test_the_answer_is_one_of_the_options() -> None:
    for seed in range(40):
        colour, side = (make_problem(split, seed) for split in SPLITS[:2])
        assert colour.answer == colour.target.dot_colour
        assert side.answer == side.target.dot_side
        assert colour.options.count(colour.answer) == side.options.count(side.answer) == 1


def test_a_description_tells_what_is_drawn() -> None:
    kinds: Counter[str] = Counter()
    for seed in range(SIZE):
        problem = make_problem("descriptions", seed)
        target, answer = problem.target, problem.answer
        size = "large" if target.large else "small"
        first = target.cell - target.cell % CELLS
        row = [problem.scene.named(first + column) for column in range(CELLS)]
        assert row[target.cell - first] == target.colour
        told = {
            f"{size}, {target.dot_colour} dot on the {target.dot_side}": "disc",
            f"{target.dot_colour}, {target.dot_side}": "dot",
            ", ".join(row): "row",
        }
        assert problem.options == ()
        assert target.colour in problem.question + answer
        assert len(answer.split()) > 1
        kinds[told[answer]] += 1
    assert min(kinds.values()) > SIZE / 5


def test_only_one_disc_fits_the_question() -> None:
    for seed in range(100):
        colours = [disc.colour for disc in make_problem("direct_attributes", seed).scene.discs]
        assert len(set(colours)) == len(colours)


def test_a_region_is_a_crop_of_the_whole() -> None:
    problem = make_problem("relative_position", 5)
    box = (200, 300, 712, 812)
    whole = np.asarray(draw(problem.scene).crop(box)).astype(int)
    assert np.abs(whole - np.asarray(draw(problem.scene, box)).astype(int)).max() <= 1


def test_neither_question_nor_options_tell_whether_a_zoom_is_needed() -> None:
    """Large and small targets share one distribution of wordings, answers and answer places."""
    counts: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for seed in range(3000):
        problem = make_problem("direct_attributes", seed)
        place = problem.options.index(problem.answer)
        counts[problem.target.large].update(
            [problem.question, f"answer {problem.answer}", f"place {place}"]
        )
    totals = {large: sum(c.values()) for large, c in counts.items()}
    assert counts[True].keys() == counts[False].keys()
    for key in counts[True]:
        shares = [counts[large][key] / totals[large] for large in (True, False)]
        assert abs(shares[0] - shares[1]) < 0.02, key


def test_a_small_dot_is_nearly_lost_in_what_the_speculator_sees() -> None:
    """Its pixels move by far less than the dot's own contrast; a large dot keeps its colour."""
    moved = {True: [], False: []}
    for seed in range(60):
        problem = make_problem("direct_attributes", seed)
        target = problem.target
        seen = draw(problem.scene).resize((DRAFT_SIDE, DRAFT_SIDE), Image.Resampling.BICUBIC)
        scale = DRAFT_SIDE / SIDE
        x, y = int(target.dot_x * scale), int(target.y * scale)
        patch = np.asarray(seen).astype(float)[y - 1 : y + 2, x - 1 : x + 2].mean((0, 1))
        dot = np.array(PALETTE[target.dot_colour], float)
        body = np.array(PALETTE[target.colour], float)
        moved[target.large].append(
            np.linalg.norm(patch - dot) / max(1.0, float(np.linalg.norm(body - dot)))
        )
    assert np.median(moved[True]) < 0.05
    assert np.median(moved[False]) > 0.6


def test_options_are_not_biased_to_a_place() -> None:
    places = Counter(
        s.options.index(s.answer or "") for s in open_split("direct_attributes", DataSource())
    )
    assert set(places) == {0, 1, 2, 3}
    assert max(places.values()) < 0.4 * SIZE
