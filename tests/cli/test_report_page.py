"""The page of a report, as a browser shows it: all there, in light and dark, on phone and desk."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mdapp.report import figures
from mdapp.report.document import Check, Column, Note, Plot, Report, Section, Table
from mdapp.report.write import write
from tests.cli.chromium import DESKTOP, PHONE, Opened

NASTY = "Grüße <b>&amp;</b></script><script>alert(1)</script>"
STATUSES = ("PASS", "WARN", "FAIL", "XFAIL", "XPASS", "SKIP", "NOT_RESOLVED", "NA")


def curves(axes):
    for k in range(6):
        axes.plot([1, 2, 3], [1 + k, 4 + k, 3 + 2 * k], label=f"series {k}", marker="o")
    axes.axhline(5, color=figures.INK)
    axes.set(xlabel="h, Å", ylabel="ΔF, eV/Å", yscale="log")
    axes.legend()


def cloud(axes):
    x = np.random.default_rng(1).normal(size=(2, 60_000))
    axes.scatter(*x, s=1, color=figures.BLUE)
    axes.set_xlabel("pixels")


WIDE = [{f"k{k}": 10.0**k * math.pi for k in range(20)}]
REPORT = Report("mdapp.test", 1, NASTY, ["All is well."], [
    Section("Numbers", [
        Table("values", [Column("name"), Column("v", "value", "eV/Å")],
              [{"name": NASTY, "v": math.nan}, {"name": "x" * 300, "v": 0.125},
               *({"name": f"row {k}", "v": k / 4} for k in range(40))], "A caption."),
        Table("wide", [Column(f"k{k}") for k in range(20)], WIDE),
        Table("none", [Column("k")], []),
        Plot("curves <1>", curves, f"Curves. {NASTY}", "values"), Plot("cloud", cloud, "A cloud."),
        Note("Only two rounds.", "warning")]),
    Section("Verdicts", [Check(f"{k} {s}", s, "mandatory", value=1e-9, threshold=1e-7, unit="eV",
                               message=f"seen {k}") for k, s in enumerate(STATUSES)]),
], {"cpu": "EPYC", "packages": {"numpy": "2"}})  # fmt: skip


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write(REPORT, folder)
    return folder / "report.html"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_everything_is_seen(path: Path, page: Callable[..., Opened], size, dark) -> None:
    seen = page(path, size, dark)
    assert seen.errors == [] and seen.requests == [] and seen.overflow <= 0
    assert path.stat().st_size < 3_000_000
    for words in (NASTY, "All is well.", "Only two rounds.", "x" * 300, "0.125", "nan", "no rows",
                  "1 NOT_RESOLVED", "packages.numpy", *(f"row {k}" for k in range(40)),
                  *(f"seen {k}" for k in range(8)), "✗ FAIL", "series 5", "ΔF, eV/Å"):  # fmt: skip
        assert words in seen.text, words
    assert seen.text.index("Only two rounds.") < seen.text.index("A caption.")
    assert seen.evaluate("document.querySelectorAll('figure svg').length") == 2
    assert seen.evaluate("document.querySelectorAll('[id]').length") == seen.evaluate(
        "new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size")  # fmt: skip
    assert seen.evaluate("JSON.parse(document.getElementById('report').textContent)"
                         ".tables.values.length") == 42  # fmt: skip

    height, width, _ = seen.image.shape
    assert width == size[0] and height > size[1], "the whole page is in the picture"
    paper = seen.image[2, 2]
    assert (paper.max() < 0.2) if dark else (paper.min() > 0.9)
    for k in range(2):
        left, top, wide, high = seen.evaluate(
            "(e => [e.x, e.y + scrollY, e.width, e.height].map(Math.round))"
            f"(document.querySelectorAll('figure svg')[{k}].getBoundingClientRect())")  # fmt: skip
        assert wide > 0.85 * min(size[0], 500) and high > 0.4 * wide
        part = seen.image[top:top + high, left:left + wide]
        drawn = np.abs(part - paper).max(axis=2) > 0.15
        assert drawn.mean() > 0.02 and drawn.any(axis=1).mean() > 0.7
        colourful = part.max(axis=2) - part.min(axis=2) > 0.3
        assert colourful.mean() > 0.003, "curves and points are drawn in colour"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_words_and_lines_stand_out_from_the_paper(path: Path, page: Callable[..., Opened],
                                                  dark) -> None:
    """Contrast as WCAG 2.1 defines it: 4.5 for words, 3 for lines (one of amber and sky less)."""
    seen = page(path, dark=dark)
    paper = luminance(seen.evaluate("getComputedStyle(document.body).backgroundColor"))

    def contrast(selector: str, kind: str) -> float:
        colour = luminance(seen.evaluate(
            f"getComputedStyle(document.querySelector('{selector}')).{kind}"))  # fmt: skip
        return (max(colour, paper) + 0.05) / (min(colour, paper) + 0.05)

    for status in STATUSES:
        assert contrast(f".{status}", "color") > 4.5, status
    for selector, kind in (("h1", "color"), ("a", "color"), ("figcaption", "color"),
                           ("svg text", "fill")):  # fmt: skip
        assert contrast(selector, kind) > 4.5, selector
    assert contrast('svg [style*="--c0"]', "stroke") > 3


def luminance(colour: str) -> float:
    """Relative luminance of `rgb(r, g, b)`."""
    values = [int(v) / 255 for v in colour[colour.index("(") + 1:-1].split(",")[:3]]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_the_browser_sees_what_is_wrong(tmp_path: Path, page: Callable[..., Opened]) -> None:
    """The fixture itself: an error, a request and a page that is too wide are noticed."""
    bad = tmp_path / "bad.html"
    bad.write_text("<img src='nowhere.png'><div style='width: 2000px'>x</div>"
                   "<script>console.error('no'); undefined_name()</script>")
    seen = page(bad, PHONE)
    assert any("'no'" in said for said in seen.errors)
    assert any("undefined_name" in said for said in seen.errors)
    assert [Path(url).name for url in seen.requests] == ["nowhere.png"] and seen.overflow > 1000
