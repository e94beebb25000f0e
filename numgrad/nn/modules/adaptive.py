"""A softmax over very many classes, of which the rare ones are asked for in groups."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from typing import Any

import numgrad
from numgrad.nn import functional as F
from numgrad.nn.modules.container import ModuleList, Sequential
from numgrad.nn.modules.linear import Linear
from numgrad.nn.modules.module import Module
from numgrad.tensor import Tensor

_Output = namedtuple("ASMoutput", ["output", "loss"])


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log probabilities of targets, and their mean loss (Grave et al., "Efficient softmax approximation for GPUs", 2017).

    Classes are numbered by how often they come: those below ``cutoffs[0]`` are scored at once, together with one score for each
    further group, whose own classes are scored from ``in_features / div_value**group`` numbers, and only where they are targets.
    (N, in_features) or (in_features,), and targets (N,) or ()."""

    def __init__(self, in_features: int, n_classes: int, cutoffs: Sequence[int], div_value: float = 4.0, head_bias: bool = False,
                 device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        cutoffs = list(cutoffs)
        if not cutoffs:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        if cutoffs != sorted(set(map(int, cutoffs))) or cutoffs[0] <= 0 or cutoffs[-1] > n_classes - 1:
            raise ValueError("cutoffs should be a sequence of unique, positive integers sorted in an increasing order, where each "
                             f"value is between 1 and n_classes-1, but got {cutoffs} for {n_classes} classes")
        self.in_features, self.n_classes, self.cutoffs, self.div_value, self.head_bias = in_features, n_classes, [*cutoffs, n_classes], div_value, head_bias
        self.shortlist_size, self.n_clusters = cutoffs[0], len(cutoffs)
        self.head_size = self.shortlist_size + self.n_clusters
        made = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **made)
        self.tail = ModuleList()
        for i, (low, high) in enumerate(self._groups()):
            between = int(in_features // div_value ** (i + 1))
            self.tail.append(Sequential(Linear(in_features, between, bias=False, **made), Linear(between, high - low, bias=False, **made)))

    def _groups(self) -> list[tuple[int, int]]:
        """The first class of each group after the first, and the one after its last."""
        return list(zip(self.cutoffs, self.cutoffs[1:]))

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        for layer in [self.head, *(part for group in self.tail for part in group)]:
            layer.reset_parameters()

    def forward(self, input: Tensor, target: Tensor) -> Any:
        """The log probability of each target, as `output`, and `loss`."""
        if (input.dim(), target.dim()) not in ((2, 1), (1, 0)):
            raise RuntimeError(f"0D or 1D target tensor expected, with 1D or 2D input, but got {target.dim()}D and {input.dim()}D")
        if target.dim() and len(input) != len(target):
            raise RuntimeError(f"Input and target should have the same size in the batch dimension, but got {len(input)} and {len(target)}")
        x, wanted = (input, target) if target.dim() else (input.unsqueeze(0), target.unsqueeze(0))
        if wanted.numel() and (int(wanted.min()) < 0 or int(wanted.max()) >= self.n_classes):
            raise RuntimeError(f"Target values should be in [0, {self.n_classes - 1}], but values in range "
                               f"[{int(wanted.min())}, {int(wanted.max())}] were found.")
        at, parts = wanted, []
        for i, ((low, high), tail) in enumerate(zip(self._groups(), self.tail, strict=True)):
            inside = (wanted >= low) & (wanted < high)
            at = at.masked_fill(inside, self.shortlist_size + i)
            rows = inside.nonzero().squeeze(1)
            if len(rows):
                parts.append((rows, F.log_softmax(tail(x[rows]), 1).gather(1, (wanted[rows] - low).unsqueeze(1)).squeeze(1)))
        output = F.log_softmax(self.head(x), 1).gather(1, at.unsqueeze(1)).squeeze(1)
        for rows, found in parts:
            output = output.index_add(0, rows, found)
        loss = (-output).mean()
        return _Output(output if target.dim() else output.squeeze(0), loss)

    def log_prob(self, input: Tensor) -> Tensor:
        """Log probabilities of all classes, (N, n_classes)."""
        head = F.log_softmax(self.head(input), 1)
        tails = [F.log_softmax(tail(input), 1) + head[:, self.shortlist_size + i].unsqueeze(1) for i, tail in enumerate(self.tail)]
        return numgrad.cat([head[:, : self.shortlist_size], *tails], 1)

    def predict(self, input: Tensor) -> Tensor:
        """The likeliest class of each row."""
        return self.log_prob(input).argmax(1)
