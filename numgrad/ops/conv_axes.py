"""Correlations along one dimension: what a convolution is in each of its dimensions, and the gradient of its input.

Output place t of a dimension sees the places t * step + shift of what is read, one shift for each kernel position ("tap"). The
gradient of the input of a strided convolution is one such correlation for each remainder of the places modulo the stride, a
phase, which has the taps that hit it and writes every stride-th place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Phase(NamedTuple):
    """Output places start, start + out_step, ...: `count` of them, and the taps each sees: (kernel position, shift)."""

    start: int
    count: int
    taps: list[tuple[int, int]]


class Axis(NamedTuple):
    """A correlation along one dimension of what is read (`size`) and written (`out`)."""

    size: int
    out: int
    kernel: int
    step: int
    out_step: int
    phases: list[Phase]

    @property
    def low(self) -> int:
        """The lowest shift of a tap: below 0 where there is padding."""
        return min((shift for phase in self.phases for _, shift in phase.taps), default=0)

    @property
    def span(self) -> int:
        """From the lowest to the highest shift of a tap."""
        return max((shift for phase in self.phases for _, shift in phase.taps), default=0) - self.low

    @property
    def count(self) -> int:
        """Places of the longest phase."""
        return max(phase.count for phase in self.phases)

    @property
    def inside(self) -> bool:
        """Whether no tap falls into padding."""
        return self.low >= 0 and all((p.count - 1) * self.step + shift < self.size for p in self.phases for _, shift in p.taps)

    @property
    def identity(self) -> bool:
        """Whether every place reads just the place of its own number."""
        return self.kernel == 1 and self.step == self.out_step == 1 and self.size == self.out and self.phases[0].taps == [(0, 0)]


def forward_axis(size: int, out: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int) -> Axis:
    """The convolution itself."""
    return Axis(size, out, kernel, stride, 1, [Phase(0, out, [(k, k * dilation - padding[0]) for k in range(kernel)])])


def gradient_axis(size: int, out: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int) -> Axis:
    """From the gradient of the output to that of the input."""
    phases = []
    for r in range(min(stride, size)):
        reached = [(k, (r + padding[0] - k * dilation) // stride) for k in range(kernel) if (r + padding[0] - k * dilation) % stride == 0]
        phases.append(Phase(r, -(-(size - r) // stride), reached))
    return Axis(out, size, kernel, 1, stride, phases)


def merged(axes: Sequence[Axis]) -> list[Axis]:
    """Neighbouring dimensions in which nothing happens as one, so that rows are long."""
    result = [axes[0]]
    for axis in axes[1:]:
        if axis.identity and result[-1].identity:
            n = axis.size * result.pop().size
            axis = Axis(n, n, 1, 1, 1, [Phase(0, n, [(0, 0)])])
        result.append(axis)
    return [forward_axis(1, 1, 1, 1, (0, 0), 1)] * (3 - len(result)) + result


def share_inside(axis: Axis) -> float:
    """The share of taps that are inside of what is read."""
    seen = np.concatenate([inside_of(axis, phase).reshape(-1) for phase in axis.phases])
    return float(seen.mean()) if seen.size else 1.0


def inside_of(axis: Axis, phase: Phase) -> np.ndarray:
    """Which taps of each place are inside of what is read."""
    read = np.arange(phase.count)[:, None] * axis.step + np.array([shift for _, shift in phase.taps], np.int64)
    return (read >= 0) & (read < axis.size)


def outer_sum(parts: Sequence[np.ndarray]) -> np.ndarray:
    """a[i] + b[j] + c[k] for all i, j, k, flat."""
    a, b, c = parts
    return (a[:, None, None] + b[:, None] + c).reshape(-1)
