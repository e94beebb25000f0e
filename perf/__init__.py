"""Measurements of numgrad beside its peers: `python -m perf`."""
