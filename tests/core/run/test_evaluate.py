from __future__ import annotations

import json
import weakref
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from speceyes_example.dots import DOTS
from speceyes_example.looker import Looker
from speceyes_example.scripted import ScriptedEngine

from speceyes_cli.core.agents import Policy
from speceyes_cli.core.chat import Answer, Message, Picture
from speceyes_cli.core.errors import DataError
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.gate.scores import min_score
from speceyes_cli.core.judging.answer_rules import score_choice
from speceyes_cli.core.methods.policies import speceyes
from speceyes_cli.core.run.evaluate import Placed, Recipe, evaluate, unfinished
from speceyes_cli.core.run.info import RunInfo, read_run_info
from speceyes_cli.core.run.records import Record
from speceyes_cli.core.run.store import SampleKey, open_store, read_run
from speceyes_cli.core.samples import Sample
from speceyes_cli.host.specs import DataSource

RECIPE = Recipe(speceyes, Looker(), Gate("min", min_score), score_choice)


@pytest.fixture
def near(info: RunInfo) -> RunInfo:
    config = info.config.model_copy(update={"splits": ("near",)})
    return info.model_copy(update={"config": config})


def samples(count: int = 12, path: str | None = None) -> list[Sample]:
    return list(DOTS.open("near", DataSource(path)))[:count]


def run(
    folder: Path,
    info: RunInfo,
    rows: Iterable[Sample],
    engine: ScriptedEngine | None = None,
    recipe: Recipe = RECIPE,
    **options: Any,
) -> list[Record]:
    engine = engine or ScriptedEngine()
    with open_store(folder, info, "resume") as store:
        pending = unfinished(rows, store.done(), **{"retry_errors": False, **options})
        evaluate(recipe, pending, {"small": engine, "large": engine}, store, lambda _: None)
    return read_run(folder)[1]


def test_every_sample_becomes_a_record(tmp_path: Path, near: RunInfo) -> None:
    records = run(tmp_path / "r", near, samples())
    assert [record.sample_id for record in records] == [f"dot-{n}" for n in range(12)]
    assert [record.position for record in records] == list(range(12))
    assert [record.route for record in records] == ["large", "small", "large"] * 4
    assert all(record.verdict is not None and record.verdict.right for record in records)
    info = read_run_info(tmp_path / "r")
    assert info.status == "finished"
    assert info.active_seconds > 0
    assert len((tmp_path / "r" / "records.jsonl").read_text().splitlines()) == 12


def test_batch_size_and_order_change_no_answer(tmp_path: Path, near: RunInfo) -> None:
    def told(records: list[Record]) -> list[tuple[Any, ...]]:
        return [(r.sample_id, r.route, r.text, r.confidence, r.messages) for r in records]

    one = run(tmp_path / "1", near, samples(), ScriptedEngine(max_batch=1))
    eight = run(tmp_path / "8", near, samples(), ScriptedEngine(max_batch=8))
    assert told(one) == told(eight)


def test_a_failed_sample_is_a_record_and_the_rest_go_on(tmp_path: Path, near: RunInfo) -> None:
    engine = ScriptedEngine(fail=frozenset({4}), crash=frozenset({7}))
    records = run(tmp_path / "r", near, samples(), engine)
    failed = {r.sample_id: r.error for r in records if r.error is not None}
    assert set(failed) == {"dot-4", "dot-7"}
    assert failed["dot-4"].kind == "ValueError"
    assert failed["dot-7"].text == "the call crashed"
    assert all(record.route != "error" for record in records if record.sample_id not in failed)


def test_pictures_that_cannot_be_decoded_are_errors(tmp_path: Path, near: RunInfo) -> None:
    records = run(tmp_path / "r", near, samples(path="broken"))
    assert {(r.route, r.error.kind if r.error else "") for r in records} == {
        ("error", "PictureError")
    }


def test_a_resumed_run_asks_only_what_is_missing(tmp_path: Path, near: RunInfo) -> None:
    run(tmp_path / "r", near, samples(5))
    engine = ScriptedEngine()
    records = run(tmp_path / "r", near, reversed(samples(8)), engine)
    assert sorted(set(engine.forgotten)) == ["near/dot-5", "near/dot-6", "near/dot-7"]
    assert {record.sample_id for record in records} == {f"dot-{n}" for n in range(8)}


def test_errors_are_tried_again_only_when_asked(tmp_path: Path, near: RunInfo) -> None:
    run(tmp_path / "r", near, samples(6), ScriptedEngine(fail=frozenset({2})))
    assert run(tmp_path / "r", near, samples(6))[2].route == "error"
    assert run(tmp_path / "r", near, samples(6), retry_errors=True)[2].route == "large"


def test_two_samples_of_one_name_are_refused() -> None:
    rows = [*samples(3), samples(1)[0]]
    with pytest.raises(DataError, match="two samples called 'dot-0'"):
        list(unfinished(rows, {}, retry_errors=False))


def test_what_is_done_is_left_out_and_positions_stay() -> None:
    done = {SampleKey("near", "dot-0"): "small", SampleKey("near", "dot-2"): "error"}
    placed = list(unfinished(samples(4), done, retry_errors=False))
    assert [(item.sample.id, item.position) for item in placed] == [("dot-1", 1), ("dot-3", 3)]
    assert all(isinstance(item, Placed) for item in placed)


def test_an_observer_sees_a_record_only_once_it_is_kept(tmp_path: Path, near: RunInfo) -> None:
    with open_store(tmp_path / "r", near, "resume") as store:

        def kept(record: Record) -> None:
            assert SampleKey(record.split, record.sample_id) in store.done()

        engine = ScriptedEngine()
        pending = unfinished(samples(6), {}, retry_errors=False)
        evaluate(RECIPE, pending, {"small": engine, "large": engine}, store, kept)


def test_samples_that_end_together_are_kept_together(tmp_path: Path, near: RunInfo) -> None:
    known: list[int] = []
    with open_store(tmp_path / "r", near, "resume") as store:
        engine = ScriptedEngine()
        pending = unfinished(samples(), {}, retry_errors=False)

        def count(_: Record) -> None:
            known.append(len(store.done()))

        evaluate(RECIPE, pending, {"small": engine, "large": engine}, store, count)
    assert known == sorted(known)
    assert known[-1] == len(known) == 12
    assert len(set(known)) < 12


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("an observer's bug")])
def test_stopping_keeps_what_is_finished(
    tmp_path: Path, near: RunInfo, error: BaseException
) -> None:
    seen = []

    def stop(record: Record) -> None:
        seen.append(record)
        if len(seen) == 3:
            raise error

    engine = ScriptedEngine()
    pending = unfinished(samples(), {}, retry_errors=False)
    with open_store(tmp_path / "r", near, "resume") as store:
        with pytest.raises(type(error)):
            evaluate(RECIPE, pending, {"small": engine, "large": engine}, store, stop)
    assert read_run_info(tmp_path / "r").status == "interrupted"
    lines = (tmp_path / "r" / "records.jsonl").read_text().splitlines()
    exported = {json.loads(line)["sample_id"] for line in lines}
    assert {record.sample_id for record in seen} <= exported
    assert len(exported) < 12
    assert len(run(tmp_path / "r", near, samples())) == 12


def test_what_reading_the_dataset_raises_comes_through(tmp_path: Path, near: RunInfo) -> None:
    def torn() -> Iterable[Sample]:
        yield from samples(3)
        raise DataError("row 4 is torn")

    with pytest.raises(DataError, match="row 4 is torn"):
        run(tmp_path / "r", near, torn())
    assert read_run_info(tmp_path / "r").status == "interrupted"


def test_a_plugin_with_an_odd_answer_fails_its_sample_only(tmp_path: Path, near: RunInfo) -> None:
    def odd(sample: Sample, agent: Any, gate: Any, method_options: Any) -> Any:
        if sample.id == "dot-1":
            return Answer(None, "small")  # type: ignore[arg-type]
        return (yield from speceyes(sample, agent, gate, method_options))

    def picky(sample: Sample, text: str) -> Any:
        if sample.id == "dot-2":
            raise LookupError("no rule for this")
        return score_choice(sample, text)

    records = run(tmp_path / "r", near, samples(5), recipe=replace(RECIPE, policy=odd, score=picky))
    assert [record.route for record in records] == ["large", "error", "error", "large", "small"]
    assert records[2].error is not None
    assert records[2].error.text == "no rule for this"


def test_pictures_are_kept_when_asked(tmp_path: Path, near: RunInfo) -> None:
    run(tmp_path / "plain", near, samples(2))
    assert not (tmp_path / "plain" / "images").exists()
    run(tmp_path / "kept", near, samples(2), recipe=replace(RECIPE, keep_images=True))
    kept = sorted(
        path.relative_to(tmp_path / "kept") for path in (tmp_path / "kept").rglob("*.png")
    )
    assert [str(path) for path in kept] == [
        "images/near_dot-0/00-dot-0.png.png",
        "images/near_dot-0/01-crop_of_dot-0.png.png",
        "images/near_dot-1/00-dot-1.png.png",
    ]


def test_samples_are_let_go_as_they_end(tmp_path: Path, near: RunInfo) -> None:
    alive: list[weakref.ref[Any]] = []
    most = 0

    def many() -> Iterable[Sample]:
        [first] = samples(1)
        for number in range(300):

            def draw() -> Any:
                return first.picture.open()

            alive.append(weakref.ref(draw))
            yield replace(first, id=f"s{number}", picture=Picture(f"p{number}", draw))

    def count(_: Record) -> None:
        nonlocal most
        most = max(most, sum(ref() is not None for ref in alive))

    engine = ScriptedEngine(max_batch=2)
    with open_store(tmp_path / "r", near, "resume") as store:
        pending = unfinished(many(), {}, retry_errors=False)
        evaluate(RECIPE, pending, {"small": engine, "large": engine}, store, count)
    assert len(alive) == 300
    assert 0 < most < 30


def test_every_engine_is_told_to_forget(tmp_path: Path, near: RunInfo) -> None:
    engine = ScriptedEngine()
    run(tmp_path / "r", near, samples(6), engine)
    assert sorted(engine.forgotten) == sorted(f"near/dot-{n}" for n in range(6))


def test_a_picture_among_several_stays_the_one_asked_about(tmp_path: Path, near: RunInfo) -> None:
    [row] = samples(1)
    other = Picture("other", lambda: Image.new("RGB", (8, 8)))
    earlier = (Message("user", (row.picture, "Look.")), Message("assistant", ("Yes.",)))
    rows = [replace(row, shown=(other, row.picture), earlier=earlier)]

    def where(sample: Sample, *_: Any) -> Policy:
        yield from ()
        places = [place for place, one in enumerate(sample.pictures) if one is sample.picture]
        return Answer(str(places), "large")

    recipe = replace(RECIPE, policy=where)
    assert [record.text for record in run(tmp_path / "r", near, rows, recipe=recipe)] == ["[0, 2]"]
