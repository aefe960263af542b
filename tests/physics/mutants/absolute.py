"""Atoms are held at the origin by weak springs: a coordinate where a difference belongs."""

from tests.physics.mutants.sane import Sane


class Mutant(Sane):
    def shares(self, x, type_, nlocal):
        energies, forces, virials = super().shares(x, type_, nlocal)
        own = x[:nlocal]
        return energies + 5e-7 * (own**2).sum(-1), forces - 1e-6 * own, virials
