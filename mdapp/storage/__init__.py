"""Checkpoints that survive crashes, on any number of ranks, and trajectories; knows no physics."""
