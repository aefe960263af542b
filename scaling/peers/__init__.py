"""mdapp side by side with other codes: the same input, the same core, one after the other.

    python -m scaling.peers lammps

A file in `codes` is a code to compare with, a file in `problems` is an input; both are found by
their names. See scaling/README.md.
"""
