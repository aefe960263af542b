"""NEP files: a few lines of words and numbers, then all parameters, as GPUMD and MatPL write them.

Nothing marks where one array ends and the next begins, so that a number too many or too few shifts
all that follows and gives plausible nonsense. The count decides: it must be the one that the head
announces. It decides more than that. MatPL has written files with the tag of version 4 whose
elements have biases of their own in place of the common one; they hold T - 1 numbers more, and
that is how they are known.

    nep4_zbl 2 O Hf                     version, ZBL or not, elements
    zbl 0.75 1.5                        radii of the switch; a third number: a factor; 0 0: rows
    cutoff 8 4 250 44                   radial, angular, and neighbours seen in training
    n_max 4 4
    basis_size 12 12
    l_max 4 2 0                         degree, then flags of FLAGS: not 0 is yes
    ANN 30 0
    numbers: networks, radial and angular coefficients, scaler, rows of flexible ZBL

Z. Fan et al. 2021, doi 10.1103/PhysRevB.104.104309; Z. Fan et al. 2022, doi 10.1063/5.0106617;
K. Song et al. 2024, doi 10.1038/s41467-024-54554-x.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from potentials.files import FileError, Reader
from potentials.nep.elements import ATOMIC_NUMBER, RADII
from potentials.nep.model import FLAGS, LARGEST_L, LEAST_L, NEPModel, ZBLSection, dimension

MOST = 1000               # functions, and a hundred times as many neurons: no file has as many
MOST_SEEN = 10**9
_TAG = re.compile(r"nep([345])(_zbl)?")
REFUSED = (
    (r"nep(_zbl|_dipole|_polarizability)?", "NEP2 files are not supported; mdapp reads nep3, nep4 "
                                            "and nep5"),
    (r"nep\d(_zbl)?_(dipole|polarizability)", "is not a potential energy model"),
    (r"nep\d(_zbl)?_temperature", "temperature-dependent models are not supported"),
    (r"nep\d(_zbl)?_charge\d*(_vdw)?", "a model with charges needs the reciprocal space, which "
                                       "mdapp's NEP does not have"),
    (r"nep\d(_zbl)?_vdw", "models with dispersion are not supported"),
)


@dataclass(frozen=True)
class Head:
    """The head of a file; see NEPModel and ZBLSection."""

    version: int
    elements: tuple[str, ...]
    zbl: ZBLSection | None
    radial_cutoff: NDArray[np.float64]
    angular_cutoff: NDArray[np.float64]
    seen: tuple[int, int] | None
    n_max: tuple[int, int]
    basis_size: tuple[int, int]
    l_max: int
    flags: tuple[bool, ...]
    neurons: int

    @property
    def dim(self) -> int:
        """Components of the descriptor."""
        return dimension(self.n_max, self.l_max, self.flags)

    @property
    def flexible(self) -> bool:
        """Whether rows of ZBL stand at the end."""
        return self.zbl is not None and self.zbl.inner == self.zbl.outer == 0.0

    def counts(self) -> dict[str, int]:
        """How many numbers follow, by what they are."""
        t, network = len(self.elements), (self.dim + 2) * self.neurons
        networks = {3: network + 1, 4: t * network + 1, 5: t * (network + 1) + 1}[self.version]
        functions = sum((n + 1) * (k + 1) for n, k in zip(self.n_max, self.basis_size, strict=True))
        rows = {"ZBL": 5 * t * (t + 1)} if self.flexible else {}
        return {"networks": networks, "coefficients": t * t * functions, "scaler": self.dim, **rows}


def read_nep(path: Path) -> NEPModel:
    """Read a file.

    Raises
    ------
    FileError : names the file, and the line or the counts
    """
    reader = Reader(path, comment=None)
    head = _read_head(reader)
    numbers = np.array([reader.number(word, "a parameter")
                        for words in iter(reader.next_line, []) for word in words])
    counts = head.counts()
    expected, t = sum(counts.values()), len(head.elements)
    matpl = head.version == 4 and t > 1 and len(numbers) == expected + t - 1
    if len(numbers) != expected and not matpl:
        parts = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise FileError(f"{path}: expected {expected} numbers after the head ({parts}), found "
                        f"{len(numbers)}; {t} elements, n_max {head.n_max[0]} {head.n_max[1]}, "
                        f"basis_size {head.basis_size[0]} {head.basis_size[1]}, "
                        f"{head.neurons} neurons, {head.dim} components of the descriptor")
    return _model(path, head, _Numbers(numbers), matpl)


def _read_head(reader: Reader) -> Head:
    words = reader.line("the tag and the elements")
    version, has_zbl = _tag(reader, words[0])
    elements = _elements(reader, words)
    zbl = _zbl(reader, elements) if has_zbl else None
    cutoffs, seen = _cutoffs(reader, len(elements))
    n_max = _two(reader, "n_max")
    basis = _two(reader, "basis_size")
    l_max, flags = _angular(reader)
    words = _line(reader, "ANN", (2,))
    neurons = reader.count(words[0], "the number of neurons", 1, 100 * MOST)
    if reader.count(words[1], "the last number of the line", 0, MOST) != 0:
        raise reader.error("ANN: a second hidden layer is not supported; its size must be 0")
    return Head(version, elements, zbl, *cutoffs, seen, n_max, basis, l_max, flags, neurons)


def _line(reader: Reader, keyword: str, counts: tuple[int, ...]) -> list[str]:
    """The words after a keyword, as many as one of `counts`."""
    words = reader.line(keyword)
    if words[0] != keyword:
        raise reader.error(f"{words[0][:40]!r}: the line of {keyword} is expected here")
    if len(words) - 1 not in counts:
        allowed = " or ".join(map(str, counts))
        raise reader.error(f"{keyword} needs {allowed} numbers, not {len(words) - 1}")
    return words[1:]


def _tag(reader: Reader, tag: str) -> tuple[int, bool]:
    match = _TAG.fullmatch(tag)
    if match:
        return int(match[1]), match[2] is not None
    for pattern, reason in REFUSED:
        if re.fullmatch(pattern, tag):
            raise reader.error(f"{tag[:40]}: {reason}")
    raise reader.error(f"{tag[:40]!r}: unknown tag; mdapp reads nep3, nep4, nep5, each with _zbl "
                       "or without")


def _elements(reader: Reader, words: list[str]) -> tuple[str, ...]:
    if len(words) < 2:
        raise reader.error(f"{words[0]}: needs the number of elements and their symbols")
    count = reader.count(words[1], "the number of elements", 1, len(ATOMIC_NUMBER))
    names = words[2:]
    if len(names) != count:
        raise reader.error(f"{count} elements are announced, {len(names)} are named")
    for k, name in enumerate(names):
        if name not in ATOMIC_NUMBER:
            raise reader.error(f"{name[:40]!r}: no element's symbol")
        if name in names[:k]:
            raise reader.error(f"the element {name} has been named already")
    return tuple(names)


def _zbl(reader: Reader, elements: tuple[str, ...]) -> ZBLSection:
    words = _line(reader, "zbl", (2, 3))
    inner, outer = (reader.number(word, "zbl") for word in words[:2])
    if not 0 <= inner <= outer:
        raise reader.error(f"zbl {words[0]} {words[1]}: the inner radius must be at least 0 and "
                           "not greater than the outer one")
    if outer == 0 and len(words) == 2:
        return ZBLSection(0.0, 0.0)
    reader.positive(words[1], "the outer radius of zbl")
    if len(words) == 2:
        return ZBLSection(inner, outer)
    for name in elements:
        if ATOMIC_NUMBER[name] > len(RADII):
            raise reader.error(f"zbl with a factor: there is no radius of {name}")
    return ZBLSection(inner, outer, reader.positive(words[2], "the factor of zbl"))


def _cutoffs(reader: Reader, t: int
             ) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]], tuple[int, int] | None]:
    words = reader.line("cutoff")
    if words[0] == "cutoff" and len(words) == 8:
        raise reader.error("cutoff with seven numbers: cutoffs by radii of elements are not "
                           "supported; give a pair of cutoffs for each element instead")
    if words[0] != "cutoff" or len(words) not in (3, 5, 2 * t + 3):
        raise reader.error("cutoff: needs the radial and the angular cutoff, of all elements or of "
                           "each, and two numbers of neighbours")
    per = words[1:] if len(words) == 3 else words[1:-2]
    seen = None
    if len(words) > 3:
        first, second = (reader.count(word, "a number of neighbours", 0, MOST_SEEN)
                         for word in words[-2:])
        seen = first, second
    values = np.array([reader.positive(word, "a cutoff") for word in per]).reshape(-1, 2)
    for radial, angular in values:
        if angular > radial:
            raise reader.error(f"the angular cutoff {angular:g} is greater than the radial one, "
                               f"{radial:g}")
    values = np.broadcast_to(values, (t, 2))
    return (values[:, 0].copy(), values[:, 1].copy()), seen


def _two(reader: Reader, keyword: str) -> tuple[int, int]:
    first, second = (reader.count(word, keyword, 0, MOST)
                     for word in _line(reader, keyword, (2,)))
    return first, second


def _angular(reader: Reader) -> tuple[int, tuple[bool, ...]]:
    words = _line(reader, "l_max", tuple(range(1, 2 + len(FLAGS))))
    l_max = reader.count(words[0], "l_max", 0, LARGEST_L)
    given = [reader.count(word, "a flag of l_max", 0, MOST) != 0 for word in words[1:]]
    flags = tuple(given + [False] * (len(FLAGS) - len(given)))
    for name, on, least in zip(FLAGS, flags, LEAST_L, strict=True):
        if on and l_max < least:
            raise reader.error(f"l_max: the component {name} needs a degree of {least} at least, "
                               f"not {l_max}")
    return l_max, flags


class _Numbers:
    """Numbers to be taken one array after another."""

    def __init__(self, numbers: NDArray[np.float64]):
        self.numbers, self.at = numbers, 0

    def take(self, *shape: int) -> NDArray[np.float64]:
        """The next array."""
        begin = self.at
        self.at += math.prod(shape)
        return self.numbers[begin:self.at].reshape(shape).copy()


def _model(path: Path, head: Head, numbers: _Numbers, matpl: bool) -> NEPModel:
    t, m = len(head.elements), head.neurons
    networks, own = [], []
    for _ in range(1 if head.version == 3 else t):
        networks.append((numbers.take(m, head.dim), numbers.take(m), numbers.take(m)))
        if head.version == 5:
            own.append(numbers.take(1))
    if matpl:
        own = [numbers.take(t)]
    bias = 0.0 if matpl else float(numbers.take(1)[0])
    c_radial, c_angular = (numbers.take(n + 1, k + 1, t, t)
                           for n, k in zip(head.n_max, head.basis_size, strict=True))
    scaler = numbers.take(head.dim)
    zbl = head.zbl
    if head.flexible:
        zbl = ZBLSection(0.0, 0.0, None, _checked_rows(path, numbers.take(t * (t + 1) // 2, 10)))
    w0, b0, w1 = (np.stack(arrays) for arrays in zip(*networks, strict=True))
    return NEPModel(head.version, head.elements, head.radial_cutoff, head.angular_cutoff,
                    head.n_max, head.basis_size, head.l_max, head.flags, w0, b0, w1, bias,
                    np.concatenate(own) if own else None, c_radial, c_angular, scaler, zbl,
                    head.seen)


def _checked_rows(path: Path, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    for k, (inner, outer) in enumerate(rows[:, :2], 1):
        if not 0 <= inner <= outer:
            raise FileError(f"{path}: pair {k} of ZBL has the radii {inner:g} {outer:g}: the inner "
                            "one must be at least 0 and not greater than the outer one")
    return rows
