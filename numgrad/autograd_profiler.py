"""`autograd.profiler`: the profiler of `numgrad.profiler`, called as PyTorch's older one is."""

from __future__ import annotations

from typing import Any

from . import profiler
from .absent import absent_class
from .profiler import EventAverage, EventList, record_function

__all__ = ["EventAverage", "EventList", "emit_itt", "emit_nvtx", "profile", "record_function"]


class profile(profiler.profile):
    """Profiles the block, if `enabled`. The options about devices and memory are accepted: there is nothing that they would show."""

    def __init__(
        self, enabled: bool = True, *, use_cuda: bool = False, use_device: Any = None, record_shapes: bool = False, with_flops: bool = False,
        profile_memory: bool = False, with_stack: bool = False, with_modules: bool = False, use_kineto: bool = False, use_cpu: bool = True,
        experimental_config: Any = None, acc_events: bool = False,
    ):  # fmt: skip
        super().__init__(activities=[profiler.ProfilerActivity.CPU] if use_cpu else [profiler.ProfilerActivity.CUDA], record_shapes=record_shapes)
        self.enabled = bool(enabled)

    def start(self) -> None:
        """Begin, if enabled."""
        if self.enabled:
            super().start()

    @property
    def function_events(self) -> Any:
        """Everything that was recorded, in the order of time."""
        return self.events()

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds of all events, none counted twice."""
        return self.total_average().self_cpu_time_total

    def total_average(self) -> EventAverage:
        """All events together."""
        return self.key_averages().total_average()

    def table(self, sort_by: str | None = None, row_limit: int = 100, max_name_column_width: int = 60, **options: Any) -> str:
        """The averages as a table."""
        return self.key_averages().table(sort_by, row_limit, max_name_column_width, **options)

emit_nvtx, emit_itt = (absent_class(f"autograd.profiler.{name}", "use `numgrad.profiler.profile`") for name in ("emit_nvtx", "emit_itt"))
