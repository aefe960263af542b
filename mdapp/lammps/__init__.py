"""LAMMPS input scripts, as far as they mean what a deck can mean."""
