"""Scaling studies: which points, in which order, what is measured, and what it says."""
