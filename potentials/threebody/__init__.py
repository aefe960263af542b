"""Potentials of pairs and angles: Stillinger-Weber and the family of Tersoff."""
