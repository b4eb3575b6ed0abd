"""Who may see the page: whoever has the token that the command printed, on this machine."""

from __future__ import annotations

import hmac
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from speceyes_cli.web.headers import GUARDS

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Names under which the page answers; any other is a name that somebody else gave this machine."""
HEADERS = {
    **GUARDS,
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
}
REFUSED = "This page needs the address, token included, that `speceyes view` printed."
ELSEWHERE = "This page answers at 127.0.0.1 only."


class TokenGate:
    """Lets through who has the token, once in the address and then as a cookie."""

    def __init__(self, app: ASGIApp, token: str, cookie: str) -> None:
        """`cookie` is the cookie's name: servers on other ports share the machine's cookies."""
        self._app, self._token, self._cookie = app, token, cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        app: Any = self._answer(Request(scope)) or self._app
        await app(scope, receive, send_guarded)

    def _answer(self, request: Request) -> Response | None:
        """What keeps the request from the page; None where nothing does."""
        try:
            host = urlsplit(f"//{request.headers.get('host', '')}").hostname
        except ValueError:
            host = None
        if host not in LOOPBACK:
            return PlainTextResponse(ELSEWHERE, 421)
        if "token" in request.query_params:
            if not self._is_token(request.query_params["token"]):
                return PlainTextResponse(REFUSED, 403)
            return self._welcome(request)
        if not self._is_token(request.cookies.get(self._cookie, "")):
            return PlainTextResponse(REFUSED, 403)
        return None

    def _welcome(self, request: Request) -> Response:
        """The same address without the token, which then stays out of histories."""
        rest = [(k, v) for k, v in request.query_params.multi_items() if k != "token"]
        path = f"/{request.url.path.lstrip('/')}"
        response = RedirectResponse(f"{path}?{urlencode(rest)}" if rest else path, 303)
        response.set_cookie(self._cookie, self._token, httponly=True, samesite="lax")
        return response

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())
