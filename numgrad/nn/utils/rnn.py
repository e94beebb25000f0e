"""Sequences of different lengths: padded to one length, or packed step by step without padding."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, NamedTuple

import numgrad
from numgrad.tensor import Tensor


class _Fields(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Fields):
    """Sequences sorted by length, longest first, as one tensor: the first elements of all, then the second of those that have one.

    ``batch_sizes`` says how many there are at each step; ``sorted_indices`` how the sequences were sorted, and
    ``unsorted_indices`` how to undo it."""

    def __new__(cls, data: Any, batch_sizes: Any = None, sorted_indices: Tensor | None = None,
                unsorted_indices: Tensor | None = None) -> PackedSequence:
        if batch_sizes is None:
            if not isinstance(data, (list, tuple)) or len(data) != 2:
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The same sequences as another dtype (or on the same device)."""
        data = self.data.to(*args, **kwargs)
        return self if data is self.data else type(self)(data, self.batch_sizes, self.sorted_indices, self.unsorted_indices)

    def cpu(self) -> PackedSequence:
        """Itself."""
        return self.to("cpu")

    def double(self) -> PackedSequence:
        """As float64."""
        return self.to(dtype=numgrad.float64)

    def float(self) -> PackedSequence:
        """As float32."""
        return self.to(dtype=numgrad.float32)

    def long(self) -> PackedSequence:
        """As int64."""
        return self.to(dtype=numgrad.int64)

    @property
    def is_cuda(self) -> bool:
        """False: there is only the CPU."""
        return False


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes another."""
    return None if permutation is None else numgrad.argsort(permutation)


def pack_padded_sequence(input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True) -> PackedSequence:
    """Pack (T, B, *), or (B, T, *) with batch_first, of sequences with these lengths.

    With ``enforce_sorted`` lengths must not grow; else sequences are sorted, and unsorted again by `pad_packed_sequence`."""
    lengths = lengths.to(numgrad.int64) if isinstance(lengths, Tensor) else numgrad.tensor(lengths, dtype=numgrad.int64)
    ordered = None
    if not enforce_sorted:
        lengths, ordered = numgrad.sort(lengths, descending=True)
        input = input.index_select(0 if batch_first else 1, ordered)
    x = input if not batch_first else input.transpose(0, 1)
    sizes = lengths.tolist()
    _check_lengths(sizes, x)
    counts, before, live = [], 0, len(sizes)
    pieces = []
    for length in reversed(sizes):  # between two lengths as many sequences run
        if length > before:
            rows = x[before:length, :live]
            pieces.append(rows.reshape((length - before) * live, *x.shape[2:]))
            counts += [live] * (length - before)
            before = length
        live -= 1
    data = pieces[0] if len(pieces) == 1 else numgrad.cat(pieces)
    return PackedSequence(data, numgrad.tensor(counts, dtype=numgrad.int64), ordered, None)


def _check_lengths(sizes: list[int], x: Tensor) -> None:
    if x.numel() == 0:
        raise RuntimeError("Cannot pack empty tensors.")
    if len(sizes) != x.shape[1]:
        raise RuntimeError(f"Expected `len(lengths)` to be equal to batch_size, but got {len(sizes)} (batch_size={x.shape[1]})")
    if min(sizes) <= 0:
        raise RuntimeError("Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0")
    if any(a < b for a, b in itertools.pairwise(sizes)):
        raise RuntimeError("`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
                           "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement.")
    if sizes[0] > x.shape[0]:
        raise RuntimeError(f"Expected `lengths` to be at most {x.shape[0]}, the size of the padded input, but got {sizes[0]}")


def pad_packed_sequence(sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0,
                        total_length: int | None = None) -> tuple[Tensor, Tensor]:
    """The sequences padded, as (T, B, *) or (B, T, *), and their lengths; T is the longest, or ``total_length``."""
    data, batch_sizes, _, original = sequence
    sizes = batch_sizes.tolist()
    steps, batch = len(sizes), sizes[0]
    if total_length is not None and total_length < steps:
        raise ValueError("Expected total_length to be at least the length of the longest sequence in input, but got "
                         f"total_length={total_length} and max sequence length being {steps}")
    rest, pieces, at, t = tuple(data.shape[1:]), [], 0, 0
    while t < steps:
        n, until = sizes[t], t
        while until < steps and sizes[until] == n:
            until += 1
        rows = data[at : at + (until - t) * n].reshape(until - t, n, *rest)
        if n < batch:
            rows = numgrad.cat([rows, numgrad.full((until - t, batch - n, *rest), padding_value, dtype=data.dtype)], 1)
        pieces.append(rows)
        at, t = at + (until - t) * n, until
    if total_length is not None and total_length > steps:
        pieces.append(numgrad.full((total_length - steps, batch, *rest), padding_value, dtype=data.dtype))
    padded = pieces[0] if len(pieces) == 1 else numgrad.cat(pieces)
    lengths = numgrad.tensor([sum(n > b for n in sizes) for b in range(batch)], dtype=numgrad.int64)
    if original is not None:
        padded, lengths = padded.index_select(1, original), lengths[original]
    return padded.transpose(0, 1) if batch_first else padded, lengths


def pad_sequence(sequences: Any, batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right") -> Tensor:
    """Tensors (length, *) as one (T, B, *), or (B, T, *) with batch_first: shorter ones are filled up on one side."""
    if isinstance(sequences, Tensor):
        sequences = sequences.unbind(0)
    if not isinstance(sequences, Iterable):
        raise RuntimeError(f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}")
    sequences = list(sequences)
    if not sequences:
        raise RuntimeError("pad_sequence: received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    longest, filled = max(s.shape[0] for s in sequences), []
    for s in sequences:
        missing = longest - s.shape[0]
        if missing:
            padding = numgrad.full((missing, *s.shape[1:]), padding_value, dtype=s.dtype)
            s = numgrad.cat([s, padding] if padding_side == "right" else [padding, s])
        filled.append(s)
    return numgrad.stack(filled, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """The sequences of a padded tensor, each (length, *)."""
    rows = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [row[:length] for row, length in zip(rows.unbind(0), lengths.tolist(), strict=True)]


def pack_sequence(sequences: list[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack tensors (length, *)."""
    lengths = numgrad.tensor([s.shape[0] for s in sequences], dtype=numgrad.int64)
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences that were packed, each (length, *)."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
