"""Runs checks one after the other and makes a status of what they find.

- PASS: all measures are good
- WARN: one is between its threshold and the limit beyond which it fails
- FAIL: one is bad, or the potential raised, hung, died, or returned nonsense
- XFAIL, XPASS: a declared failure, which happened or did not
- NOT_RESOLVED: good, but the measurement could not have seen a bad value
- SKIP: could not be asked, with the reason
- NA: the check itself broke: a defect of the suite
"""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, field
from typing import Any

from mdapp.errors import InputError
from mdapp.report.document import Status
from mdapp.validate.bench import Bench
from mdapp.validate.measure import Fault, Finding, Measure, Worst, decisive, digits_lost, letter
from mdapp.validate.registry import CheckSpec
from mdapp.validate.subject import Known, Subject

FINE = ("PASS", "WARN", "XFAIL", "XPASS", "NOT_RESOLVED", "SKIP")


@dataclass
class Outcome:
    """A check that has been run in one precision.

    Attributes
    ----------
    spec, precision, category : which
    status, grade, message : the verdict
    finding : measures, curves, the worst structure
    known : the declaration that an expected failure is of
    """

    spec: CheckSpec
    precision: str
    category: str
    status: Status
    finding: Finding = field(default_factory=Finding)
    message: str = ""
    seconds: float = 0.0
    seed: int = 0
    known: Known | None = None
    worst_file: str = ""

    @property
    def name(self) -> str:
        """Such as `02 forces_fd [double]`."""
        return self.spec.name(self.precision)

    @property
    def fails(self) -> bool:
        """Whether it makes the whole fail."""
        return self.status == "FAIL" and self.category != "informational"

    @property
    def decisive(self) -> Measure | None:
        """The measure that decided."""
        return decisive(self.finding.measures)

    @property
    def error(self) -> float | None:
        """The worst relative error, which the letter is of."""
        errors = [m.value for m in self.finding.measures if m.relative and m.value is not None]
        return max(errors) if errors else None

    @property
    def grade(self) -> str:
        """A letter, P or F; nothing where nothing was measured."""
        if self.status in ("SKIP", "NA") or not self.finding.measures:
            return "F" if self.status == "FAIL" else ""
        if self.error is not None:
            return letter(self.error)
        return "F" if self.status in ("FAIL", "XFAIL") else "P"

    @property
    def digits_lost(self) -> float | None:
        """Of the arithmetic's digits, how many the worst relative error is worth."""
        return None if self.error is None else digits_lost(self.error, self.precision)


def run_check(bench: Bench, spec: CheckSpec, precision: str) -> Outcome:
    """Run one check; whatever happens becomes an outcome."""
    subject = bench.subject
    category = category_of(spec, subject)
    began = time.perf_counter()

    def outcome(status: Status, finding: Finding | None = None, message: str = "",
                known: Known | None = None) -> Outcome:
        finding = finding or Finding()
        return Outcome(spec, precision, category, status, finding, message or finding.message,
                       time.perf_counter() - began, bench.seed, known)

    reason = why_not(spec, subject, precision)
    if reason:
        return outcome("SKIP", message=reason)
    try:
        finding = spec.load()(bench, precision)
    except Fault as fault:
        worst = None if fault.structure is None else Worst(fault.structure, what=str(fault))
        return judged(outcome, spec, subject, Finding(message=str(fault), worst=worst), True)
    except InputError as error:            # what the engine refuses, it says in one line
        return outcome("FAIL", message=f"refused: {str(error).splitlines()[0]}")
    except Exception as error:
        text = "".join(traceback.format_exception(error)).strip()
        return outcome("NA", Finding(data={"traceback": text}),
                       f"the check broke: {type(error).__name__}: {error}")
    return judged(outcome, spec, subject, finding, False)


def judged(outcome: Any, spec: CheckSpec, subject: Subject, finding: Finding, fault: bool
           ) -> Outcome:
    """The status of a finding, its expected failures considered."""
    if finding.skipped:
        found: Outcome = outcome("SKIP", finding, finding.skipped)
        return found
    bad = [m for m in finding.measures if m.ok is False]
    warned = [m for m in bad if m.warn is not None and m.value is not None and m.value <= m.warn]
    known = subject.expected(spec.key)
    if fault or len(bad) > len(warned):
        excused = [] if fault else [k for k in known if within(bad, k)]
        if excused:
            done: Outcome = outcome("XFAIL", finding, f"as declared: {excused[0].reason}",
                                    excused[0])
        else:
            done = outcome("FAIL", finding, finding.message or "; ".join(map(str, bad)))
        return done
    firm = [k for k in known if k.firm]
    if firm:
        passed: Outcome = outcome("XPASS", finding, "passes, though it is declared to fail "
                                  f"({firm[0].reason}): take the declaration out", firm[0])
        return passed
    if finding.unresolved:
        open_: Outcome = outcome("NOT_RESOLVED", finding, finding.unresolved)
        return open_
    fine: Outcome = outcome("WARN" if warned else "PASS", finding)
    return fine


def within(bad: list[Measure], known: Known) -> bool:
    """Whether bad values are no worse than declared."""
    if known.max is None:
        return True
    return all(m.value is not None and abs(m.value) <= known.max for m in bad)


def category_of(spec: CheckSpec, subject: Subject) -> str:
    """Its category for this potential."""
    if spec.key == "symmetry" and subject.external_field:
        return "informational"
    if spec.key == "extensive" and not subject.local:
        return "informational"
    return spec.learned if spec.learned and subject.learned else spec.category


def why_not(spec: CheckSpec, subject: Subject, precision: str) -> str:
    """Why a check is not run; empty if it is."""
    if not spec.function:
        return "not there yet"
    if precision not in subject.potential.precisions:
        return f"the potential has {', '.join(subject.potential.precisions)}"
    if spec.double and precision != "double":
        return "about double precision alone"
    if subject.serial and not spec.serial:
        return subject.serial
    return ""
