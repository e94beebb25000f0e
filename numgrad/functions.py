"""Functions of the top level in PyTorch's other forms: losses and layers without their layers, in-place forms, segments, flags."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numgrad
from numgrad import dtypes, linalg, rare_methods
from numgrad.grad_mode import mode
from numgrad.nn import functional
from numgrad.nn.functional._common import reduce_loss
from numgrad.storage import UntypedStorage
from numgrad.tensor import Tensor

_REDUCTIONS = ("none", "mean", "sum")


def _reduction(reduction: int | str) -> str:
    """PyTorch's number of a reduction, or its name."""
    if reduction in _REDUCTIONS:
        return str(reduction)
    if not isinstance(reduction, int) or not 0 <= reduction < 3:
        raise ValueError(f"{reduction} is not a valid value for reduction: 0 is none, 1 mean, 2 sum")
    return _REDUCTIONS[reduction]


# --- losses: reductions are numbers here, 0 by default ------------------------------------------------------------------------------


def kl_div(input: Tensor, target: Tensor, reduction: int = 0, *, log_target: bool = False) -> Tensor:
    """`nn.functional.kl_div`; its reduction 1 is the mean over elements."""
    return reduce_loss(functional.kl_div(input, target, reduction="none", log_target=log_target), _reduction(reduction))


def margin_ranking_loss(input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 0) -> Tensor:
    """`nn.functional.margin_ranking_loss`."""
    return functional.margin_ranking_loss(input1, input2, target, margin, reduction=_reduction(reduction))


def hinge_embedding_loss(input: Tensor, target: Tensor, margin: float = 1.0, reduction: int = 0) -> Tensor:
    """`nn.functional.hinge_embedding_loss`."""
    return functional.hinge_embedding_loss(input, target, margin, reduction=_reduction(reduction))


def cosine_embedding_loss(input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 0) -> Tensor:
    """`nn.functional.cosine_embedding_loss`."""
    return functional.cosine_embedding_loss(input1, input2, target, margin, reduction=_reduction(reduction))


def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2.0, eps: float = 1e-06, swap: bool = False, reduction: int = 0
) -> Tensor:  # fmt: skip
    """`nn.functional.triplet_margin_loss`."""
    return functional.triplet_margin_loss(anchor, positive, negative, margin, p, eps, swap, reduction=_reduction(reduction))


def poisson_nll_loss(input: Tensor, target: Tensor, log_input: bool, full: bool, eps: float, reduction: int) -> Tensor:
    """`nn.functional.poisson_nll_loss`."""
    return functional.poisson_nll_loss(input, target, log_input, full, eps=eps, reduction=_reduction(reduction))


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, pos_weight: Tensor | None = None, reduction: int = 0
) -> Tensor:  # fmt: skip
    """`nn.functional.binary_cross_entropy_with_logits`."""
    return functional.binary_cross_entropy_with_logits(input, target, weight, reduction=_reduction(reduction), pos_weight=pos_weight)


# --- layers: weights come before statistics here ----------------------------------------------------------------------


def batch_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None, running_var: Tensor | None, training: bool,
    momentum: float, eps: float, cudnn_enabled: bool = False,
) -> Tensor:  # fmt: skip
    """`nn.functional.batch_norm`."""
    return functional.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def instance_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None, running_var: Tensor | None, use_input_stats: bool,
    momentum: float, eps: float, cudnn_enabled: bool = False,
) -> Tensor:  # fmt: skip
    """`nn.functional.instance_norm`."""
    return functional.instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)


def embedding(weight: Tensor, indices: Tensor, padding_idx: int = -1, scale_grad_by_freq: bool = False, sparse: bool = False) -> Tensor:
    """`nn.functional.embedding`, the weight first; padding_idx -1 is none."""
    return functional.embedding(indices, weight, None if padding_idx < 0 else padding_idx, scale_grad_by_freq=scale_grad_by_freq)


def embedding_bag(
    weight: Tensor, indices: Tensor, offsets: Tensor, scale_grad_by_freq: bool = False, mode: int = 0, sparse: bool = False,
    per_sample_weights: Tensor | None = None, include_last_offset: bool = False, padding_idx: int | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """`nn.functional.embedding_bag`, the weight first (modes 0, 1, 2: sum, mean, max); then the bag of each index, the bags' sizes, and
    an empty tensor where PyTorch keeps the places of maxima."""
    found = functional.embedding_bag(
        indices, weight, offsets, scale_grad_by_freq=scale_grad_by_freq, mode=("sum", "mean", "max")[mode], per_sample_weights=per_sample_weights,
        include_last_offset=include_last_offset, padding_idx=padding_idx,
    )  # fmt: skip
    starts: Any = offsets[: found.shape[0]].contiguous()  # type: ignore[index]
    bags = numgrad.searchsorted(starts, numgrad.arange(indices.shape[0]), right=True) - 1
    return found, bags, numgrad.bincount(bags, minlength=found.shape[0]), numgrad.empty(0, dtype=numgrad.int64)


def grid_sampler(input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool) -> Tensor:
    """`nn.functional.grid_sample`; modes 0, 1, 2: bilinear, nearest, bicubic; paddings: zeros, border, reflection."""
    return functional.grid_sample(
        input, grid, ("bilinear", "nearest", "bicubic")[interpolation_mode], ("zeros", "border", "reflection")[padding_mode], align_corners
    )


def affine_grid_generator(theta: Tensor, size: Any, align_corners: bool) -> Tensor:
    """`nn.functional.affine_grid`."""
    return functional.affine_grid(theta, size, align_corners)


# --- segments, norms --------------------------------------------------------------------------------------------------

_STARTS = {"sum": 0.0, "mean": 0.0, "max": -float("inf"), "min": float("inf"), "prod": 1.0}


def segment_reduce(
    data: Tensor, reduce: str, *, lengths: Tensor | None = None, indices: Tensor | None = None, offsets: Tensor | None = None, axis: int = 0,
    unsafe: bool = False, initial: float | None = None,
) -> Tensor:  # fmt: skip
    """Consecutive slices of the first dimension, as many as `lengths` says (or from offset to offset), reduced to one: "sum", "mean",
    "max", "min" or "prod", beginning with `initial`. An empty segment gives that, else 0, NaN, -inf, inf or 1."""
    if reduce not in _STARTS:
        raise RuntimeError(f"segment_reduce(): reduce must be one of {', '.join(_STARTS)}, but got {reduce}")
    if indices is not None or axis != 0:
        raise NotImplementedError("segment_reduce(): numgrad has segments of the first dimension only, by lengths or offsets")
    given = lengths if lengths is not None else offsets.diff() if offsets is not None else None  # type: ignore[attr-defined]
    if given is None:
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    if given.dim() != 1:
        raise NotImplementedError(f"segment_reduce(): numgrad takes lengths of one dimension, but got {given.dim()}")
    total = int(given.sum())
    if not unsafe and (total != data.shape[0] or bool((given < 0).any())):
        raise RuntimeError("segment_reduce(): Expected all rows of lengths along axis to sum to data.size(lengths.dim()-1) when !unsafe.")
    place = numgrad.arange(given.shape[0]).repeat_interleave(given)
    place = place.reshape(-1, *[1] * (data.dim() - 1)).expand_as(data)
    start = data.new_full((given.shape[0], *data.shape[1:]), _STARTS[reduce] if initial is None else initial)  # type: ignore[attr-defined]
    kind = {"mean": "sum", "max": "amax", "min": "amin"}.get(reduce, reduce)
    found = start.scatter_reduce(0, place, data, kind)
    if reduce != "mean":
        return found
    count = given.reshape(-1, *[1] * (data.dim() - 1)).to(data.dtype)
    return found / count if initial is None else found / count.clamp(min=1)


def norm_except_dim(v: Tensor, pow: int = 2, dim: int = 0) -> Tensor:
    """The norm over all dimensions but one, which are kept with size 1; -1: over all."""
    if dim == -1:
        return linalg.vector_norm(v, pow)
    return linalg.vector_norm(v, pow, tuple(d for d in range(v.dim()) if d != dim % v.dim()), True)


def frobenius_norm(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """The square root of the sum of squares over one or two dimensions."""
    return linalg.vector_norm(input, 2, dim, keepdim)


def nuclear_norm(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The sum of singular values."""
    return linalg.matrix_norm(input, "nuc", (-2, -1) if dim is None else tuple(dim), keepdim)


# --- in place ---------------------------------------------------------------------------------------------------------


def _in_place(name: str) -> Callable[..., Tensor]:
    def function(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return getattr(input, name)(*args, **kwargs)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"`Tensor.{name}`."
    return function


def _layer_in_place(name: str) -> Callable[..., Tensor]:
    of: Callable[..., Any] = getattr(functional, name)

    def function(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return of(input, *args, **kwargs, inplace=True)

    function.__name__ = function.__qualname__ = f"{name}_"
    function.__doc__ = f"`nn.functional.{name}`, in place."
    return function


_METHODS = ("addmv_", "as_strided_", "clamp_", "clamp_max_", "clamp_min_", "clip_", "conj_physical_", "detach_", "fill_", "gcd_", "index_put_",
            "lcm_", "ldexp_", "logit_", "nan_to_num_", "resize_as_", "round_", "xlogy_", "zero_")  # fmt: skip
_LAYERS = ("alpha_dropout", "celu", "dropout", "feature_alpha_dropout", "rrelu", "selu", "threshold")

# --- flags and questions ----------------------------------------------------------------------------------------------

_warnings: list[Any] = [None]


def set_flush_denormal(mode: bool) -> bool:
    """False: subnormal numbers are always kept."""
    return False


def set_warn_always(b: bool) -> None:
    """Whether warnings that are given once come every time."""
    if _warnings[0] is not None:
        warnings.filters.remove(_warnings[0])  # type: ignore[attr-defined]
        _warnings[0] = None
    if b:
        warnings.simplefilter("always", UserWarning)
        _warnings[0] = warnings.filters[0]


def is_warn_always_enabled() -> bool:
    """Whether warnings that are given once come every time."""
    return _warnings[0] is not None


def is_inference(input: Tensor) -> bool:
    """Always False: inference mode makes ordinary tensors."""
    return False


def is_anomaly_enabled() -> bool:
    """Whether errors in backward name the forward call; see `autograd.detect_anomaly`."""
    return mode.anomaly


def is_anomaly_check_nan_enabled() -> bool:
    """Whether anomaly mode looks for NaN."""
    return mode.check_nan


def set_anomaly_enabled(enabled: bool, check_nan: bool = True) -> None:
    """Switch anomaly mode on or off."""
    mode.anomaly, mode.check_nan = bool(enabled), bool(check_nan)


def is_storage(obj: Any) -> bool:
    """Whether an object is the memory under a tensor."""
    return isinstance(obj, UntypedStorage)


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Always False: every kernel is deterministic."""
    return False


def get_deterministic_debug_mode() -> int:
    """Always 0: there is nothing to warn of."""
    return 0


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """Accepted: every kernel is deterministic."""


class OutOfMemoryError(RuntimeError):
    """What devices raise where their memory is full; the CPU's is a MemoryError."""


FUNCTIONS: dict[str, Any] = {f.__name__: f for f in (
    kl_div, margin_ranking_loss, hinge_embedding_loss, cosine_embedding_loss, triplet_margin_loss, poisson_nll_loss, binary_cross_entropy_with_logits,
    batch_norm, instance_norm, embedding, embedding_bag, grid_sampler, affine_grid_generator, segment_reduce, norm_except_dim, frobenius_norm,
    nuclear_norm, set_flush_denormal, set_warn_always, is_warn_always_enabled, is_inference, is_anomaly_enabled, is_anomaly_check_nan_enabled,
    set_anomaly_enabled, OutOfMemoryError, rare_methods.is_nonzero, rare_methods.is_same_size, rare_methods.is_signed, rare_methods.empty_strided,
    rare_methods.nonzero_static, is_deterministic_algorithms_warn_only_enabled, get_deterministic_debug_mode, set_deterministic_debug_mode)}  # fmt: skip
FUNCTIONS |= {name: _in_place(name) for name in _METHODS} | {f"{name}_": _layer_in_place(name) for name in _LAYERS}
FUNCTIONS |= {
    "grid_sampler_2d": grid_sampler, "grid_sampler_3d": grid_sampler, "detach": _in_place("detach"), "get_device": _in_place("get_device"),
    "is_conj": _in_place("is_conj"), "is_neg": _in_place("is_neg"), "is_distributed": _in_place("is_distributed"), "conj_physical": _in_place("conj_physical"),
    "is_storage": is_storage, "memory_format": dtypes.memory_format, "layout": dtypes.layout,
    "channels_last_3d": dtypes.channels_last_3d,
}  # fmt: skip
