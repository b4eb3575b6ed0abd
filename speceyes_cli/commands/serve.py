"""`speceyes serve`: the cascade as an OpenAI-compatible endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer
from rich.console import Console

from speceyes_cli.analysis.certificate import require_engines
from speceyes_cli.commands.options import passed_options, takes
from speceyes_cli.core.text import strip_control
from speceyes_cli.host.manager import Host
from speceyes_cli.host.planning.learned import require_fitting_engines
from speceyes_cli.host.planning.models import close_engines, load_engines
from speceyes_cli.host.planning.rehearsal import rehearse_agent
from speceyes_cli.serve.plan import ServeOptions, plan_service

INTERRUPTED = 130
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@takes(ServeOptions)
def serve_command(context: typer.Context, options: ServeOptions) -> None:
    """Serve the cascade to any OpenAI client.

    POST /v1/chat/completions takes a conversation whose last turn asks something, with pictures
    anywhere in it or none, streaming or not. The answer tells its route, confidence and threshold
    in the field `speceyes` and in X-SpecEyes headers. What the cascade cannot speculate on, such
    as tools, is passed on where the large model is an endpoint. POST /v1/responses takes the same
    in the form of OpenAI's Responses interface.
    GET /healthz, /readyz and /metrics are for whoever watches it.

    Exit codes: 0 stopped, 2 something to mend, also where nothing can be answered any more, 130
    stopped before it served.
    """
    from speceyes_cli.serve.http.server import (  # noqa: PLC0415 - starlette and uvicorn are heavy
        open_socket,
        run_server,
        terminable,
    )

    host: Host = context.obj
    screen = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)

    def announce(line: str) -> None:
        screen.print(strip_control(line), markup=False)

    plan = plan_service(options, host, passed_options(context))
    for line in plan.notes:
        announce(line)
    with terminable(), open_socket(options.host, options.port) as listener:
        if options.serve_api_key is None and options.host not in LOOPBACK:
            announce("Anyone who reaches this address may use it: there is no --api-key.")
        try:
            engines = load_engines(plan.loads, announce)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        try:
            require_fitting_engines(plan.learned, engines)
            if plan.certificate is not None:
                described: dict[str, Mapping[str, Any]] = {
                    role: engine.describe() for role, engine in engines.items()
                }
                require_engines(plan.certificate, described)
            rehearse_agent(plan.agent_name, plan.service.agent, plan.loads, engines)
            run_server(
                plan.service,
                engines,
                listener,
                options.stop_seconds,
                announce,
                drain_seconds=options.drain_seconds,
            )
        finally:
            close_engines(engines)
