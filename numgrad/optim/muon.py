"""Muon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numgrad
from numgrad.optim.optimizer import Optimizer, check_at_least, zeros_like
from numgrad.tensor import Tensor, wrap


def _orthogonal(grad: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """About the nearest matrix with orthonormal rows or columns, by a Newton-Schulz iteration of the fifth order."""
    a, b, c = coefficients
    tall = grad.shape[0] > grad.shape[1]
    x = grad.T if tall else grad
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.T if tall else x


class Muon(Optimizer):
    """Momentum, made orthogonal: for the matrices of hidden layers; other parameters want another optimizer.

    See Jordan et al. 2024. Computed in the parameters' dtype, where PyTorch rounds to bfloat16."""

    def __init__(self, params: Any, lr: float = 1e-3, weight_decay: float = 0.1, momentum: float = 0.95, nesterov: bool = True,
                 ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315), eps: float = 1e-7, ns_steps: int = 5,
                 adjust_lr_fn: str | None = None) -> None:  # fmt: skip
        check_at_least(0.0, learning_rate=lr, momentum=momentum, weight_decay=weight_decay)
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov, "eps": eps,
                                  "ns_coefficients": ns_coefficients, "ns_steps": ns_steps, "adjust_lr_fn": adjust_lr_fn})  # fmt: skip
        for group in self.param_groups:
            for param in group["params"]:
                if param.dim() != 2:
                    raise ValueError(f"Muon only supports 2D parameters whereas we found a parameter with size: {list(param.shape)}")

    def _settings(self, group: dict[str, Any]) -> list[Any]:
        return [group["lr"], group["weight_decay"], group["momentum"]]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient once."""
        loss = None
        if closure is not None:
            with numgrad.enable_grad():
                loss = closure()
        self.write_settings()
        with numgrad.no_grad():
            for group, memory in zip(self.param_groups, self._memory):
                for param in group["params"]:
                    if param.grad is not None:
                        self._change(param, group, self.state[param], wrap(memory).to(param.dtype))
        return loss

    def _change(self, param: Tensor, group: dict[str, Any], state: dict[str, Any], settings: Tensor) -> None:
        lr, decay, momentum = settings[0], settings[1], settings[2]
        if not state:
            state["momentum_buffer"] = zeros_like(param)
        state["momentum_buffer"].lerp_(param.grad, 1 - momentum)
        update = param.grad.lerp(state["momentum_buffer"], momentum) if group["nesterov"] else state["momentum_buffer"]
        update = _orthogonal(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
        rows, columns = param.shape
        factor = 0.2 * max(rows, columns) ** 0.5 if group["adjust_lr_fn"] == "match_rms_adamw" else max(1.0, rows / columns) ** 0.5
        param.mul_(1 - lr * decay)
        param.sub_(update * (lr * factor))
