"""Energies are normalised by the number of atoms there are."""

from tests.physics.mutants.sane import Sane


class Mutant(Sane):
    def shares(self, x, type_, nlocal):
        energies, forces, virials = super().shares(x, type_, nlocal)
        part = 1 + 1e-3 / max(nlocal, 1)
        return energies * part, forces * part, virials * part
