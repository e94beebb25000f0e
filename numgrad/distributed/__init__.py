"""Training on several machines, as scripts find it where there is one process: not available, rank 0 of 1."""

from __future__ import annotations

from typing import Any

from numgrad.absent import absent_class
from numgrad.lacking import refuse, refused

_ALONE = "there is one process, which computes on all cores; guard the call with `numgrad.distributed.is_initialized()`"


def is_available() -> bool:
    """Always False."""
    return False


def is_initialized() -> bool:
    """Always False: `init_process_group` is refused."""
    return False


def is_torchelastic_launched() -> bool:
    """Always False."""
    return False


def is_mpi_available() -> bool:
    """Always False."""
    return False


is_nccl_available = is_gloo_available = is_ucc_available = is_xccl_available = is_mpi_available


def get_rank(group: Any = None) -> int:
    """Always 0."""
    return 0


def get_world_size(group: Any = None) -> int:
    """Always 1."""
    return 1


def barrier(group: Any = None, async_op: bool = False, device_ids: Any = None) -> None:
    """Nothing to wait for: there is one process."""


def destroy_process_group(group: Any = None) -> None:
    """Nothing to end: there is one process."""


for _name in ("init_process_group", "new_group", "all_reduce", "all_gather", "all_gather_into_tensor", "all_gather_object", "all_to_all",
              "all_to_all_single", "batch_isend_irecv", "broadcast", "broadcast_object_list", "gather", "gather_object", "get_backend", "get_global_rank", "get_group_rank",
              "get_process_group_ranks", "init_device_mesh", "monitored_barrier", "new_subgroups", "scatter_object_list", "irecv", "isend", "recv", "reduce",
              "reduce_scatter", "reduce_scatter_tensor", "scatter", "send"):  # fmt: skip
    globals()[_name] = refused(f"distributed.{_name}", _ALONE, RuntimeError)
for _name in ("Backend", "DeviceMesh", "FileStore", "GroupMember", "HashStore", "P2POp", "PrefixStore", "ProcessGroup", "ProcessGroupGloo", "ProcessGroupNCCL",
              "Store", "TCPStore", "Work"):  # fmt: skip
    globals()[_name] = absent_class(f"distributed.{_name}", _ALONE)


class group:
    """Names of groups of processes: the one that all are in."""

    WORLD = None


class ReduceOp:
    """Names of reductions over processes."""

    SUM, AVG, PRODUCT, MIN, MAX = "sum", "avg", "product", "min", "max"


def __getattr__(name: str) -> Any:
    refuse(__name__, name, _ALONE)
