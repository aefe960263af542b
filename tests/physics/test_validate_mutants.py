"""The suite tests itself: wrong potentials are caught by the check that is meant for them.

Each of `mutants/` is the sound potential of `mutants/sane.py` with one mistake. It must fail the
checks named here, and pass the others named, which the mistake is none of their business; the sound
one passes all of these checks. So no check can pass whatever it is given.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from mdapp.structures.results import write_results
from mdapp.validate.bench import Bench
from mdapp.validate.registry import CHECKS
from mdapp.validate.runner import Outcome, run_check
from mdapp.validate.subject import read_subject

FOLDER = Path(__file__).parent / "mutants"
NUMBER = {check.number: check for check in CHECKS}
# Mutant: (checks that must fail, checks that must not).
MUTANTS = {
    "half_force": ((2,), (1, 7, 8, 9)),
    "flipped_x": ((2, 7, 14), (8,)),
    "diagonal_virial": ((3,), (2, 9)),
    "no_virial": ((3,), (2,)),
    "short_range": ((5,), (8,)),
    "writes_positions": ((1,), (2,)),
    "memory_order": ((8,), ()),
    "no_switch": ((15, 16), (7, 8)),
    "kink": ((16,), (2, 9)),
    "absolute": ((6, 7), (8,)),
    "nan_when_close": ((17,), (8,)),
    "raises_on_second": ((1,), ()),
    "wrong_shape": ((1, 2), ()),
    "single_inside": ((1,), (8,)),
    "remembers": ((12,), ()),
    "double_count": ((9,), (7,)),
    "noise": ((8, 10), (2,)),
    "not_conservative": ((2,), (7, 8)),
    "counts_calls": ((10, 12), ()),
    "other_without_energy": ((13,), (8,)),
    "by_count": ((6, 18), (7, 8)),
    "chiral": ((7,), (8,)),
    "no_wall": ((17,), (2, 16)),
    "softened": ((24, 25), (1, 3, 6, 7, 8)),
    "coarse_mixed": ((26,), (8,)),
}
SOUND = (1, 2, 3, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 17, 18, 24, 25)


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory):
    """`ask(mutant, number)` runs one check, on one rank."""
    folder = tmp_path_factory.mktemp("mutants")
    references = tuple(folder / name for name in ("code.extxyz", "labels.extxyz"))

    @cache
    def bench(name: str) -> Bench:
        kind = "Sane" if name == "sane" else "Mutant"
        place = folder / name
        place.mkdir()
        subject = read_subject(f"python:{FOLDER / name}.py:{kind}", species=("Ar", "Kr"))
        return Bench(subject, folder=place, ranks=(1,), references=references, patience=2.0)

    sound = bench("sane")
    s = sound.bulk("mixed")
    point = sound.evaluate(s)
    noise = 0.01 * np.sin(np.arange(3.0 * len(s.x))).reshape(-1, 3)
    for path, code in zip(references, (' code="by hand"', ""), strict=True):
        write_results(path, s.box, s.elements, s.id, s.x, point.energy + (0 if code else 0.01),
                      np.zeros(len(s.x)),
                      point.forces + (0 if code else noise), -point.virial / s.box.volume)
        head, comment, atoms = path.read_text().split("\n", 2)
        path.write_text(f"{head}\n{comment}{code}\n{atoms}")
    return cache(lambda name, number: run_check(bench(name), NUMBER[number], "double"))


@pytest.mark.parametrize("number", SOUND)
def test_the_sound_potential_passes(ask, number: int) -> None:
    outcome: Outcome = ask("sane", number)
    assert outcome.status in ("PASS", "NOT_RESOLVED"), outcome.message


def test_a_sound_mixed_precision_passes(ask) -> None:
    assert ask("fine_mixed", 26).status == "PASS", ask("fine_mixed", 26).message


@pytest.mark.parametrize(
    ("mutant", "number"), [(m, n) for m, (bad, _) in MUTANTS.items() for n in bad]
)
def test_a_mutant_is_caught(ask, mutant: str, number: int) -> None:
    outcome: Outcome = ask(mutant, number)
    assert outcome.status == "FAIL", f"{outcome.status}: {outcome.finding.measures}"
    assert outcome.message


@pytest.mark.parametrize(
    ("mutant", "number"), [(m, n) for m, (_, good) in MUTANTS.items() for n in good]
)
def test_by_the_check_that_is_meant_for_it(ask, mutant: str, number: int) -> None:
    outcome: Outcome = ask(mutant, number)
    assert outcome.status in ("PASS", "NOT_RESOLVED"), outcome.message


def test_every_check_kills_a_mutant() -> None:
    killers = {number for bad, _ in MUTANTS.values() for number in bad}
    killers |= {4, 11}                                   # tests/mpi/test_validate_ranks.py
    assert killers == {check.number for check in CHECKS if check.function}
