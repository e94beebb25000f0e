"""Quantised kernels: there are none."""

engine: str = "none"
supported_engines: list[str] = ["none"]
