"""The silicon crystal that two potentials are measured on: LAMMPS's `bench/POTENTIALS`."""

from scaling.peers.base import Problem, Tolerance
from scaling.peers.sizes import Cells

SCRIPT = """\
# Silicon crystal, STYLE: 32 cells^3 atoms, NVE

variable        cells index 10
variable        steps index 100
variable        long equal 2*${cells}

units           metal
atom_style      atomic

lattice         diamond 5.431
region          crystal block 0 ${long} 0 ${long} 0 ${cells}
create_box      1 crystal
create_atoms    1 box
mass            1 28.06

pair_style      STYLE
pair_coeff      * * Si.STYLE Si

velocity        all create 1000.0 376847 loop geom

neighbor        1.0 bin
neigh_modify    delay 5 every 1 check yes

fix             1 all nve
timestep        0.001
thermo          50
run             ${steps}
"""


def silicon(style: str, name: str, fluctuation: dict[str, float]) -> Problem:
    """The problem of a style, which is its name too; its file is Si.STYLE.

    Parameters
    ----------
    name : of the potential, for people
    fluctuation : standard deviations times sqrt(atoms)
    """
    return Problem(
        name=style,
        title=f"silicon at 1000 K, diamond 5.431, {name} (Si.{style}), NVE",
        script=SCRIPT.replace("STYLE", style),
        atoms=32_000,
        steps=100,
        variables=Cells(style, 32, "a box of 2n x 2n x n diamond cells", least=1).variables,
        fixed_builds=False,
        tolerance=Tolerance(
            exact_steps=100,
            reduced=2e-5,
            conserved=5e-5,
            fluctuation=fluctuation,
            extensive=True,
        ),
        files=(f"Si.{style}",),
        styles=(style,),
        variants={"lammps": ("plain", "omp")},
        goals=(1.2, 2.0),
    )
