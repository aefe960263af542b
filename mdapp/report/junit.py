"""Checks as JUnit XML, which the test panes of continuous integration show.

    FAIL that counts -> failure        SKIP, XFAIL, NOT_RESOLVED -> skipped        NA -> error
    the others pass; what a WARN, an XPASS or a FAIL that does not count has to say is its output

There is no standard of this format; elements and attributes are those that Jenkins and GitLab read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree as ET

from mdapp.report.document import Check, Report
from mdapp.report.plain import clean, shown
from mdapp.report.text import measure

SKIPPED = ("SKIP", "XFAIL", "NOT_RESOLVED")


def junit_text(report: Report) -> str:
    """One test suite with a test case a check."""
    checks = report.checks()
    counts = {
        "tests": len(checks),
        "failures": sum(c.status == "FAIL" and c.fails for c in checks),
        "errors": sum(c.status == "NA" for c in checks),
        "skipped": sum(c.status in SKIPPED for c in checks),
    }
    totals = {**{key: str(n) for key, n in counts.items()},
              "time": f"{sum(c.seconds for c in checks):.3f}"}  # fmt: skip
    suites = ET.Element("testsuites", totals)
    suite = ET.SubElement(suites, "testsuite",
                          {"name": clean(report.suite or report.schema), **totals})  # fmt: skip
    properties = ET.SubElement(suite, "properties")
    for name, value in (*facts(report.environment), *facts(report.data)):
        ET.SubElement(properties, "property", {"name": clean(name), "value": shown(value)})
    for check in checks:
        suite.append(_case(check, report.schema))
    ET.indent(suites)
    document: bytes = ET.tostring(suites, encoding="utf-8", xml_declaration=True)
    return document.decode() + "\n"


def facts(values: Mapping[str, Any], prefix: str = "", depth: int = 2) -> Iterator[tuple[str, Any]]:
    """Plain values by dotted names, nested at most twice; lists are left to the JSON."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            if depth > 1:
                yield from facts(value, f"{prefix}{key}.", depth - 1)
        elif isinstance(value, (str, int, float)):
            yield f"{prefix}{key}", value


def _case(check: Check, schema: str) -> ET.Element:
    case = ET.Element("testcase", {
        "classname": clean(f"{schema}.{check.category}".rstrip(".")),
        "name": clean(check.name), "time": f"{check.seconds:.3f}"})  # fmt: skip
    said = "\n".join(clean(line) for line in (check.message, *check.details) if line)
    if check.status == "FAIL" and check.fails:
        message = measure(check).replace(" / ", " against ") or clean(check.message)
        ET.SubElement(case, "failure", {"message": message}).text = said
    elif check.status in SKIPPED:
        ET.SubElement(case, "skipped", {"message": f"{check.status}: {said}"})
    elif check.status == "NA":
        ET.SubElement(case, "error", {"message": clean(check.message)}).text = said
    elif check.status != "PASS":
        ET.SubElement(case, "system-out").text = f"{check.status}: {said}"
    return case
