"""Potentials of pairs and angles: Stillinger-Weber and Tersoff."""
