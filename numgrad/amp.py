"""Mixed precision as it is on a machine where it gains nothing: accepted, and everything stays in the dtype it has."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]

_said = False


class autocast:
    """A `with` block or decorator that changes nothing: operations run in the dtype of their inputs. Says so once, if enabled."""

    def __init__(self, device_type: str = "cpu", dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None):
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        self.device, self.fast_dtype, self.wanted = device_type, dtype, bool(enabled)
        self.say()

    def say(self) -> None:
        """Warn, once in a process, that nothing is cast."""
        global _said
        if self.wanted and not _said:
            _said = True
            warnings.warn(
                "autocast does nothing in numgrad: float16 and bfloat16 are computed in float32, so nothing would be faster; convert with .to() to save memory", stacklevel=3
            )

    def __enter__(self) -> autocast:
        return self

    def __exit__(self, *exception: Any) -> None: ...

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return run


class GradScaler:
    """Passes losses and steps through as they are: float32 gradients do not underflow as float16's do, so nothing is scaled."""

    def __init__(
        self, device: str = "cpu", init_scale: float = 2.0**16, growth_factor: float = 2.0, backoff_factor: float = 0.5,
        growth_interval: int = 2000, enabled: bool = True,
    ):  # fmt: skip
        self._growth, self._backoff, self._interval = growth_factor, backoff_factor, growth_interval

    def scale(self, outputs: Any) -> Any:
        """The outputs themselves."""
        return outputs

    def unscale_(self, optimizer: Any) -> None:
        """Nothing: gradients are not scaled."""

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """`optimizer.step(...)`."""
        return optimizer.step(*args, **kwargs)

    def update(self, new_scale: Any = None) -> None:
        """Nothing: the scale is always 1."""

    def get_scale(self) -> float:
        """Always 1.0."""
        return 1.0

    def get_growth_factor(self) -> float:
        """What was given."""
        return self._growth

    def get_backoff_factor(self) -> float:
        """What was given."""
        return self._backoff

    def get_growth_interval(self) -> int:
        """What was given."""
        return self._interval

    def is_enabled(self) -> bool:
        """Always False."""
        return False

    def state_dict(self) -> dict[str, Any]:
        """Empty: there is no state."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Accepts the state of any scaler, and needs none of it."""


def custom_fwd(fwd: Any = None, *, device_type: str = "cpu", cast_inputs: Any = None) -> Any:
    """The function itself."""
    return (lambda f: f) if fwd is None else fwd


def custom_bwd(bwd: Any = None, *, device_type: str = "cpu") -> Any:
    """The function itself."""
    return (lambda f: f) if bwd is None else bwd


def is_autocast_available(device_type: str) -> bool:
    """Always False: nothing is cast."""
    return False
