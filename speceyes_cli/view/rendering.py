"""Pages from templates: whatever models and files said is text, never markup."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import jinja2
from starlette.responses import HTMLResponse

from speceyes_cli.core.text import strip_control

NOTHING = "–"
FOLDER = Path(__file__).parent


@functools.cache
def environment() -> jinja2.Environment:
    """The templates with their filters; everything is escaped, control characters are dropped."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_clean,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "percent": percent,
        "number": number,
        "seconds": seconds,
        "duration": duration,
    }
    return made


def load_templates() -> None:
    """Compile every template, so that no page waits for it."""
    for name in environment().list_templates(extensions=["jinja"]):
        environment().get_template(name)


def page(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page."""
    return HTMLResponse(environment().get_template(f"{template}.html.jinja").render(values), status)


def percent(share: float | None, digits: int = 1) -> str:
    """0.875 as 87.5%."""
    return NOTHING if share is None else f"{100 * share:.{digits}f}%"


def number(value: float | None, digits: int = 2) -> str:
    """A number with so many digits behind the point."""
    return NOTHING if value is None else f"{value:.{digits}f}"


def seconds(value: float | None) -> str:
    """Seconds with three figures."""
    return NOTHING if value is None else f"{value:.3g} s"


def duration(value: float | None) -> str:
    """Seconds as people say them: 42 s, 7 min, 3 h 20 min."""
    if value is None:
        return NOTHING
    if value < 90:  # noqa: PLR2004 - a minute and a half is told in seconds
        return f"{value:.0f} s"
    minutes = round(value / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"  # noqa: PLR2004 - the same


def _clean(value: Any) -> Any:
    return strip_control(value) if type(value) is str else value
