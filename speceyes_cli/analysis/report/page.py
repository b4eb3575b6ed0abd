"""One page that needs nothing but itself: figures, styles and pictures are all inside."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from speceyes_cli.analysis.confidence import GateFigures
from speceyes_cli.analysis.figures.style import COLOURS, FAINT, INK, Plot, render_bare
from speceyes_cli.analysis.replay import Replayed
from speceyes_cli.analysis.report.selected_samples import ShownKind
from speceyes_cli.core.run.info import RunInfo
from speceyes_cli.core.tables.summaries import ALL, SummaryRow
from speceyes_cli.core.text import strip_control

TEMPLATE = "page.html.jinja"
_IN_THE_DARK = {
    INK: "var(--ink)",
    FAINT: "var(--faint)",
    **{colour: f"var(--series-{place})" for place, colour in enumerate(COLOURS)},
}
"""Colours of the figures that the page sets itself, by the reader's light or dark mode."""
_BORROWED = re.compile(r'(\bid="|href="#|url\(#)')


TERMS = {
    "α": "the share of drafts that the gate accepted, among samples that no screen held back",
    "β": "the share of samples that passed the screen, so that the small model could draft",
    "K": "how many of each token's largest logits the gate looks at",
    "threshold": "the confidence that a draft must exceed to stand",
    "n": "finished samples, failed ones included",
}
"""What the page says of a word where the pointer rests on it, and in its legend."""


class Shown(NamedTuple):
    """A figure within the page."""

    title: str
    caption: str
    svg: str
    """Safe HTML."""


@dataclass(frozen=True, slots=True)
class RunSection:
    """Everything the page tells of one run."""

    label: str
    """What it is called on the page."""
    info: RunInfo
    rows: Sequence[SummaryRow]
    gates: Sequence[GateFigures]
    plots: Sequence[Plot]
    notes: Sequence[str]
    """Sentences: the tie diagnostic, or why something cannot be told."""
    branches: Replayed | None
    """What accepting drafts gained and cost; None for a run of one branch."""
    kinds: Sequence[ShownKind]
    """Samples worth a look."""

    @property
    def total(self) -> SummaryRow:
        """The row of all splits."""
        return next(row for row in self.rows if row.split == ALL)

    @property
    def provenance(self) -> dict[str, dict[str, str]]:
        """Tables of what was run and where, by title."""
        info = self.info
        return {
            "Configuration": _flat(info.config.model_dump()),
            "Run": _flat(
                {
                    "name": info.name,
                    "created": info.created,
                    "status": info.status,
                    "active_seconds": round(info.active_seconds, 3),
                    "options passed": ", ".join(info.passed) or "none",
                    "git_revision": info.git_revision,
                }
            ),
            "Models": _flat(info.engines),
            "Versions": _flat(info.versions),
            "Hardware": _flat(info.hardware),
        }


def render_page(sections: Sequence[RunSection], shared: Sequence[Plot]) -> str:
    """The page as HTML; all text of models and files is escaped, control characters dropped."""
    import jinja2  # noqa: PLC0415 - needed by this command only
    from markupsafe import Markup  # noqa: PLC0415 - the same

    def clean(value: Any) -> Any:
        return strip_control(value) if type(value) is str else value

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=clean,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda v: "–" if v is None else f"{100 * v:.1f}%"
    environment.filters["number"] = lambda v, digits=3: "–" if v is None else f"{v:.{digits}f}"
    environment.filters["seconds"] = lambda v: "–" if v is None else f"{v:.3g} s"
    counter = iter(range(10**6))

    def figure(plot: Plot) -> Shown:
        drawn = embed_svg(render_bare(plot), f"f{next(counter)}-", plot.alt)
        return Shown(plot.title, plot.caption, Markup(drawn))  # noqa: S704 - our own figure

    return environment.get_template(TEMPLATE).render(
        sections=sections,
        shared=[figure(plot) for plot in shared],
        figure=figure,
        terms=TERMS,
        cached=any(
            row.cached_share or row.speedup_cached for section in sections for row in section.rows
        ),
    )


def embed_svg(svg: str, prefix: str, alt: str) -> str:
    """The figure for a page: its ids its own, its colours the page's, its meaning in words."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = _BORROWED.sub(lambda found: found[1] + prefix, body)
    for colour, variable in _IN_THE_DARK.items():
        body = body.replace(colour, variable)
    head, tail = body.split(">", 1)
    size = re.search(r'viewBox="[^"]*"', head)
    label = alt.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'{size[0] if size else ""} role="img" aria-label="{label}">{tail}'
    )


def _flat(values: Mapping[str, Any]) -> dict[str, str]:
    return {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in values.items()
        if value not in (None, {}, [], ())
    }
