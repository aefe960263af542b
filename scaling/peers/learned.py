"""Crystals under machine-learned potentials: problems that differ in crystal and model only."""

from collections.abc import Mapping

from scaling.peers.base import Problem, Tolerance
from scaling.peers.sizes import Cells

SCRIPT = """\
# {title}

variable        cells index {cells}
variable        steps index 100
{crystal}
velocity        all create 600.0 376847 loop geom

neighbor        0.5 bin
neigh_modify    delay 0 every 1 check yes

fix             1 all nve
timestep        0.001
thermo          50
run             ${{steps}}
"""


def learned(name: str, title: str, crystal: str, style: str, file: str, box: Cells, cells: int,
            reduced: float, pressure: float, goals: tuple[float, float],
            goals_mixed: tuple[float, float] | None = None, settings: tuple[str, ...] = (),
            variants: Mapping[str, tuple[str, ...]] | None = None) -> Problem:
    """A crystal at 600 K, NVE, steps of 1 fs.

    Parameters
    ----------
    name, title, goals, goals_mixed, settings, variants : of the problem
    crystal : the part of the script with units, atoms, masses and the pair style
    style, file : its pair style and the file of the model
    box, cells : its sizes, and how many cells each way by default
    reduced : tolerance in lower precision
    pressure : standard deviation times sqrt(atoms), bar
    """
    return Problem(
        name=name,
        title=title,
        script=SCRIPT.format(title=title, cells=cells, crystal=crystal),
        atoms=box.atoms * cells**3,
        steps=100,
        variables=box.variables,
        fixed_builds=False,
        tolerance=Tolerance(
            exact_steps=100,
            reduced=reduced,
            conserved=5e-5,
            fluctuation={"temp": 500.0, "epair": 0.065, "press": pressure},
            extensive=True,
        ),
        styles=(style,),
        files=(file,),
        variants=variants or {},
        goals=goals,
        goals_mixed=goals_mixed,
        settings=settings,
    )
