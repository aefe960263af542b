"""Codes to compare with: one file each, which defines `PEER`."""
