"""Which pairs are near: compiled, so that runs of the mutants end."""

from numba import njit


@njit(cache=True)
def partners(x, nlocal, rc2, found):
    """Write pairs of an owned atom and another within the cutoff; how many there are."""
    count = 0
    for i in range(nlocal):
        for j in range(len(x)):
            r2 = 0.0
            for k in range(3):
                r2 += (x[j, k] - x[i, k]) ** 2
            if 0 < r2 < rc2:
                if count < len(found):
                    found[count, 0], found[count, 1] = i, j
                count += 1
    return count
