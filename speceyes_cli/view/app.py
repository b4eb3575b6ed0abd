"""The page's addresses, and what each shows."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from speceyes_cli.core.errors import SpecEyesError, UsageError
from speceyes_cli.core.run.info import same_data
from speceyes_cli.host.manager import Host
from speceyes_cli.view.access import TokenGate
from speceyes_cli.view.catalog import Catalog, RunEntry
from speceyes_cli.view.charts import phase_bars, slow_figures
from speceyes_cli.view.command_line import eval_command
from speceyes_cli.view.compare import SHOWN, compare
from speceyes_cli.view.figures import in_order
from speceyes_cli.view.kept import Kept
from speceyes_cli.view.lines import (
    both_lines,
    decimal,
    flat,
    made_where,
    page_number,
    pages_of,
    sample_line,
    whole_number,
)
from speceyes_cli.view.pictures import (
    SHOWN_SIDE,
    WHOLE_SIDE,
    SamplePictures,
    enlarge,
    try_picture,
)
from speceyes_cli.view.reading import read_bodies, read_whole
from speceyes_cli.view.record_index import RecordIndex
from speceyes_cli.view.rendering import FOLDER, page
from speceyes_cli.view.runs_table import RunsChoice, all_lines, arrange, distinct
from speceyes_cli.view.sample_page import SamplePage, describe
from speceyes_cli.view.samples import KINDS, ORDERS, PAGE, VERDICTS, Choice, choose, kinds_of
from speceyes_cli.view.what_if import RISKS, WhatIf, open_what_if
from speceyes_cli.web.pictures import encode

SHARED = ("speceyes_cli.web", "assets")
"""The package and folder of what every page has."""
OUR_FAULT = "This page could not be made; the terminal that runs `speceyes view` tells why."


def build_app(catalog: Catalog, host: Host, token: str, cookie: str) -> TokenGate:
    """The ASGI application."""
    view = View(catalog, host)
    handlers: dict[Any, Callable[[Request, Any], Response]] = {
        SpecEyesError: view.tell,
        HTTPException: view.tell_path,
        Exception: view.own_up,
    }
    run, sample = "/runs/{run}", "/runs/{run}/samples/{place:int}"
    app = Starlette(
        routes=[
            Route("/", view.runs),
            Route("/version", view.version),
            Route("/compare", view.compare),
            Route(run, view.run),
            Route(f"{run}/curves", view.curves),
            Route(f"{run}/what-if", view.what_if),
            Route(f"{run}/what-if/curve", view.what_if_curve),
            Route(f"{run}/samples", view.samples),
            Route(sample, view.sample),
            Route(f"{sample}/record", view.record),
            Route(f"{sample}/pictures/{{number:int}}", view.picture),
            Route(f"{sample}/crops/{{number:int}}", view.crop),
            Mount("/assets", StaticFiles(directory=FOLDER / "assets", packages=[SHARED])),
        ],
        exception_handlers=handlers,
    )
    return TokenGate(app, token, cookie)


class View:
    """The pages; each method is a route, run in a thread of its own."""

    def __init__(self, catalog: Catalog, host: Host) -> None:
        self._catalog, self._host = catalog, host
        self._what_ifs: Kept[WhatIf] = Kept(2)
        self._curves: Kept[dict[str, Any]] = Kept(32)
        self._kinds: Kept[Any] = Kept(32)

    def runs(self, request: Request) -> Response:
        """`/`: every run."""
        choice = RunsChoice.read(request.query_params)
        entries, every = self._catalog.entries(), all_lines(self._catalog)
        return page(
            "runs",
            choice=choice,
            lines=arrange(every, choice),
            every=distinct(every),
            roots=self._catalog.roots,
            left_out=self._catalog.left_out,
            broken=[entry for entry in entries if entry.problem],
            version=self._catalog.version,
            reading=self._catalog.reading,
        )

    def version(self, _request: Request) -> Response:
        """`/version`: a number that grows with every change, for pages that wait for one."""
        return JSONResponse({"version": self._catalog.version})

    def run(self, request: Request) -> Response:
        """`/runs/ID`: one run."""
        entry = self._entry(request)
        info = entry.info
        return page(
            "run",
            entry=entry,
            bars=phase_bars(entry.rows),
            config=flat(info.config.model_dump(mode="json")) if info else {},
            made=flat(made_where(entry)),
            baseline=self._catalog.get(entry.baseline) if entry.baseline else None,
            version=self._catalog.version,
        )

    def curves(self, request: Request) -> Response:
        """`/runs/ID/curves`: what its charts of confidence are drawn from."""
        entry = self._entry(request)
        found = self._curves.get((entry.id, entry.change), lambda: slow_figures(entry, self._host))
        return JSONResponse(found)

    def what_if(self, request: Request) -> Response:
        """`/runs/ID/what-if`: a both-branches run at any gate, K and threshold."""
        entry = self._entry(request)
        try:
            found, told = self._open_what_if(entry), ""
        except SpecEyesError as error:
            found, told = None, str(error)
        query = request.query_params
        return page(
            "what_if",
            entry=entry,
            found=found,
            told=told,
            gate=query.get("gate") or (found.own.gate if found else ""),
            top_k=whole_number(query.get("k")) or (found.own.top_k if found else 0),
            threshold=decimal(query.get("threshold")),
            risks=RISKS,
            gates=[(gate, shlex.quote(gate)) for gate in found.gates] if found else [],
            command=eval_command(entry.info) if entry.info else "",
        )

    def what_if_curve(self, request: Request) -> Response:
        """`/runs/ID/what-if/curve`: what every threshold does under one gate and K."""
        entry = self._entry(request)
        found = self._open_what_if(entry)
        query = request.query_params
        risk = decimal(query.get("risk")) or RISKS[0]
        if not 0 < risk < 1:
            raise UsageError(f"A risk is a probability between 0 and 1, not {risk:g}.")
        top_k = whole_number(query.get("k")) or found.own.top_k
        gate = query.get("gate") or found.own.gate
        return JSONResponse(found.curve(gate, top_k, risk))

    def samples(self, request: Request) -> Response:
        """`/runs/ID/samples`: those of one run that were asked for, a page of them."""
        entry, index = self._read(request)
        choice = Choice.read(request.query_params)
        kinds = self._kinds_of(entry, index)
        chosen = self._choose(entry, index, choice)
        number = page_number(request.query_params, len(chosen))
        shown = chosen[(number - 1) * PAGE : number * PAGE]
        bodies = read_bodies(entry.folder, [int(index.rows["place"][i]) for i in shown])
        return page(
            "samples",
            entry=entry,
            choice=choice,
            lines=[sample_line(index, kinds, i, bodies) for i in shown],
            total=len(chosen),
            number=number,
            pages=pages_of(len(chosen)),
            splits=index.split_names,
            offered={"verdict": tuple(VERDICTS), "kind": KINDS, "order": ORDERS},
            version=self._catalog.version,
        )

    def sample(self, request: Request) -> Response:
        """`/runs/ID/samples/PLACE`: one sample, and the way to its neighbours."""
        entry, index, place = self._placed(request)
        choice = Choice.read(request.query_params)
        chosen = [int(index.rows["place"][i]) for i in self._choose(entry, index, choice)]
        at = chosen.index(place) if place in chosen else -1
        found = describe(read_whole(entry.folder, place))
        kinds = self._kinds_of(entry, index)
        here = (index.rows["place"] == place).nonzero()[0]
        kind = int(kinds[here[0]]) if len(here) else -1
        return page(
            "sample",
            entry=entry,
            shown=found,
            place=place,
            choice=choice,
            kind=KINDS[kind] if kind >= 0 else "",
            at=at,
            total=len(chosen),
            before=chosen[at - 1] if at > 0 else None,
            after=chosen[at + 1] if 0 <= at < len(chosen) - 1 else None,
        )

    def record(self, request: Request) -> Response:
        """`/runs/ID/samples/PLACE/record`: the record as it is kept."""
        entry, _, place = self._placed(request)
        found = read_bodies(entry.folder, [place]).get(place)
        if found is None:
            raise HTTPException(404)
        text = json.dumps(found, indent=2, ensure_ascii=False)
        return Response(text, media_type="application/json")

    def picture(self, request: Request) -> Response:
        """`…/pictures/N`: a picture that the models saw; with ?whole every pixel of it."""
        side = WHOLE_SIDE if "whole" in request.query_params else SHOWN_SIDE
        pictures, shown = self._pictures(request)
        number = request.path_params["number"]
        if number >= len(shown.pictures) and number > 0:
            raise HTTPException(404)
        name = shown.pictures[number] if shown.pictures else ""
        found = try_picture(
            lambda: encode(pictures.seen(name) if name else pictures.original(), side)
        )
        return Response(found.data, media_type=found.media_type)

    def crop(self, request: Request) -> Response:
        """`…/crops/N`: what a tool's box of the sample's picture holds."""
        pictures, shown = self._pictures(request)
        number = request.path_params["number"]
        tools = {tool.number: tool for turn in shown.turns for tool in turn.tools}
        box = tools[number].box if number in tools else None
        if box is None:
            raise HTTPException(404)
        found = try_picture(lambda: encode(enlarge(pictures.crop(box)), SHOWN_SIDE))
        return Response(found.data, media_type=found.media_type)

    def compare(self, request: Request) -> Response:
        """`/compare?run=A&run=B`: the samples on which two runs differ."""
        named = request.query_params.getlist("run")
        entries = [entry for run_id in named if (entry := self._catalog.get(run_id))]
        if len(entries) != len((1, 2)) or len(named) != len(entries):
            raise UsageError("Choose two runs to compare; the list of runs has a box beside each.")
        first, second = entries
        how = request.query_params.get("how", SHOWN[0])
        if first.index is None or second.index is None or not (first.info and second.info):
            raise UsageError("These runs have not been read yet; load this page again.")
        order = in_order(first.info, first.index)
        found = compare(first.index, second.index, order, how if how in SHOWN else SHOWN[0])
        number = page_number(request.query_params, len(found.differences))
        shown = found.differences[(number - 1) * PAGE : number * PAGE]
        lines = both_lines(first, second, [d.first for d in shown], [d.second for d in shown])
        return page(
            "compare",
            first=first,
            second=second,
            found=found,
            lines=lines,
            how=how,
            offered=SHOWN,
            number=number,
            pages=pages_of(len(found.differences)),
            same=same_data(first.info.config, second.info.config)
            and first.info.config.dataset == second.info.config.dataset,
        )

    def tell(self, request: Request, error: SpecEyesError) -> Response:
        """What the reader can mend, or what a run's folder lacks."""
        if request.url.path.endswith(("/curve", "/curves")):
            return JSONResponse({"told": str(error)}, 422)
        return page("told", 422, title="This cannot be shown", sentence=str(error))

    def tell_path(self, _request: Request, error: HTTPException) -> Response:
        """An address that is none."""
        sentence = "There is nothing at this address."
        return page("told", error.status_code, title="Not found", sentence=sentence)

    def own_up(self, _request: Request, _error: Exception) -> Response:
        """A fault of the program."""
        return page("told", 500, title="A fault", sentence=OUR_FAULT)

    def _entry(self, request: Request) -> RunEntry:
        entry = self._catalog.get(request.path_params["run"])
        if entry is None:
            raise HTTPException(404)
        return entry

    def _read(self, request: Request) -> tuple[RunEntry, RecordIndex]:
        """A run whose records are known."""
        entry = self._entry(request)
        if entry.problem:
            raise UsageError(entry.problem)
        if entry.index is None:
            raise UsageError("This run has not been read yet; load this page again.")
        return entry, entry.index

    def _open_what_if(self, entry: RunEntry) -> WhatIf:
        return self._what_ifs.get(
            (entry.id, entry.change), lambda: open_what_if(entry.folder, self._host)
        )

    def _kinds_of(self, entry: RunEntry, index: RecordIndex) -> Any:
        baseline = self._catalog.get(entry.baseline) if entry.baseline else None
        other = baseline.index if baseline is not None else None
        key = (entry.id, entry.change, baseline and baseline.change)
        return self._kinds.get(key, lambda: kinds_of(index, other))

    def _choose(self, entry: RunEntry, index: RecordIndex, choice: Choice) -> list[int]:
        assert entry.info is not None  # noqa: S101 - a run that was read has it
        kinds = self._kinds_of(entry, index)
        return choose(entry.folder, entry.info, index, kinds, choice)

    def _placed(self, request: Request) -> tuple[RunEntry, RecordIndex, int]:
        """A run and the place of one of its records."""
        entry, index = self._read(request)
        place = request.path_params["place"]
        if place not in index.rows["place"]:
            raise HTTPException(404)
        return entry, index, place

    def _pictures(self, request: Request) -> tuple[SamplePictures, SamplePage]:
        entry, _, place = self._placed(request)
        assert entry.info is not None  # noqa: S101 - a run that was read has it
        whole = read_whole(entry.folder, place)
        pictures = SamplePictures(entry.folder, entry.info, whole.record, self._host)
        return pictures, describe(whole)
