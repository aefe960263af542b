"""Domain-decomposed molecular dynamics for scaling studies, new potentials and storage.

`Simulation` is loaded on first use: importing the package must not import numpy, because the
settings in `mdapp.startup` have to be made before that.
"""

from typing import TYPE_CHECKING, Any

from mdapp import startup

if TYPE_CHECKING:
    from mdapp.simulation import Simulation

__version__ = "0.1.0"

__all__ = ["Simulation", "__version__"]

startup.prepare()


def __getattr__(name: str) -> Any:
    if name == "Simulation":
        from mdapp.simulation import Simulation

        return Simulation
    raise AttributeError(f"module 'mdapp' has no attribute {name!r}")
