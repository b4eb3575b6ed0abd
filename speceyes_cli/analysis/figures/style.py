"""The style of every figure: series distinguishable without colour, in grey and in the dark.

A figure is described by a `Plot`, whose `draw` receives an empty matplotlib figure. Only `render`
imports matplotlib, and draws without a window.
"""

from __future__ import annotations

import colorsys
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
COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"),
    *("#7a3e9d", "#808000", "#c2185b", "#00838f", "#8c4a2f", "#3f51b5"),
)
"""Okabe and Ito's palette (2008), less black and yellow, which vanish on one background; then six
that differ from it and from each other."""
DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (6, 1.5, 1, 1.5, 1, 1.5)), (0, (1, 2.5)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", "p", ">", "h")
RIGHT, WRONG = COLOURS[0], COLOURS[1]
WIDTH = 4.8
"""Inches across: at this size the text stays legible on a phone."""
_CAPTION_CHARACTERS = 88
_LABEL_CHARACTERS = 58
_LEGEND_ROOM = 0.3
"""Inches of a legend for which a figure's height allows."""
_GOLDEN = (5**0.5 - 1) / 2
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
    """Colour and dashes, and a marker if wanted, of the line in this place from 0.

    No two places have the same colour or the same marker, however many there are.
    """
    found = {"color": _colour(place), "linestyle": DASHES[place % len(DASHES)]}
    return {**found, "marker": _marker(place)} if markers else found


def _colour(place: int) -> str:
    if place < len(COLOURS):
        return COLOURS[place]
    turn = (place * _GOLDEN) % 1.0  # hues that never meet
    red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb(turn, 0.45, 0.55))
    return f"#{red:02x}{green:02x}{blue:02x}"


def _marker(place: int) -> Any:
    """Beyond those that have names, stars of more and more points."""
    more = place - len(MARKERS)
    return MARKERS[place] if more < 0 else (6 + more, 1, 0)


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


def legend_above(figure: Figure, *panels: Axes, columns: int = 3) -> None:
    """One legend over the whole figure, where it covers nothing, in as many columns as fit.

    It has the series of all panels, one that stands in several of them once.
    """
    found: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(textwrap.fill(label, _LABEL_CHARACTERS), handle)
    labels, handles = list(found), list(found.values())
    if not labels:
        return
    root: Any = figure.get_figure(root=True)
    renderer = root.canvas.get_renderer()
    for count in range(min(columns, len(labels)), 0, -1):
        legend = figure.legend(handles, labels, loc="outside upper left", ncols=count)
        if count == 1 or legend.get_window_extent(renderer).width <= root.bbox.width:
            return
        legend.remove()


def percent_axis(axis: Any) -> None:
    """Show shares of 0 to 1 as percent."""
    from matplotlib.ticker import PercentFormatter  # noqa: PLC0415 - slow to import

    axis.set_major_formatter(PercentFormatter(1.0))


def mark_threshold(axes: Axes, threshold: float | None) -> None:
    """A thin vertical line where the run's threshold lies; none without one."""
    if threshold is not None:
        axes.axvline(threshold, color=INK, linewidth=0.8, linestyle=(0, (2, 2)))


def draw_figure(plot: Plot, *, whole: bool) -> Any:
    """The figure as a matplotlib figure, as high as its legend needs.

    `whole`: with title and caption, on white.
    """
    import matplotlib as mpl  # noqa: PLC0415 - slow to import

    with mpl.rc_context(_STYLE):
        figure = _draw(plot, 0.0, whole=whole)
        renderer = figure.canvas.get_renderer()
        heights = [one.get_window_extent(renderer).height for one in legends_of(figure)]
        taken = sum(heights) / figure.dpi
        if taken > _LEGEND_ROOM:
            figure = _draw(plot, taken - _LEGEND_ROOM, whole=whole)
    return figure


def legends_of(figure: Any) -> list[Any]:
    """The legends of a figure and of its parts."""
    return [*figure.legends, *(one for part in figure.subfigs for one in part.legends)]


def _save(plot: Plot, form: str, *, whole: bool, **options: Any) -> bytes:
    import matplotlib as mpl  # noqa: PLC0415 - slow to import

    out = io.BytesIO()
    figure = draw_figure(plot, whole=whole)
    metadata = {"Date": None} if form == "svg" else None
    with mpl.rc_context(_STYLE):
        figure.savefig(out, format=form, metadata=metadata, **options)
    return out.getvalue()


def _draw(plot: Plot, more: float, *, whole: bool) -> Any:
    """The figure, `more` inches higher than the plot asks for."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - slow to import
    from matplotlib.figure import Figure  # noqa: PLC0415 - the same

    caption = textwrap.fill(plot.caption, _CAPTION_CHARACTERS)
    above, below = (0.3, 0.12 + 0.13 * (caption.count("\n") + 1)) if whole else (0.0, 0.0)
    height = plot.height + more
    figure: Any = Figure(figsize=(WIDTH, above + height + below), layout="constrained")
    FigureCanvasAgg(figure)
    figure.patch.set_facecolor("white" if whole else "none")
    if not whole:
        plot.draw(figure)
        return figure
    figure.text(0.012, 1 - 0.07 / figure.get_figheight(), plot.title, va="top", fontsize=10)
    figure.text(0.012, 0.05 / figure.get_figheight(), caption, va="bottom", fontsize=7)
    _, body, _ = figure.subfigures(3, 1, height_ratios=[above, height, below])
    plot.draw(body)
    return figure
