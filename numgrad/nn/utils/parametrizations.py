"""Ready parametrizations: weight norm, spectral norm, orthogonal matrices."""

from __future__ import annotations

from typing import Any

import numgrad
from numgrad.nn import functional as F
from numgrad.nn.modules.module import Module
from numgrad.nn.utils import parametrize
from numgrad.tensor import Tensor


def norm_except_dim(v: Tensor, pow: int = 2, dim: int = 0) -> Tensor:
    """The norm over all dimensions but one, which keep size 1; over all of them for dim -1, without dimensions."""
    if dim == -1:
        return v.norm(pow)
    return v.norm(pow, tuple(d for d in range(v.dim()) if d != dim % v.dim()), keepdim=True)


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return weight_v * (weight_g / norm_except_dim(weight_v, 2, self.dim))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Length and direction."""
        return norm_except_dim(weight, 2, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """The weight as a length and a direction, g v / |v| (Salimans & Kingma, 2016): ``original0`` is g, ``original1`` v.

    There is a length for each index of ``dim``, or one in all if it is None."""
    parametrize.register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def rename(state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:  # what the older `nn.utils.weight_norm` saved
        if f"{prefix}{name}_g" in state_dict and f"{prefix}{name}_v" in state_dict:
            for i, letter in enumerate("gv"):
                state_dict[f"{prefix}parametrizations.{name}.original{i}"] = state_dict.pop(f"{prefix}{name}_{letter}")

    module._register_load_state_dict_pre_hook(rename)
    return module


def as_matrix(weight: Tensor, dim: int) -> Tensor:
    """A weight with ``dim`` as rows and everything else as columns."""
    if dim:
        weight = weight.permute(dim, *(d for d in range(weight.dim()) if d != dim))
    return weight.flatten(1)


class _SpectralNorm(Module):
    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        ndim = weight.dim()
        if not -ndim <= dim < ndim:
            raise IndexError(f"Dimension out of range (expected to be in range of [-{ndim}, {ndim - 1}] but got {dim})")
        if n_power_iterations <= 0:
            raise ValueError(f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}")
        self.dim = dim % ndim
        self.eps = eps
        if ndim > 1:
            self.n_power_iterations = n_power_iterations
            matrix = as_matrix(weight.detach(), self.dim)
            u, v = (numgrad.randn(n, dtype=weight.dtype) for n in matrix.shape)
            self.register_buffer("_u", F.normalize(u, dim=0, eps=eps))
            self.register_buffer("_v", F.normalize(v, dim=0, eps=eps))
            self._iterate(matrix, 15)

    @numgrad.no_grad()
    def _iterate(self, matrix: Tensor, count: int) -> None:
        for _ in range(count):
            self._u.copy_(F.normalize(matrix.mv(self._v), dim=0, eps=self.eps))
            self._v.copy_(F.normalize(matrix.t().mv(self._u), dim=0, eps=self.eps))

    def forward(self, weight: Tensor) -> Tensor:
        if weight.dim() == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            self._iterate(matrix.detach(), self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()  # a second forward pass must not change what the first one's backward needs
        return weight / u.dot(matrix.mv(v))

    def right_inverse(self, value: Tensor) -> Tensor:
        """The value itself, which is taken to have the norm."""
        return value


def spectral_norm(module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None) -> Module:
    """The weight divided by its largest singular value (Miyato et al., 2018), which power iterations in training keep track of."""
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if dim is None:
        dim = 1 if type(module).__name__.startswith("ConvTranspose") else 0
    parametrize.register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))
    return module


# --- orthogonal matrices --------------------------------------------------------------------------------------------


def _positive(q: Tensor, r: Tensor) -> Tensor:
    """Of a QR decomposition the q for which the diagonal of r is positive."""
    return q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)


def _householder_product(a: Tensor, tau: Tensor) -> Tensor:
    """The first columns of the product of the reflections I - tau v v^T, of v 1 on the diagonal and as in ``a`` below it."""
    n, k = a.shape[-2:]
    eye = numgrad.eye(n, k, dtype=a.dtype)
    found, vectors = eye.expand(*a.shape[:-2], n, k), a.tril(-1) + eye
    for i in range(k - 1, -1, -1):
        v = vectors[..., :, i : i + 1]
        found = found - tau[..., i : i + 1].unsqueeze(-1) * (v @ (v.mT @ found))
    return found


class _Orthogonal(Module):
    def __init__(self, weight: Tensor, orthogonal_map: str, *, use_trivialization: bool = True) -> None:
        super().__init__()
        self.shape = tuple(weight.shape)
        self.orthogonal_map = orthogonal_map
        self.use_trivialization = use_trivialization
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x: Tensor) -> Tensor:
        wide = x.shape[-2] < x.shape[-1]
        x = x.mT if wide else x
        n, k = x.shape[-2:]
        if self.orthogonal_map == "householder":
            a = x.tril(-1)
            q = _householder_product(a, 2.0 / (1.0 + (a * a).sum(-2)))
            q = q * x.detach().diagonal(dim1=-2, dim2=-1).trunc().unsqueeze(-2)
        else:
            lower = x.tril()
            if n != k:
                lower = numgrad.cat([lower, numgrad.zeros(*x.shape[:-1], n - k, dtype=x.dtype)], -1)
            skew = lower - lower.mT
            if self.orthogonal_map == "matrix_exp":
                q = numgrad.matrix_exp(skew)
            else:  # Cayley's map
                eye = numgrad.eye(n, dtype=x.dtype)
                q = numgrad.linalg.solve(eye - skew * 0.5, eye + skew * 0.5)
            q = q[..., :k]
        if self.use_trivialization and self.base is not None:
            q = self.base @ q
        return q.mT if wide else q

    @numgrad.no_grad()
    def right_inverse(self, q: Tensor) -> Tensor:
        """What gives an orthogonal matrix near ``q``; with a base, which becomes that matrix, minus the identity."""
        if tuple(q.shape) != self.shape:
            raise ValueError(f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of shape {tuple(q.shape)}.")
        if not self.use_trivialization:
            raise NotImplementedError("It is only possible to assign to an orthogonal parametrization with use_trivialization=True")
        wide = q.shape[-2] < q.shape[-1]
        tall = q.mT if wide else q
        n, k = tall.shape[-2:]
        if n != k:  # complete it
            tall = numgrad.cat([tall, numgrad.randn(*tall.shape[:-2], n, n - k, dtype=q.dtype)], -1)
        self.base = _positive(*numgrad.linalg.qr(tall))
        return -numgrad.eye(*q.shape[-2:], dtype=q.dtype).expand(*q.shape).clone()


def orthogonal(module: Module, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True) -> Module:
    """The weight with orthonormal rows or columns, whichever are fewer, as the image of a matrix without constraint under
    "matrix_exp", "cayley" or "householder" (Lezcano-Casado, 2019, with ``use_trivialization`` from where it was)."""
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if weight.dim() < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.dim()} dimensions.")
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.shape[-2] == weight.shape[-1] else "householder"
    if orthogonal_map not in ("matrix_exp", "cayley", "householder"):
        raise ValueError(f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}')
    made = _Orthogonal(weight, orthogonal_map, use_trivialization=use_trivialization)
    parametrize.register_parametrization(module, name, made, unsafe=True)
    return module
