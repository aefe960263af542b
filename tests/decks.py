"""The deck that many tests start from: a Lennard-Jones melt in lj units."""

from __future__ import annotations


def melt(cells: int = 4, run: str = "steps = 20", seed: int | None = None, more: str = "") -> str:
    """TOML of a melt of 4 cells^3 atoms.

    Parameters
    ----------
    cells : of the fcc lattice, each way
    run : lines of its table `run`
    seed : of the velocities; None: the default
    more : tables behind
    """
    return f"""
units = "lj"
[system]
lattice = "fcc"
density = 0.8442
cells = [{cells}, {cells}, {cells}]
temperature = 1.44
{"" if seed is None else f"seed = {seed}"}
[potential]
style = "lj/cut"
epsilon = 1.0
sigma = 1.0
rc = 2.5
[run]
{run}
{more}
"""
