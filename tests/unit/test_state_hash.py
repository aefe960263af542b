"""The hash of the state, written again with Python's integers, and what changes it."""

import struct

import numpy as np
import pytest
from mpi4py import MPI

from mdapp.model.atoms import PER_ATOM, Atoms
from mdapp.model.state_hash import state_hash
from tests.unit.test_halo import atoms_of

MASK = 2**64 - 1


def mix(h: int) -> int:
    """SplitMix64's finaliser."""
    h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    h = (h ^ (h >> 27)) * 0x94D049BB133111EB & MASK
    return h ^ (h >> 31)


def twin(atoms: Atoms) -> str:
    h1 = h2 = 0
    for i in range(atoms.nlocal):
        image = [int(k) for k in atoms.image[i]]
        record = struct.pack(
            "<q6d4i", int(atoms.id[i]), *atoms.x[i], *atoms.v[i], int(atoms.type[i]), *image
        )
        h = 0x9E3779B97F4A7C15
        for (word,) in struct.iter_unpack("<Q", record):
            h = mix(h ^ word)
        h1, h2 = (h1 + h) & MASK, (h2 + mix(h ^ 0xD1B54A32D192ED03)) & MASK
    return f"{h1:016x}{h2:016x}"


def some_atoms(n: int = 40, seed: int = 0) -> Atoms:
    rng = np.random.default_rng(seed)
    atoms = atoms_of(rng.normal(size=(n, 3)))
    atoms.v[:n], atoms.image[:n] = rng.normal(size=(n, 3)), rng.integers(-5, 5, (n, 3))
    return atoms


def test_the_definition() -> None:
    """Words of an atom: id, x, v, type and image, 64 bits each, the last four in pairs."""
    for n in (0, 1, 40):
        assert state_hash(some_atoms(n), MPI.COMM_SELF) == twin(some_atoms(n))
    assert state_hash(some_atoms(0), MPI.COMM_SELF) == "0" * 32


def test_order_and_ghosts_do_not_matter() -> None:
    atoms = some_atoms()
    reference = state_hash(atoms, MPI.COMM_SELF)
    order = np.random.default_rng(1).permutation(40)
    for name in PER_ATOM:
        array = getattr(atoms, name)
        array[:40] = array[:40][order]
    atoms.nghost = 3
    assert state_hash(atoms, MPI.COMM_SELF) == reference


@pytest.mark.parametrize("name", PER_ATOM)
def test_any_bit_matters(name: str) -> None:
    reference = state_hash(some_atoms(), MPI.COMM_SELF)
    bits = getattr(some_atoms(), name).dtype.itemsize * 8
    for bit in range(0, bits, 5):
        atoms = some_atoms()
        flat = getattr(atoms, name).reshape(-1).view(f"u{bits // 8}")
        flat[7] ^= np.asarray(1 << bit, flat.dtype)
        assert state_hash(atoms, MPI.COMM_SELF) != reference, bit


def test_swaps_and_losses_matter() -> None:
    reference = state_hash(some_atoms(), MPI.COMM_SELF)
    atoms = some_atoms()
    atoms.x[[3, 4]] = atoms.x[[4, 3]]
    assert state_hash(atoms, MPI.COMM_SELF) != reference
    atoms = some_atoms()
    atoms.nlocal = 39
    assert state_hash(atoms, MPI.COMM_SELF) != reference
    doubled = some_atoms()
    for name in PER_ATOM:
        getattr(doubled, name)[39] = getattr(doubled, name)[38]
    assert state_hash(doubled, MPI.COMM_SELF) != reference
    positive = some_atoms(1)
    negative = some_atoms(1)
    positive.v[0], negative.v[0] = 0.0, -0.0
    assert state_hash(positive, MPI.COMM_SELF) != state_hash(negative, MPI.COMM_SELF), (
        "bits, not values"
    )
