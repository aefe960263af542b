"""Slow, plain twins of the engine's kernels, and the systems they are compared on.

A twin is the specification: it says in a few lines of NumPy what a fast kernel must compute, with
nothing in common with it but the formula.
"""
