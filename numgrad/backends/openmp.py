"""OpenMP: threads are Numba's, see `numgrad.set_num_threads`."""


def is_available() -> bool:
    """Always False: threads are a pool of Numba's, on whichever layer it found."""
    return False
