"""Copper under a Deep Potential, by its table or by its networks."""

from scaling.peers.base import Problem
from scaling.peers.learned import learned
from scaling.peers.sizes import Cells

CRYSTAL = """variable        model index Cu.dp

units           metal
atom_style      atomic

lattice         fcc 3.615
region          crystal block 0 ${cells} 0 ${cells} 0 ${cells}
create_box      1 crystal
create_atoms    1 box
mass            1 63.546

pair_style      deepmd ${model}
pair_coeff      * * Cu
"""
NETWORKS = ("potential.compress=false",)        # mdapp's setting: no table


def copper(name: str, what: str, settings: tuple[str, ...], goals: tuple[float, float],
           goals_mixed: tuple[float, float] | None = None) -> Problem:
    """The problem of a name; `what` is for people, `settings` are NETWORKS or none."""
    return learned(
        name, f"copper at 600 K, fcc 3.615, Deep Potential (25-50-100, 240-240-240), {what}, NVE",
        CRYSTAL, "deepmd", "Cu.dp",
        Cells(name, 4, "a cube of n x n x n fcc cells", least=4), 6,
        reduced=1e-5, pressure=3e4, goals=goals, goals_mixed=goals_mixed, settings=settings,
        variants={"mdapp": ("double", "mixed")},
    )  # fmt: skip
