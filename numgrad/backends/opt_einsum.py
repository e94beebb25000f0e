"""opt_einsum: not used; `einsum` chooses its own order."""

enabled: bool = False
strategy: str = "auto"


def is_available() -> bool:
    """Always False."""
    return False
