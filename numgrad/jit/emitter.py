"""Vector code for one element type, written as LLVM's intermediate language: what tiles, sweeps and convolutions are made of."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from .machine import features

_I32, _I64 = ir.IntType(32), ir.IntType(64)


def _target() -> tuple[int, int, bool]:
    """Bytes of a vector register, their number, and whether a mask costs loads and stores nothing; of the CPU compiled for."""
    found = features()
    if "+avx512f" in found:
        return 64, 32, True
    if "+avx" in found:
        return 32, 16, False  # masked stores are many times slower, with all lanes used, too
    return 16, 32 if platform.machine().lower() in ("arm64", "aarch64") else 16, False


VECTOR_BYTES, REGISTERS, MASKS = _target()


class Emitter:
    """Writes vector code for one element type."""

    def __init__(self, dtype: np.dtype):
        self.builder: Any = None
        self.floating = dtype.kind == "f"
        self.scalar = {4: ir.FloatType(), 8: ir.DoubleType()}[dtype.itemsize] if self.floating else ir.IntType(8 * dtype.itemsize)
        self.lanes = VECTOR_BYTES // dtype.itemsize
        self.vector = ir.VectorType(self.scalar, self.lanes)
        self.zero = ir.Constant(self.vector, [0] * self.lanes)
        self._suffix = f"v{self.lanes}{'f' if self.floating else 'i'}{VECTOR_BYTES * 8 // self.lanes}"

    def function(self, module: ir.Module, name: str, parameters: str) -> list[Any]:
        """Begin a function; of its parameters, those of one letter are pointers, the others integers. Returns its arguments."""
        kinds = [self.scalar.as_pointer() if len(p) == 1 else _I64 for p in parameters.split()]
        made = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
        self.builder = ir.IRBuilder(made.append_basic_block("entry"))
        return list(made.args)

    def index(self, value: int) -> Any:
        """An integer constant."""
        return ir.Constant(_I64, value)

    def _as_vector(self, pointer: Any, lanes: int | None = None) -> Any:
        return self.builder.bitcast(pointer, (self.vector if lanes is None else ir.VectorType(self.scalar, lanes)).as_pointer())

    def _intrinsic(self, name: str, result: Any, arguments: list[Any]) -> Any:
        module = self.builder.module
        found = module.globals.get(name) or ir.Function(module, ir.FunctionType(result, [a.type for a in arguments]), name)
        return self.builder.call(found, arguments)

    def mask(self, count: Any) -> Any:
        """True for the first `count` lanes."""
        lanes = ir.Constant(ir.VectorType(_I32, self.lanes), list(range(self.lanes)))
        return self.builder.icmp_signed("<", lanes, self.splat(self.builder.trunc(count, _I32), lanes.type))

    def load(self, pointer: Any, mask: Any = None, lanes: int | None = None) -> Any:
        """A vector (or `lanes` of its elements) from memory that need not be aligned; 0 where the mask is false."""
        address = self._as_vector(pointer, lanes)
        if mask is None:
            return self.builder.load(address, align=1)
        one = ir.Constant(_I32, 1)
        return self._intrinsic(f"llvm.masked.load.{self._suffix}.p0", self.vector, [address, one, mask, self.zero])

    def store(self, value: Any, pointer: Any, mask: Any = None, lanes: int | None = None) -> None:
        """Into memory that need not be aligned, where the mask is true."""
        address = self._as_vector(pointer, lanes)
        if mask is None:
            self.builder.store(value, address, align=1)
        else:
            one = ir.Constant(_I32, 1)
            self._intrinsic(f"llvm.masked.store.{self._suffix}.p0", ir.VoidType(), [value, address, one, mask])

    def splat(self, scalar: Any, kind: Any = None) -> Any:
        """A vector of one number."""
        undefined = ir.Constant(kind or self.vector, ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, ir.Constant(_I32, 0))
        return self.builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_I32, self.lanes), [0] * self.lanes))

    def multiply_add(self, a: Any, b: Any, total: Any) -> Any:
        """a * b + total, in one instruction where the CPU has it."""
        if not self.floating:
            return self.builder.add(self.builder.mul(a, b), total)
        return self._intrinsic(f"llvm.fmuladd.{self._suffix}", self.vector, [a, b, total])

    def add(self, a: Any, b: Any) -> Any:
        """a + b."""
        return self.builder.fadd(a, b) if self.floating else self.builder.add(a, b)

    def shuffle(self, a: Any, b: Any, lanes: list[int]) -> Any:
        """The lanes of a and, counted on from them, of b, in another order."""
        return self.builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_I32, len(lanes)), lanes))

    def loop(self, count: Any, starts: list[Any], steps: list[Any], sums: int, body: Any, initial: list[Any] | None = None) -> list[Any]:
        """Run body(pointers, sums) -> sums `count` times, each pointer moving on by its step; the sums start at `initial`, else 0."""
        builder = self.builder
        before = builder.block
        head, inside, after = (builder.append_basic_block(n) for n in ("head", "depth", "after"))
        builder.branch(head)
        builder.position_at_end(head)
        counter, pointers = builder.phi(_I64), [builder.phi(p.type) for p in starts]
        totals = [builder.phi(self.vector) for _ in range(sums)]
        builder.cbranch(builder.icmp_signed("<", counter, count), inside, after)
        builder.position_at_end(inside)
        new = body(pointers, totals)
        moved = [builder.gep(p, [s]) for p, s in zip(pointers, steps, strict=True)]
        firsts, thens = [self.index(0), *starts, *(initial or [self.zero] * sums)], [builder.add(counter, self.index(1)), *moved, *new]
        for phi, first, then in zip([counter, *pointers, *totals], firsts, thens, strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(then, builder.block)  # the body may have made blocks of its own
        builder.branch(head)
        builder.position_at_end(after)
        return totals

    def prefetch(self, pointer: Any, writes: bool = True) -> None:
        """Ask for the cache line of an element that is going to be written, or read: kept in all caches, 3, and data, 1."""
        self._intrinsic("llvm.prefetch.p0", ir.VoidType(), [pointer, *[ir.Constant(_I32, v) for v in (int(writes), 3, 1)]])

    def pieces(self, count: Any, body: Callable[[Any, int], None]) -> None:
        """Run body(first, lanes) for what of the first `count` lanes has 1, 2, 4, ... of them: where masked stores are slow."""
        builder, lanes = self.builder, self.lanes // 2
        while lanes:
            with builder.if_then(builder.icmp_signed("!=", builder.and_(count, self.index(lanes)), self.index(0))):
                body(builder.and_(count, self.index(-2 * lanes)), lanes)
            lanes //= 2

    def store_first(self, value: Any, pointer: Any, count: Any, mask: Any) -> None:
        """The first `count` of a vector's lanes, fewer than all, of this or another type, into memory; `mask` is theirs."""
        builder, kind = self.builder, value.type.element
        if MASKS:
            letter, bits = ("i", kind.width) if isinstance(kind, ir.IntType) else ("f", 32 if isinstance(kind, ir.FloatType) else 64)
            address = builder.bitcast(pointer, value.type.as_pointer())
            given = [value, address, ir.Constant(_I32, 1), mask]
            self._intrinsic(f"llvm.masked.store.v{self.lanes}{letter}{bits}.p0", ir.VoidType(), given)
            return
        with builder.goto_entry_block():
            room = builder.alloca(value.type)
        builder.store(value, room)
        room = builder.bitcast(room, kind.as_pointer())

        def piece(first: Any, lanes: int) -> None:
            part = ir.VectorType(kind, lanes).as_pointer()
            source, target = (builder.bitcast(builder.gep(p, [first]), part) for p in (room, pointer))
            builder.store(builder.load(source, align=1), target, align=1)

        self.pieces(count, piece)

    def put(self, total: Any, pointer: Any, accumulate: Any, lanes: int | None = None, count: Any = None, mask: Any = None) -> None:
        """Store, or add to what is there: a vector, one of another number of lanes, or the first `count` lanes, whose mask it is."""

        def store(value: Any) -> None:
            if mask is None:
                self.store(value, pointer, lanes=lanes)
            else:
                self.store_first(value, pointer, count, mask)

        with self.builder.if_else(self.builder.icmp_signed("!=", accumulate, self.index(0))) as (adds, sets):
            with adds:
                store(self.add(self.load(pointer, mask, lanes), total))
            with sets:
                store(total)
