"""Plots as SVG inside a page, or as PNG: readable in light and dark, in print, without colours.

matplotlib draws with the constants below, which are colours of their own right on white paper. In
the SVG each of them becomes a variable of the page's style sheet, so that ink, grid and lines
change with the reader's light or dark scheme, and text keeps being text. Lines differ in their
dashes as well as in colour.

Ids are made unique by the name of the plot, because all pictures of a page share one document. What
would take too many bytes as paths (a million points) is drawn as pixels between vector axes.

No pyplot: a `Figure` of its own leaves no state behind, and matplotlib's settings are put back.
"""

from __future__ import annotations

import base64
import io
import re
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from mdapp.report.document import Plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, MUTED, GRID, PAPER = "#101214", "#6b7076", "#d3d6da", "#fefefd"

# Okabe and Ito's palette without black and yellow, which is not seen on white: told apart by
# readers who do not tell red from green. https://jfly.uni-koeln.de/color/
BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # fmt: skip
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)), (0, (9, 2)), (0, (3, 3)))
SEQUENTIAL = "cividis"        # of matplotlib: even in brightness, the same to all readers

# The variables of page.html.jinja that take the place of the colours in a page.
VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid", PAPER: "paper",
             **{colour: f"c{n}" for n, colour in enumerate(PALETTE)}}  # fmt: skip

MOST_BYTES = 250_000          # of the paths of a picture; beyond, they are drawn as pixels
DPI = 150


def svg(plot: Plot) -> str:
    """The plot as an `<svg>` element for an HTML page."""
    drawn = _svg(plot, pixels=False)
    paths = re.sub(r'base64,[^"]*', "", drawn)
    return drawn if len(paths) <= MOST_BYTES else _svg(plot, pixels=True)


def png(plot: Plot) -> bytes:
    """The plot as a PNG on white."""
    with style():
        figure, out = _drawn(plot), io.BytesIO()
        figure.savefig(out, format="png", dpi=DPI, facecolor="white")
    return out.getvalue()


def style() -> AbstractContextManager[None]:
    """matplotlib's settings of all pictures, as long as the context is open."""
    from cycler import cycler
    from matplotlib import rc_context

    settings: Any = {
        "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none",
        "axes.edgecolor": MUTED, "axes.labelcolor": INK, "text.color": INK, "axes.titlecolor": INK,
        "xtick.color": MUTED, "ytick.color": MUTED,
        "xtick.labelcolor": INK, "ytick.labelcolor": INK,
        "axes.grid": True, "axes.axisbelow": True, "grid.color": GRID, "grid.linewidth": 0.6,
        "axes.spines.top": False, "axes.spines.right": False,
        "axes.prop_cycle": cycler(color=PALETTE) + cycler(linestyle=DASHES),
        "lines.linewidth": 1.6, "lines.markersize": 4.5, "image.cmap": SEQUENTIAL,
        "legend.frameon": False, "legend.fontsize": "small",
        "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 11.0,
        "mathtext.fontset": "dejavusans", "axes.formatter.useoffset": False,
        "svg.fonttype": "none",
    }  # fmt: skip
    return rc_context(settings)


def _drawn(plot: Plot) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=plot.size, layout="constrained")
    plot.draw(figure.add_subplot())
    return figure


def _svg(plot: Plot, pixels: bool) -> str:
    from matplotlib import rc_context

    out = io.StringIO()
    with style(), rc_context({"svg.hashsalt": plot.name}):
        figure = _drawn(plot)
        if pixels:
            for axes in figure.axes:
                for artist in (*axes.lines, *axes.collections, *axes.patches, *axes.images):
                    artist.set_rasterized(True)
        figure.savefig(out, format="svg", dpi=DPI, metadata={"Date": None})
    return _inline(out.getvalue(), plot)


def _inline(document: str, plot: Plot) -> str:
    """The `<svg>` element alone, with ids and colours of the page that it goes into."""
    body = document[document.index("<svg"):]
    body = re.sub(r"data:image/png;base64,([^\"]*)", _smaller, body)
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'\sxmlns(:xlink)?="[^"]*"', "", body).replace("xlink:href=", "href=")
    mark = anchor(plot.name)
    body = re.sub(r'(\sid="|href="#|url\(#)', rf"\g<1>{mark}-", body)
    for colour, variable in VARIABLES.items():
        body = re.sub(rf"(:\s*){colour}\b", rf"\g<1>var(--{variable})", body, flags=re.IGNORECASE)
    # Width and height come from the style sheet, the proportions from the view box.
    head, rest = body.split(">", 1)
    head = re.sub(r'\s(width|height|version)="[^"]*"', "", head)
    return f'{head} role="img" aria-labelledby="plot-{mark}">{rest}'


def _smaller(found: re.Match[str]) -> str:
    """An image of the SVG in 256 colours, a quarter of its bytes, if it is large."""
    from PIL import Image

    data = base64.b64decode(found[1])
    if len(data) > MOST_BYTES // 4:
        out = io.BytesIO()
        few = Image.open(io.BytesIO(data)).quantize(256, Image.Quantize.FASTOCTREE)
        few.save(out, format="png", optimize=True)
        data = min(data, out.getvalue(), key=len)
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def anchor(name: str) -> str:
    """A name as part of an id: letters of ASCII, digits and dashes; different names differ."""
    return "".join(c if c.isascii() and c.isalnum() else f"-{ord(c):x}-" for c in name)
