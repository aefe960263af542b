"""The page of `mdapp stress`, from the command to what a browser shows of it."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mdapp.stress.plan import PHASES
from tests.cli.chromium import DESKTOP, PHONE, Opened

ARGUMENTS = ("--max-bytes", "24MiB", "--files", "40", "--deadline", "0.05", "--min-free", "0")


def command(*more: str) -> list[str]:
    return ["-m", "mdapp", "stress", *more]


@pytest.fixture
def reported(python: Callable, tmp_path: Path) -> Path:
    out = tmp_path / "out"
    end = python(command("smoke", "--dir", str(tmp_path / "d"), "--out", str(out), *ARGUMENTS))
    assert end.code == 0, end.stdout + end.stderr
    assert "GiB in" in end.stdout.splitlines()[0], "the plan comes first"
    return out


def test_the_page_shows_every_phase_and_plot(
    reported: Path, page: Callable[..., Opened], python: Callable, tmp_path: Path
) -> None:
    body = json.loads((reported / "report.json").read_text())
    assert (body["schema"], body["version"]) == ("mdapp.stress", 1)
    names = [p["name"] for p in body["phases"]]
    assert names[:13] == [p for p in PHASES if p != "mark"][:13]
    seen = page(reported / "report.html", DESKTOP, False)
    assert seen.errors == [] and seen.requests == [] and seen.overflow <= 0
    for words in (*names, "IO500-shaped figure", "not an IO500", "pattern and check", "GiB/s"):
        assert words in seen.text or words == "not an IO500", words
    plots = seen.evaluate("document.querySelectorAll('figure svg').length")
    assert plots == 6
    assert seen.text.index("Validity") < seen.text.index("Phases")
    assert seen.image.std() > 0.05
    assert not re.search(r'(src|href)="(?!#|data:)', (reported / "report.html").read_text())

    both = tmp_path / "both"
    of = str(reported), str(reported / "report.json")
    end = python(command("report", *of, "--out", str(both)))
    assert end.code == 0, end.stderr
    again = json.loads((both / "report.json").read_text())
    assert len(again["runs"]) == 2 and "compared" in again["tables"]
    small = page(both / "report.html", PHONE, True)
    assert small.errors == [] and small.overflow <= 0 and "Runs compared" in small.text


@pytest.mark.parametrize(("content", "text"), [
    ("{", "is no JSON"), ("[]", "is no report"), ('{"schema": "mdapp.run"}', "is no report"),
    ('{"schema": "mdapp.stress", "version": 9}', "version 9"),
    ('{"schema": "mdapp.stress", "version": 1}', "lacks"), (None, "No such file"),
])  # fmt: skip
def test_what_is_no_report_is_refused(
    python: Callable, tmp_path: Path, content: str | None, text: str
) -> None:
    path = tmp_path / "report.json"
    if content is not None:
        path.write_text(content)
    end = python(command("report", str(path)))
    assert end.code == 2 and text in end.stderr and "Traceback" not in end.stderr
