"""One report in all its forms: nothing is lost, broken or different in one of them."""

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from mdapp.report import figures
from mdapp.report.csv_file import csv_name, csv_text
from mdapp.report.document import Check, Column, Note, Plot, Report, Section, Table
from mdapp.report.junit import junit_text
from mdapp.report.page import page
from mdapp.report.plain import as_json, json_text, shown
from mdapp.report.text import text
from mdapp.report.write import write, write_text

NASTY = "Grüße <b>&amp; \"x\", 'y'</script>"
ROWS = [
    {"name": NASTY, "value": 0.1 + 0.2, "n": 123_456_789, "ok": True},
    {"name": "x" * 300, "value": math.nan, "n": np.int64(2), "ok": np.bool_(False)},
    {"name": "two\nlines \x1b[31m\udc80", "value": -math.inf, "beside": [1, 2]},
]
COLUMNS = [Column("name"), Column("value", "Wert", "eV/Å", ".3g"), Column("n"), Column("ok")]
CHECKS = [
    Check("01 good", "PASS", "mandatory", value=1e-9, threshold=1e-7, unit="eV", grade="A"),
    Check("02 bad", "FAIL", "mandatory", value=2e-5, threshold=1e-7, unit="eV/Å", seconds=1.5,
          message=NASTY, details=["worst/02.extxyz"]),
    Check("03 told", "FAIL", "informational", fails=False, message="only told"),
    *(Check(f"04 {status}", status, "informational", message="why")
      for status in ("WARN", "XFAIL", "XPASS", "SKIP", "NOT_RESOLVED", "NA")),
]  # fmt: skip


def draw(axes):
    axes.plot([1.0, 2.0, 4.0], [1e-3, 1e-5, 1e-4], label="curve")
    axes.set(xlabel="h, Å", ylabel="ΔF, eV/Å", yscale="log")
    axes.legend()


REPORT = Report(
    "mdapp.test", 3, f"Títle {NASTY}", ["All of it.", "In two lines."],
    [Section("Numbers", [Table("a b/ü", COLUMNS, ROWS, "Caption."), Table("none", COLUMNS, []),
                         Plot("curve", draw, f"Seen. {NASTY}", "a b/ü"),
                         Note("Only two rounds.", "warning"), Note("By the way.")], "Words."),
     Section("Verdicts", CHECKS)],
    {"cpu": "EPYC", "packages": {"numpy": "2"}}, {"own": {"x": math.nan}, "ranks": 2},
)  # fmt: skip


def test_json_keeps_every_digit_and_has_no_nan() -> None:
    back = json.loads(json_text(REPORT), parse_constant=lambda name: pytest.fail(name))
    assert list(back)[:5] == ["schema", "version", "title", "summary", "environment"]
    assert back["own"] == {"x": None} and back["ranks"] == 2
    rows = back["tables"]["a b/ü"]
    assert rows[0] == ROWS[0] and rows[0]["value"] == 0.1 + 0.2
    assert rows[1]["value"] is None and rows[1]["n"] == 2 and rows[1]["ok"] is False
    assert rows[2] | {"name": ""} == {"name": "", "value": None, "beside": [1, 2]}
    assert [c["status"] for c in back["checks"]] == [c.status for c in CHECKS]
    assert back["checks"][1]["threshold"] == 1e-7


def test_csv_can_be_read_back() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text(REPORT.tables()[0]))))
    assert [*rows[0]] == ["name", "value", "n", "ok", "beside"]
    assert rows[0]["name"] == NASTY and float(rows[0]["value"]) == 0.1 + 0.2
    assert rows[1]["name"] == "x" * 300 and rows[1]["value"] == "" and rows[1]["ok"] == "False"
    assert rows[2]["name"].startswith("two\nlines") and json.loads(rows[2]["beside"]) == [1, 2]
    assert csv_name(Table("../a b/ü", [], [])) == "_a_b_ü.csv"


def test_text_has_summary_and_warnings_first_and_every_value() -> None:
    lines = text(REPORT).splitlines()
    assert lines[2] == "All of it." and lines[5] == "warning: Only two rounds."
    assert lines[4] == ("checks: 2 FAIL, 1 NA, 1 XPASS, 1 WARN, 1 NOT_RESOLVED, 1 XFAIL, 1 SKIP, "
                        "1 PASS")  # fmt: skip
    whole = "\n".join(lines)
    assert "Wert, eV/Å" in whole and "0.3 " in whole and "123456789" in whole and "yes" in whole
    assert whole.count("x" * 60) == 5 and "none: no rows" in whole and "\x1b" not in whole
    assert "FAIL 02 bad 2e-05 / 1e-07 eV/Å 1.5 s" in [" ".join(line.split()) for line in lines]
    assert "packages.numpy  2" in lines
    numbers = [line for line in lines if line.rstrip().endswith(("123456789   yes", "  -"))]
    assert len({len(line) for line in numbers}) == 1, "columns are aligned"


def test_values_as_people_read_them() -> None:
    assert [shown(v, ".3g") for v in (None, "", True, 1234567, 1234.5678, math.nan)] == [
        "-", "-", "yes", "1234567", "1.23e+03", "nan"]  # fmt: skip
    assert shown(3, ".2f") == "3.00" and shown(np.float64(0.25), ".1%") == "25.0%"


def test_junit_counts_what_counts() -> None:
    suite = ET.fromstring(junit_text(replace(REPORT, suite="mdapp.test.gate"))).find("testsuite")
    assert suite is not None
    assert suite.attrib == {"name": "mdapp.test.gate", "tests": "9", "failures": "1",
                            "errors": "1", "skipped": "3", "time": "1.500"}  # fmt: skip
    cases = {case.attrib["name"]: case for case in suite.iter("testcase")}
    inside = {name: [e.tag for e in case] for name, case in cases.items()}
    assert inside == {
        "01 good": [], "02 bad": ["failure"], "03 told": ["system-out"],
        "04 WARN": ["system-out"], "04 XFAIL": ["skipped"], "04 XPASS": ["system-out"],
        "04 SKIP": ["skipped"], "04 NOT_RESOLVED": ["skipped"], "04 NA": ["error"],
    }  # fmt: skip
    failure = cases["02 bad"][0]
    assert failure.attrib["message"] == "2e-05 against 1e-07 eV/Å"
    assert failure.text == f"{NASTY}\nworst/02.extxyz"
    assert cases["02 bad"].attrib["classname"] == "mdapp.test.mandatory"
    facts = {p.attrib["name"]: p.attrib["value"] for p in suite.iter("property")}
    assert facts["packages.numpy"] == "2" and facts["ranks"] == "2"


def test_the_page_holds_the_json_and_asks_for_nothing_else() -> None:
    html = page(REPORT)
    start = html.index('<script type="application/json" id="report">')
    inside = html[html.index("\n", start):html.index("</script>", start)]
    assert json.loads(inside) == json.loads(json_text(REPORT))
    assert "//" not in html[:start] and "url(" not in html.replace("url(#", "")
    assert html.count("</script>") == 1 and "<b>" not in html
    assert "#0072b2" not in html[html.index("<svg"):html.index("</svg>")]


def test_a_table_too_long_for_a_page_says_so() -> None:
    long = Table("long", [Column("k")], [{"k": k} for k in range(1500)])
    report = Report("mdapp.test", 1, "T", [], [Section("S", [long])])
    html = page(report)
    assert ">499<" in html and ">500<" not in html and ">1000<" in html and ">1499<" in html
    assert "500 rows are left out" in html
    assert len(as_json(report)["tables"]["long"]) == 1500


def test_every_file_is_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copies = {"html": tmp_path / "x/p.html", "json": tmp_path / "p.json",
              "junit": tmp_path / "j.xml"}  # fmt: skip
    written = write(REPORT, tmp_path / "out", **copies)
    names = {"report.json", "report.txt", "a_b_ü.csv", "none.csv", "junit.xml", "report.html"}
    assert {p.name for p in (tmp_path / "out").iterdir()} == names
    assert set(written) == {tmp_path / "out" / name for name in names} | {*copies.values()}
    assert (tmp_path / "p.json").read_text() == (tmp_path / "out/report.json").read_text()

    target = write_text(tmp_path / "kept.txt", "before")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("no")))
    with pytest.raises(OSError, match="no"):
        write_text(target, "after")
    assert target.read_text() == "before" and not list(tmp_path.glob(".kept*"))


def test_numbers_are_on_disk_if_a_picture_cannot_be_drawn(tmp_path: Path) -> None:
    def broken(axes):
        raise RuntimeError("picture")

    report = replace(REPORT, sections=[*REPORT.sections, Section("P", [Plot("broken", broken)])])
    with pytest.raises(RuntimeError, match="picture"):
        write(report, tmp_path)
    assert json.loads((tmp_path / "report.json").read_text())["title"] == REPORT.title


@pytest.mark.parametrize(("blocks", "data", "said"), [
    ([Table("t", [], []), Table("t", [], [])], {}, "several tables are called 't'"),
    ([Check("c", "PASS"), Check("c", "FAIL")], {}, "several checks are called 'c'"),
    ([Plot("p", draw, table="t")], {}, "no table 't'"),
    ([], {"tables": 1}, "own key 'tables'"),
])  # fmt: skip
def test_what_would_be_lost_is_refused(blocks, data, said) -> None:
    with pytest.raises(ValueError, match=said):
        json_text(Report("mdapp.test", 1, "T", [], [Section("S", blocks)], {}, data))


def test_a_million_points_are_pixels_between_lines() -> None:
    def cloud(axes):
        axes.scatter(*np.random.default_rng(1).normal(size=(2, 60_000)), s=1, color=figures.BLUE)
        axes.set_xlabel("x")

    drawn = figures.svg(Plot("cloud", cloud))
    assert len(drawn) < 500_000 and drawn.count("<image") == 1 and ">x</text>" in drawn
    few = figures.svg(Plot("curve", draw))
    assert "<image" not in few and "var(--c0)" in few and "var(--ink)" in few


def test_pictures_leave_no_settings_behind() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    assert figures.svg(Plot("curve", draw)) == figures.svg(Plot("curve", draw)), "no chance in it"
    assert figures.png(Plot("curve", draw)).startswith(b"\x89PNG")
    assert dict(matplotlib.rcParams) == before
