"""Initial velocities as statistics: thresholds in standard deviations of the estimate, 4 sigma."""

import math

import numpy as np
import pytest

from mdapp.model.units import UNITS
from mdapp.model.velocities import GENERATORS, VelocityOptions, create

SIGMAS = 4.0
N = 40_000
MASS = np.where(np.arange(N) % 2 == 0, 1.0, 25.0)
X = np.random.default_rng(3).uniform(0, 50, (N, 3))
IDS = np.arange(1, N + 1)


def made(generator, distribution, seed=2024):
    options = VelocityOptions(1.7, seed, generator, distribution)
    return create(options, UNITS["lj"], id=IDS, x=X, mass=MASS, natoms=N,
                  total=lambda t: np.array([math.fsum(c) for c in t.T]))


@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize("distribution, excess", [("uniform", -1.2), ("gaussian", 0.0)])
def test_moments(generator, distribution, excess):
    """Each mass alone is at temperature, each component has the kurtosis of its distribution."""
    w = made(generator, distribution) * np.sqrt(MASS / 1.7)[:, None]     # of unit variance
    fourth = 3.0 + excess
    for part in (MASS == 1.0, MASS == 25.0):
        n = part.sum()
        u = w[part]
        assert (abs(u.mean(axis=0)) < SIGMAS / math.sqrt(n)).all()
        assert (abs(u.var(axis=0) - 1) < SIGMAS * math.sqrt((fourth - 1) / n)).all()
        sd_fourth = math.sqrt((96.0 if excess == 0 else 81 / 9 - 1.8**2) / n)
        assert (abs((u**4).mean(axis=0) - fourth) < SIGMAS * sd_fourth).all()


@pytest.mark.parametrize("generator", GENERATORS)
def test_components_neighbours_and_seeds_are_uncorrelated(generator):
    w = made(generator, "gaussian") * np.sqrt(MASS / 1.7)[:, None]
    other = made(generator, "gaussian", seed=2025) * np.sqrt(MASS / 1.7)[:, None]
    pairs = [(w[:, 0], w[:, 1]), (w[:, 0], w[:, 2]), (w[:, 1], w[:, 2]),
             (w[1:, 0], w[:-1, 0]), (w[1:, 2], w[:-1, 0]), (w[:, 0], other[:, 0])]
    for a, b in pairs:
        assert abs((a * b).mean()) < SIGMAS / math.sqrt(len(a))


def test_speeds_follow_maxwell():
    """Kolmogorov-Smirnov distance below its 1e-4 quantile, 2.23 / sqrt(n)."""
    v = made("counter", "gaussian")[MASS == 1.0]
    s = np.sort(np.linalg.norm(v, axis=1)) / math.sqrt(1.7)
    n = len(s)
    erf = np.array([math.erf(a / math.sqrt(2)) for a in s])
    maxwell = erf - math.sqrt(2 / math.pi) * s * np.exp(-s**2 / 2)
    steps = np.arange(n + 1) / n
    distance = max((steps[1:] - maxwell).max(), (maxwell - steps[:-1]).max())
    assert distance < 2.23 / math.sqrt(n)
