"""What this is a version of."""

from numgrad import __version__

__all__ = ["__version__", "cuda", "debug", "git_version", "hip", "xpu"]

debug: bool = False
cuda = hip = xpu = None
git_version: str = "unknown"
