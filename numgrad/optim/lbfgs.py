"""L-BFGS."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numgrad
from numgrad.optim.optimizer import Optimizer, check_at_least
from numgrad.tensor import Tensor


def _cubic_minimum(x1: float, f1: float, g1: float, x2: float, f2: float, g2: float, bounds: tuple[float, float] | None = None) -> float:
    """Where the cubic through two values and two slopes is least (Nocedal & Wright, "Numerical Optimization", 3.59)."""
    low, high = bounds or (min(x1, x2), max(x1, x2))
    d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
    square = d1 * d1 - g1 * g2
    if not square >= 0:
        return (low + high) / 2
    d2 = math.sqrt(square)
    if x1 <= x2:
        found = x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2))
    else:
        found = x1 - (x1 - x2) * ((g1 + d2 - d1) / (g1 - g2 + 2 * d2))
    return min(max(found, low), high)


class _Search:
    """A line search for the strong Wolfe conditions: bracket a minimum, then zoom in (Nocedal & Wright, algorithms 3.5 and 3.6)."""

    def __init__(self, evaluate: Callable[[float], tuple[float, Tensor, float]], loss: float, grad: Tensor, slope: float, largest: float):
        self.evaluate, self.loss, self.grad, self.slope, self.largest = evaluate, loss, grad, slope, largest
        self.c1, self.c2, self.change, self.limit = 1e-4, 0.9, 1e-9, 25

    def run(self, t: float) -> tuple[float, Tensor, float, int]:
        """The loss, its gradient, the step, and how often the loss was computed."""
        before = (0.0, self.loss, self.grad, self.slope)
        bracket: list[Any] = []
        evaluations = 0
        for trial in range(self.limit + 1):
            f, g, s = self.evaluate(t)
            evaluations += 1
            now = (t, f, g, s)
            if trial == self.limit:
                bracket = [(0.0, self.loss, self.grad, self.slope), now]
                break
            if f > self.loss + self.c1 * t * self.slope or (trial and f >= before[1]):
                bracket = [before, now]
                break
            if abs(s) <= -self.c2 * self.slope:
                return f, g, t, evaluations
            if s >= 0:
                bracket = [before, now]
                break
            bounds = (t + 0.01 * (t - before[0]), t * 10)
            t, before = _cubic_minimum(before[0], before[1], before[3], t, f, s, bounds), now
        return self._zoom(bracket, evaluations, self.limit - trial)

    def _zoom(self, bracket: list[Any], evaluations: int, rounds: int) -> tuple[float, Tensor, float, int]:
        low, high = sorted((0, 1), key=lambda i: bracket[i][1])
        stuck = False
        for _ in range(rounds):
            (a, fa, _, sa), (b, fb, _, sb) = bracket
            if abs(b - a) * self.largest < self.change:
                break
            t = _cubic_minimum(a, fa, sa, b, fb, sb)
            margin = 0.1 * (max(a, b) - min(a, b))
            if min(max(a, b) - t, t - min(a, b)) < margin:  # too close to an end: once is allowed, then it moves inwards
                if stuck or t >= max(a, b) or t <= min(a, b):
                    t = max(a, b) - margin if abs(t - max(a, b)) < abs(t - min(a, b)) else min(a, b) + margin
                    stuck = False
                else:
                    stuck = True
            else:
                stuck = False
            f, g, s = self.evaluate(t)
            evaluations += 1
            if f > self.loss + self.c1 * t * self.slope or f >= bracket[low][1]:
                bracket[high] = (t, f, g, s)
                low, high = (0, 1) if bracket[0][1] <= bracket[1][1] else (1, 0)
                continue
            done = abs(s) <= -self.c2 * self.slope
            if not done and s * (bracket[high][0] - bracket[low][0]) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = (t, f, g, s)
            if done:
                break
        t, f, g, _ = bracket[low]
        return f, g, t, evaluations


class LBFGS(Optimizer):
    """Newton's method with a Hessian estimated from the last ``history_size`` steps; ``step`` needs a closure.

    ``line_search_fn``: None for steps of ``lr``, or "strong_wolfe". See Liu & Nocedal 1989. One parameter group."""

    def __init__(self, params: Any, lr: float = 1, max_iter: int = 20, max_eval: int | None = None, tolerance_grad: float = 1e-7,
                 tolerance_change: float = 1e-9, history_size: int = 100, line_search_fn: str | None = None) -> None:  # fmt: skip
        check_at_least(0.0, learning_rate=lr)
        if line_search_fn not in (None, "strong_wolfe"):
            raise RuntimeError("only 'strong_wolfe' is supported")
        super().__init__(params, {
            "lr": lr, "max_iter": max_iter, "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval, "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change, "history_size": history_size, "line_search_fn": line_search_fn,
        })  # fmt: skip
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    def write_settings(self) -> None:
        """Nothing: hyperparameters are read where they are used."""

    def _flat_grad(self) -> Tensor:
        params = self.param_groups[0]["params"]
        return numgrad.cat([numgrad.zeros(p.numel(), dtype=p.dtype) if p.grad is None else p.grad.reshape(-1) for p in params])

    def _move(self, t: float, direction: Tensor) -> None:
        offset = 0
        for p in self.param_groups[0]["params"]:
            p.add_(direction[offset : offset + p.numel()].view_as(p), alpha=t)
            offset += p.numel()

    def _evaluate(self, closure: Callable[[], Any], t: float, direction: Tensor, start: list[Tensor]) -> tuple[float, Tensor, float]:
        self._move(t, direction)
        with numgrad.enable_grad():
            loss = float(closure())
        grad = self._flat_grad()
        for p, before in zip(self.param_groups[0]["params"], start):
            p.copy_(before)
        return loss, grad, float(grad.dot(direction))

    @staticmethod
    def _direction(state: dict[str, Any], grad: Tensor) -> Tensor:
        """The two-loop recursion (Nocedal & Wright, algorithm 7.4)."""
        q, factors = -grad, state.setdefault("al", [])
        for y, s, r in reversed(list(zip(state["old_dirs"], state["old_stps"], state["ro"]))):
            factors.append(s.dot(q) * r)
            q = q - factors[-1] * y
        q = q * state["H_diag"]
        for y, s, r in zip(state["old_dirs"], state["old_stps"], state["ro"]):
            q = q + s * (factors.pop() - y.dot(q) * r)
        return q

    def _remember(self, state: dict[str, Any], grad: Tensor, history: int) -> None:
        y, s = grad - state["prev_flat_grad"], state["d"] * state["t"]
        product = float(y.dot(s))
        if product > 1e-10:  # else the estimate would not stay positive definite
            for name, value in (("old_dirs", y), ("old_stps", s), ("ro", 1.0 / product)):
                del state[name][: max(0, len(state[name]) - history + 1)]
                state[name].append(value)
            state["H_diag"] = product / float(y.dot(y))

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Up to ``max_iter`` iterations; returns the loss before the first."""
        if closure is None:
            raise TypeError("LBFGS.step() needs a closure that computes the loss and its gradients again")
        group = self.param_groups[0]
        state = self.state[group["params"][0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        with numgrad.enable_grad():
            first = closure()
        state["func_evals"] += 1
        with numgrad.no_grad():
            grad = self._flat_grad()
            if float(grad.abs().max()) > group["tolerance_grad"]:
                self._iterate(closure, group, state, float(first), grad)
        return first

    def _iterate(self, closure: Callable[[], Any], group: dict[str, Any], state: dict[str, Any], loss: float, grad: Tensor) -> None:
        change, evaluations = group["tolerance_change"], 1
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0, d=-grad)
            else:
                self._remember(state, grad, group["history_size"])
                state["d"] = self._direction(state, grad)
            state["prev_flat_grad"], state["prev_loss"] = grad, loss
            t = min(1.0, 1.0 / float(grad.abs().sum())) * group["lr"] if state["n_iter"] == 1 else group["lr"]
            slope = float(grad.dot(state["d"]))
            if slope > -change:
                break
            loss, grad, state["t"], spent = self._advance(closure, group, state["d"], t, loss, grad, slope, iteration)
            evaluations += spent
            state["func_evals"] += spent
            largest = float((state["d"] * state["t"]).abs().max())
            small = largest <= change or abs(loss - state["prev_loss"]) < change
            if evaluations >= group["max_eval"] or float(grad.abs().max()) <= group["tolerance_grad"] or small:
                break

    def _advance(self, closure: Callable[[], Any], group: dict[str, Any], d: Tensor, t: float, loss: float, grad: Tensor, slope: float, iteration: int) -> Any:
        """One step along ``d``: the new loss, its gradient, the step's length, and how often the loss was computed."""
        if group["line_search_fn"] is not None:
            start = [p.clone() for p in group["params"]]
            search = _Search(lambda t: self._evaluate(closure, t, d, start), loss, grad, slope, float(d.abs().max()))
            loss, grad, t, spent = search.run(t)
            self._move(t, d)
            return loss, grad, t, spent
        self._move(t, d)
        if iteration == group["max_iter"]:  # nobody would look at the loss
            return loss, grad, t, 0
        with numgrad.enable_grad():
            loss = float(closure())
        return loss, self._flat_grad(), t, 1
