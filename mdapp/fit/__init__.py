"""Fitting machine-learned potentials to energies and forces; see README.md."""
