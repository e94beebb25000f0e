"""Settings of CUDA's kernels: kept, without effect."""

from __future__ import annotations

import contextlib
from typing import Any

_switches = {"flash": True, "mem_efficient": True, "math": True, "cudnn": True}


class _Matmul:
    """Settings of CUDA's matrix products."""

    allow_tf32: bool = False
    allow_fp16_reduced_precision_reduction: bool = True
    allow_bf16_reduced_precision_reduction: bool = True


matmul = _Matmul()


def is_built() -> bool:
    """Always False."""
    return False


def _switch(name: str) -> tuple[Any, Any]:
    def is_enabled() -> bool:
        return _switches[name]

    def enable(enabled: bool) -> None:
        _switches[name] = bool(enabled)

    is_enabled.__doc__ = f"What was last asked for the {name} form of attention; without effect."
    enable.__doc__ = f"Accepted: attention has one implementation here, whatever is asked of the {name} form."
    return is_enabled, enable


flash_sdp_enabled, enable_flash_sdp = _switch("flash")
mem_efficient_sdp_enabled, enable_mem_efficient_sdp = _switch("mem_efficient")
math_sdp_enabled, enable_math_sdp = _switch("math")
cudnn_sdp_enabled, enable_cudnn_sdp = _switch("cudnn")


@contextlib.contextmanager
def sdp_kernel(enable_flash: bool = True, enable_math: bool = True, enable_mem_efficient: bool = True, enable_cudnn: bool = True) -> Any:
    """A choice of attention kernels for the length of a `with` block; without effect."""
    before = dict(_switches)
    _switches.update(flash=enable_flash, math=enable_math, mem_efficient=enable_mem_efficient, cudnn=enable_cudnn)
    try:
        yield {}
    finally:
        _switches.update(before)
