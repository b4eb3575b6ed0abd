"""The page as one file: its own style and scripts are all that a browser may run or load."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import jinja2
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from speceyes_cli import web
from speceyes_cli.web.headers import GUARDS

HERE = Path(__file__).parent
SHARED = Path(web.__file__).parent / "assets"
STYLES = (SHARED / "base.css", HERE / "page.css")
SCRIPTS = (SHARED / "picture.js", HERE / "stream.js", HERE / "decision.js", HERE / "form.js")


class Page:
    """The page of one served cascade, made once."""

    def __init__(self, model: str, *, needs_key: bool) -> None:
        """`model` is the name that clients give."""
        style, script = _joined(STYLES), _joined(SCRIPTS)
        template = jinja2.Environment(
            autoescape=True, undefined=jinja2.StrictUndefined
        ).from_string((HERE / "page.html.jinja").read_text(encoding="utf-8"))
        icon = base64.b64encode((SHARED / "icon.svg").read_bytes()).decode()
        self._html = template.render(
            style=Markup(style),  # noqa: S704 - our own files
            script=Markup(script),  # noqa: S704 - the same
            icon=f"data:image/svg+xml;base64,{icon}",
            model=model,
            needs_key=needs_key,
        )
        self._headers = {**GUARDS, "content-security-policy": _policy(style, script)}

    async def show(self, request: Request) -> Response:  # noqa: ARG002 - a route's signature
        """`GET /`. It holds no secret: whoever asks from it needs the key."""
        return HTMLResponse(self._html, headers=self._headers)


def _joined(files: tuple[Path, ...]) -> str:
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def _policy(style: str, script: str) -> str:
    """What the page may do: its own style and script, pictures that it holds, this server."""
    return (
        f"default-src 'none'; script-src {_source(script)}; style-src {_source(style)}; "
        "img-src data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _source(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
