"""Spectral neighbour analysis potentials: linear and quadratic in the bispectrum."""
