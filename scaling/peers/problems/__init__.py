"""Inputs that all codes run: one file each, which defines `PROBLEM`."""
