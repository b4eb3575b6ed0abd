"""The pages as text: what they tell, and that what models wrote stays text."""

from __future__ import annotations

import contextlib
import fcntl
import json
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from typer.testing import Result

from speceyes_cli.core.run.info import RUN_FILE, read_run_info, write_run_info
from speceyes_cli.core.run.records import (
    CallNote,
    ErrorNote,
    MessageNote,
    PictureNote,
    Record,
    TokenNote,
    ToolNote,
    VerdictNote,
)
from speceyes_cli.core.run.store import LOCK, open_store
from speceyes_cli.host.manager import Host
from speceyes_cli.view.catalog import Catalog, Pace
from tests.analysis.conftest import Spec, run_of
from tests.serve.conftest import eventually
from tests.view.conftest import View, WriteRun, judge, read

EVIL = (
    '<b>bold</b><script>alert(1)</script><img src=x onerror="alert(2)">\x1b[2J'
    "</textarea>\"' onload="
)
MIXED = [Spec(0.9 + place / 300, draft_right=place % 4 > 0) for place in range(29)]


def spoil(record: Record) -> Record:
    """The record with the same hostile text wherever a record holds text."""
    assert record.draft is not None
    token = TokenNote(text=EVIL, separability=1.0, logprob=-0.1, margin=0.1, entropy=0.1)
    call = CallNote(role="large", phase="agent", text=EVIL, tokens=1, finish="stop", seconds=0.1)
    tool = ToolNote(
        name=EVIL,
        arguments={EVIL: EVIL, "box": [1, 2, 3, 4], "frame": [8, 8]},
        outcome=EVIL,
        text=EVIL,
        notes=(EVIL,),
        seconds=0.1,
    )
    picture = PictureNote(picture=EVIL, width=8, height=8)
    return record.model_copy(
        update={
            "sample_id": EVIL + record.sample_id,
            "question": EVIL,
            "options": (EVIL, "b"),
            "answer": EVIL,
            "category": EVIL,
            "text": EVIL,
            "draft": record.draft.model_copy(update={"text": EVIL, "tokens": (token,)}),
            "verdict": VerdictNote(right=False, provenance=EVIL),
            "error": ErrorNote(kind=EVIL, text=EVIL, phase=EVIL, place=EVIL, traceback=EVIL),
            "route": "error",
            "details": {"turns": [{"outcome": "observation", "kind": EVIL, "by": "large"}]},
            "calls": (call, call.model_copy(update={"phase": "screen"})),
            "tools": (tool,),
            "messages": {
                "agent": (
                    MessageNote(role="user", content=(picture, EVIL)),
                    MessageNote(role="assistant", content=(EVIL,)),
                )
            },
            "phase_seconds": {EVIL: 1.0},
        }
    )


def test_what_models_wrote_is_never_markup(view: View, write_run: WriteRun, tmp_path: Path) -> None:
    folder = write_run("a", MIXED[:3], spoil)
    info = read_run_info(folder)
    config = info.config.model_copy(update={"small": EVIL, "large": EVIL, "data": EVIL})
    options = {"data": EVIL, "small": EVIL}
    write_run_info(
        folder, info.model_copy(update={"name": EVIL, "config": config, "options": options})
    )
    shown = view(tmp_path)
    run = shown.run("a")
    place = int(run.index.rows["place"][0])
    for path in (
        "/",
        f"/runs/{run.id}",
        f"/runs/{run.id}/what-if",
        f"/runs/{run.id}/samples",
        f"/runs/{run.id}/samples?text=<script>&split={quote(EVIL)}",
        f"/runs/{run.id}/samples/{place}",
        f"/compare?run={run.id}&run={run.id}",
    ):
        answer = shown.get(path)
        assert answer.status_code == 200, path
        page = shown.page(path)
        tags = [tag for tag, _ in page.tags]
        scripts = page.values("script", "src")
        assert "b" not in tags, path
        assert len(scripts) == tags.count("script"), path
        assert all(src.startswith("/assets/") for src in scripts)
        assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
        assert not any("style" in attrs for _, attrs in page.tags), path
        assert "\x1b" not in answer.text
    assert "alert(1)" in shown.page(f"/runs/{run.id}/samples/{place}").text
    record = shown.get(f"/runs/{run.id}/samples/{place}/record")
    assert record.headers["content-type"] == "application/json"
    assert record.json()["question"] == EVIL


def test_the_list_tells_every_run_and_sorts_and_filters(
    view: View, write_run: WriteRun, tmp_path: Path
) -> None:
    for threshold in (0.95, 0.98):
        write_run(f"speed-{threshold}", MIXED, threshold=threshold)
    write_run("base", [Spec(one_branch=True) for _ in MIXED], method="baseline", threshold=None)
    shown = view(tmp_path)
    rows = {name: shown.run(name).total for name in ("speed-0.95", "speed-0.98", "base")}
    page = shown.page("/")
    assert page.text.count("both branches") == 0
    for row in rows.values():
        assert row is not None
        assert f"{100 * (row.accuracy or 0):.1f}%" in page.text
    assert rows["speed-0.95"].speedup is not None
    assert "3 runs" in page.text
    for way, first in (("up", 0.95), ("down", 0.98)):
        names = shown.page(f"/?sort=threshold&way={way}&method=speceyes").values("a", "href")
        runs = [name for name in names if name.startswith("/runs/")]
        assert runs[0] == f"/runs/{shown.run(f'speed-{first}').id}"
    assert "1 run." in shown.page("/?method=baseline").text
    assert "No run is like that." in shown.page("/?text=nothing").text
    assert "3 runs" in shown.page("/?sort=__class__&way=sideways").text


def test_folders_may_be_empty_and_grow(view: View, tmp_path: Path) -> None:
    shown = view(tmp_path)
    read(shown.server)
    assert f"There is no run in {tmp_path}" in shown.page("/").text
    before = shown.get("/version").json()["version"]
    run = run_of(MIXED)
    with open_store(tmp_path / "new", run.info, "fresh") as store:
        store.add(*run.records[:5])
        assert shown.run("new").total.n == 5
        assert shown.run("new").status == "running"
        assert "running" in shown.page("/").text
        store.add(*run.records[5:])
        assert eventually(lambda: shown.run("new").total.n == 29)
    assert eventually(lambda: shown.run("new").status == "interrupted")  # nobody said it finished
    assert shown.get("/version").json()["version"] > before


def test_looking_never_takes_the_lock(view: View, write_run: WriteRun, tmp_path: Path) -> None:
    folder = write_run("a", MIXED)
    shown = view(tmp_path)
    shown.run("a")
    for _ in range(50):
        with (folder / LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shown.server.catalog.refresh()


def test_a_run_of_another_version_keeps_no_other_from_being_shown(
    view: View, write_run: WriteRun, tmp_path: Path
) -> None:
    write_run("good", MIXED)
    later = json.loads((write_run("later", MIXED) / RUN_FILE).read_text())
    (tmp_path / "later" / RUN_FILE).write_text(json.dumps(later | {"schema_version": "x"}))
    shown = view(tmp_path)
    shown.run("good")
    bad = shown.run("later")
    page = shown.page("/")
    assert "Cannot be read" in page.text
    assert "from another version" in page.text
    assert "from another version" in shown.page(f"/runs/{bad.id}").text
    assert "from another version" in shown.page(f"/runs/{bad.id}/samples", 422).text
    assert "from another version" in shown.page(f"/runs/{bad.id}/what-if").text


def test_samples_are_filtered_and_walked_through(
    view: View, write_run: WriteRun, tmp_path: Path
) -> None:
    specs = [
        Spec(0.99, draft_right=True, agent_right=False),
        Spec(0.99, draft_right=False, agent_right=True),
        Spec(0.99),
        Spec(0.5, agent_right=False),
        Spec(failed=True),
        Spec(0.995, split="other", draft_right=False, agent_right=True),
    ]
    write_run("a", specs)
    shown = view(tmp_path)
    run = shown.run("a")

    def found(query: str) -> list[str]:
        page = shown.page(f"/runs/{run.id}/samples?{query}")
        return [word for word in page.words if word.startswith(("test/s", "other/s"))]

    assert found("") == ["test/s0", "test/s1", "test/s2", "test/s3", "test/s4", "other/s5"]
    assert found("kind=gain") == ["test/s0"]
    assert found("kind=harm") == ["test/s1", "other/s5"]
    assert found("kind=harm&split=other") == ["other/s5"]
    assert found("kind=both+right") == ["test/s2"]
    assert found("verdict=wrong") == ["test/s1", "test/s3", "other/s5"]
    assert found("route=error") == ["test/s4"]
    assert found("order=surest+first&route=small")[0] == "other/s5"
    assert found("text=colour") == found("")
    assert found("text=no+such") == []
    assert found("kind=nonsense&page=99999") == found("")
    harm = shown.place("a", "s1")
    page = shown.page(f"/runs/{run.id}/samples/{harm}?kind=harm")
    assert "1 of 2" in page.text
    assert "Accepted: harm" in page.text
    follows = next(a for _, a in page.tags if a.get("rel") == "next")
    assert follows["href"] == f"/runs/{run.id}/samples/{shown.place('a', 's5')}?kind=harm"
    for place in (10**6, 10**30):
        shown.page(f"/runs/{run.id}/samples/{place}", 404)


def test_kinds_follow_the_baseline_where_one_branch_was_run(
    view: View, write_run: WriteRun, tmp_path: Path
) -> None:
    single = [
        Spec(0.99, draft_right=False, one_branch=True),
        Spec(0.99, one_branch=True),
    ]
    write_run("fast", single)
    write_run("base", [Spec(one_branch=True, score=0.1)] * 2, method="baseline", threshold=None)
    shown = view(tmp_path)
    assert eventually(lambda: shown.run("fast").total.harm == 1)
    assert (
        "1 sample of this kind"
        in shown.page(f"/runs/{shown.run('fast').id}/samples?kind=harm").text
    )


def test_two_runs_are_compared_sample_by_sample(
    view: View, write_run: WriteRun, tmp_path: Path
) -> None:
    write_run("a", [Spec(), Spec(draft_right=False), Spec()])
    write_run("b", [Spec(draft_right=False), Spec(), Spec()], small="other")
    shown = view(tmp_path)
    first, second = shown.run("a").id, shown.run("b").id
    page = shown.page(f"/compare?run={first}&run={second}")
    assert (
        "3 samples are in both: 1 are right in the first alone, 1 in the second alone" in page.text
    )
    assert [w for w in page.words if w.startswith("test/")] == ["test/s0", "test/s1"]
    page = shown.page(f"/compare?run={first}&run={second}&how=only+second+right")
    assert [w for w in page.words if w.startswith("test/")] == ["test/s1"]
    for query in (
        "",
        f"run={first}",
        f"run={first}&run=0",
        f"run={first}&run={second}&run={first}",
    ):
        assert "Choose two runs" in shown.page(f"/compare?{query}", 422).text


def test_results_of_the_papers_own_code_are_listed(view: View, tmp_path: Path) -> None:
    results = tmp_path / "eval_results"
    results.mkdir()
    name = "vstar_direct_attributes_DeepEyes-7B_baseline_1_None_None.jsonl"
    (results / name).write_text('{"question": "q", "status": "success"}\n' * 3)
    shown = view(tmp_path)
    read(shown.server)
    assert "upstream" in shown.page("/").text


def test_one_real_run_has_a_page_for_everything(
    view: View, evaluate: Callable[..., Result], tmp_path: Path
) -> None:
    assert evaluate("--both-branches", "--out", "runs/both", "--keep-images").exit_code == 0
    shown = view(tmp_path / "runs")
    run = shown.run("both")
    assert run.status == "finished"
    page = shown.page(f"/runs/{run.id}")
    figures = shown.get(f"/runs/{run.id}/curves").json()
    assert figures["metrics"]["all"] == {"red answers": 1 / 3}
    for word in ("accuracy (95%)", "β, passed the screen", "screen", "draft", "agent", "tool"):
        assert word in page.text
    place = shown.place("both", "dot-0")
    page = shown.page(f"/runs/{run.id}/samples/{place}")
    for word in ("LOOK 16 16 48 48", "ANSWER red", "look: ok", "Turn 2", "What colour is dot 0?"):
        assert word in page.text
    rects = [attrs for tag, attrs in page.tags if tag == "rect"]
    assert [(r["x"], r["y"], r["width"], r["height"]) for r in rects] == [
        ("25.0", "25.0", "50.0", "50.0")
    ]
    for source in page.values("img", "src"):
        picture = shown.get(source)
        assert picture.headers["content-type"] == "image/png"
        assert picture.content.startswith(b"\x89PNG")


@pytest.mark.parametrize("path", ["nowhere", "file"])
def test_a_folder_that_is_none_is_one_sentence(
    invoke: Callable[..., Result], tmp_path: Path, path: str
) -> None:
    (tmp_path / "file").write_text("")
    done = invoke("view", path)
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1


def test_two_runs_of_one_name_have_each_its_own_time_to_go(tmp_path: Path, host: Host) -> None:
    catalog = Catalog([tmp_path], host)
    with contextlib.ExitStack() as stack:
        stores = {}
        for name, limit in (("a", 2), ("b", 30)):
            run = run_of([Spec(split="near")] * 3, splits=("near", "far"), limit=limit)
            store = stack.enter_context(open_store(tmp_path / name / "run", run.info, "fresh"))
            store.add(run.records[0])
            stores[name] = store, run.records[1:]
        catalog.refresh()
        time.sleep(0.05)
        for store, records in stores.values():
            store.add(*records)
        catalog.refresh()
        left = {entry.folder.parent.name: entry.seconds_left for entry in catalog.entries()}
    assert left["a"] is not None
    assert left["b"] is not None
    assert left["b"] > 10 * left["a"]


def test_the_time_to_go_is_that_of_the_pace_seen_lately() -> None:
    pace = Pace()
    assert pace.seconds_left(10, 100, now=0.0) is None  # nothing was seen to move
    assert pace.seconds_left(30, 100, now=10.0) == 35.0
    assert pace.seconds_left(30, None, now=20.0) is None
    assert pace.seconds_left(31, 100, now=1000.0) is None  # what was seen is too old
    assert pace.seconds_left(41, 100, now=1010.0) == 59.0


def test_a_sample_tells_the_judges_word_beside_the_rules(
    view: View, write_run: WriteRun, tmp_path: Path
) -> None:
    folder = write_run("a", [Spec(agent_right=False, score=0.1)])
    judge(folder, "s0")
    shown = view(tmp_path)
    run = shown.run("a")
    page = shown.page(f"/runs/{run.id}/samples/{shown.place('a', 's0')}")
    assert "llm; the rule said wrong (text) judge llm, m: “1”" in page.text
    assert "✓ right" in page.text


def test_a_baseline_that_comes_later_is_measured_against(
    view: View, write_run: WriteRun, tmp_path: Path
) -> None:
    write_run("runs/fast", [Spec(0.99, one_branch=True)] * 3)
    shown = view(tmp_path / "runs")
    assert shown.run("fast").total.speedup is None
    write_run("runs/base", [Spec(one_branch=True)] * 3, method="baseline", threshold=None)
    assert eventually(lambda: shown.run("fast").baseline == shown.run("base").id)
    assert shown.run("fast").total.speedup is not None
