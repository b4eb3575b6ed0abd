"""The style of every figure: series distinguishable without colour, in grey and in the dark.

A figure is described by a `Plot`, whose `draw` receives an empty matplotlib figure. Only `render`
imports matplotlib, and draws without a window.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase as Figure

INK = "#24292f"
"""Text, axes and whatever belongs to no series."""
FAINT = "#8c959f"
"""Grids, and lines that only help to read."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Okabe and Ito's palette (2008), less black and yellow, which vanish on one background."""
DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (6, 1.5, 1, 1.5, 1, 1.5)), (0, (1, 2.5)))
MARKERS = ("o", "s", "^", "D", "v", "P")
RIGHT, WRONG = COLOURS[0], COLOURS[1]
WIDTH = 4.8
"""Inches across: at this size the text stays legible on a phone."""
_CAPTION_CHARACTERS = 88
_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.5,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.5,
    "svg.fonttype": "none",  # text stays text: small, searchable, read aloud
    "svg.hashsalt": "speceyes",
    "text.parse_math": False,  # a name may hold a dollar sign
}


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure that can be drawn."""

    name: str
    """The stem of its file names."""
    title: str
    caption: str
    """What is shown, of which n, and what the units are."""
    alt: str
    """What one would say to somebody who cannot see it."""
    draw: Callable[[Figure], None]
    height: float = 3.2
    """Inches, the caption not counted."""


class Rendered(NamedTuple):
    """A figure as files hold it."""

    png: bytes
    svg: str


def series(place: int, *, markers: bool = False) -> dict[str, Any]:
    """Colour and dashes, and a marker if wanted, of the line in this place from 0."""
    found = {
        "color": COLOURS[place % len(COLOURS)],
        "linestyle": DASHES[place % len(DASHES)],
    }
    return {**found, "marker": MARKERS[place % len(MARKERS)]} if markers else found


def render(plot: Plot) -> Rendered:
    """The figure on white, title and caption in it, as PNG and SVG."""
    return Rendered(
        _save(plot, "png", whole=True, dpi=200), _save(plot, "svg", whole=True).decode()
    )


def render_bare(plot: Plot) -> str:
    """The figure as SVG on nothing, without title and caption, for a page that has its own."""
    return _save(plot, "svg", whole=False).decode()


def write_plots(plots: Iterable[Plot], folder: Path) -> list[Path]:
    """Draw every figure, then write them as PNG and SVG into a folder, which is made."""
    drawn = [(plot.name, render(plot)) for plot in plots]
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, rendered in drawn:
        for suffix, data in (("png", rendered.png), ("svg", rendered.svg.encode())):
            file = folder / f"{name}.{suffix}"
            file.write_bytes(data)
            files.append(file)
    return files


def legend_above(figure: Figure, axes: Axes, columns: int = 3) -> None:
    """One legend over the whole figure, where it covers nothing."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=columns)


def percent_axis(axis: Any) -> None:
    """Show shares of 0 to 1 as percent."""
    from matplotlib.ticker import PercentFormatter  # noqa: PLC0415 - slow to import

    axis.set_major_formatter(PercentFormatter(1.0))


def mark_threshold(axes: Axes, threshold: float | None) -> None:
    """A thin vertical line where the run's threshold lies; none without one."""
    if threshold is not None:
        axes.axvline(threshold, color=INK, linewidth=0.8, linestyle=(0, (2, 2)))


def _save(plot: Plot, form: str, *, whole: bool, **options: Any) -> bytes:
    import matplotlib as mpl  # noqa: PLC0415 - slow to import
    from matplotlib.figure import Figure  # noqa: PLC0415 - the same

    out = io.BytesIO()
    caption = textwrap.fill(plot.caption, _CAPTION_CHARACTERS)
    above, below = (0.3, 0.12 + 0.13 * (caption.count("\n") + 1)) if whole else (0.0, 0.0)
    with mpl.rc_context(_STYLE):
        figure: Any = Figure(figsize=(WIDTH, above + plot.height + below), layout="constrained")
        figure.patch.set_facecolor("white" if whole else "none")
        if whole:
            figure.text(0.012, 1 - 0.07 / figure.get_figheight(), plot.title, va="top", fontsize=10)
            figure.text(0.012, 0.05 / figure.get_figheight(), caption, va="bottom", fontsize=7)
            _, body, _ = figure.subfigures(3, 1, height_ratios=[above, plot.height, below])
            plot.draw(body)
        else:
            plot.draw(figure)
        metadata = {"Date": None} if form == "svg" else None
        figure.savefig(out, format=form, metadata=metadata, **options)
    return out.getvalue()
