"""CUDA as scripts find it on a machine without: not available, no devices, and clear errors for what would need one."""

from __future__ import annotations

from typing import Any

from numgrad.lacking import refuse, refused

from . import amp as amp

_GUARD = "there is no CUDA device; guard the call with `numgrad.cuda.is_available()`, or leave it out"


def is_available() -> bool:
    """Always False."""
    return False


def is_initialized() -> bool:
    """Always False."""
    return False


def device_count() -> int:
    """Always 0."""
    return 0


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Always False."""
    return False


def init() -> None:
    """Always an error: there is no CUDA device."""
    raise RuntimeError(f"numgrad has no CUDA: {_GUARD}")


def manual_seed(seed: int) -> None:
    """Accepted and ignored: `numgrad.manual_seed` seeds the CPU's generator."""


manual_seed_all = manual_seed


def seed() -> None:
    """Accepted and ignored."""


seed_all = seed


def synchronize(device: Any = None) -> None:
    """Nothing to wait for: operations have finished when they return."""


def empty_cache() -> None:
    """Nothing: there is no memory of a device."""


def ipc_collect() -> None:
    """Nothing: there is no memory of a device."""


def reset_peak_memory_stats(device: Any = None) -> None:
    """Nothing: there is no memory of a device."""


reset_max_memory_allocated = reset_max_memory_cached = reset_accumulated_memory_stats = reset_peak_memory_stats


def memory_allocated(device: Any = None) -> int:
    """Always 0: the bytes that tensors take on a device."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_cached = max_memory_cached = memory_allocated


def memory_stats(device: Any = None) -> dict[str, Any]:
    """Empty: there is no memory of a device."""
    return {}


def get_arch_list() -> list[str]:
    """Empty."""
    return []


def get_rng_state_all() -> list[Any]:
    """Empty: there are no devices."""
    return []


def set_rng_state_all(new_states: Any) -> None:
    """Accepts the empty list that `get_rng_state_all` gives."""
    if len(new_states):
        raise RuntimeError(f"numgrad has no CUDA: {_GUARD}")


def _without(*names: str) -> None:
    for name in names:
        globals()[name] = refused(f"cuda.{name}", _GUARD, RuntimeError)


_without(
    "set_device", "current_device", "get_device_name", "get_device_properties", "get_device_capability", "current_stream", "default_stream",
    "get_rng_state", "set_rng_state", "mem_get_info", "memory_summary", "utilization", "can_device_access_peer", "set_per_process_memory_fraction",
)  # fmt: skip


class _NoTensor(type):
    """`isinstance(x, cuda.FloatTensor)` is False, and making one raises."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return False

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(f"numgrad has no cuda.{cls.__name__}: {_GUARD}")


_KINDS = ("FloatTensor", "DoubleTensor", "HalfTensor", "BFloat16Tensor", "LongTensor", "IntTensor", "ShortTensor", "CharTensor", "ByteTensor", "BoolTensor")  # fmt: skip
for _name in (*_KINDS, "Event", "ExternalStream", "MemPool", "Stream", "StreamContext", "CUDAGraph", "device", "device_of", "stream", "graph"):
    globals()[_name] = _NoTensor(_name, (), {"__doc__": f"Always an error: {_GUARD}.", "__module__": __name__, "lacking": True})


def __getattr__(name: str) -> Any:
    refuse(__name__, name, _GUARD)
