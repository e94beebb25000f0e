"""`numgrad.amp` under its older name."""

from typing import Any

from numgrad import amp
from numgrad.amp import custom_bwd, custom_fwd
from numgrad.cuda.amp.grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]


class autocast(amp.autocast):
    """`numgrad.amp.autocast`; as there, nothing is cast."""

    def __init__(self, enabled: bool = True, dtype: Any = None, cache_enabled: bool = True):
        super().__init__("cuda", dtype, enabled, cache_enabled)
