"""Neuroevolution potentials: a network of radial functions and of invariants of angles."""
