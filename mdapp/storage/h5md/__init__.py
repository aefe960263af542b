"""Trajectories in H5MD: written by all ranks, whole at every moment, taken by its readers."""
