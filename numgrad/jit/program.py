"""Programs: lists of kernel calls that run as one native call.

A call is the address of a kernel's native code and a block of 64-bit words: sizes, scalars, and for each array the number
of the memory it lies in and an offset there. Memories are given by a table of addresses, so a program can run again on
other inputs by changing the table. A small function of LLVM IR, one for each form of block, unpacks a block into a call.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.ir as ir
import numpy as np
from numba import types

from . import threads
from .clock import clock, stamp
from .kernel import DISABLED, GRAIN, observers
from .machine import functions
from .steps import Call, Fill, Place, Tail, Verify, signature_of

__all__ = ["Call", "Fill", "Place", "Program", "Tail", "Verify", "native", "signature_of"]

_WORD, _STATUS, _BYTES = ir.IntType(64), ir.IntType(32), ir.IntType(8).as_pointer()
_WORDS = _WORD.as_pointer()


class Program:
    """Calls that run one after the other. `memories` counts the memories that their places name."""

    def __init__(self, steps: Sequence[Any], memories: int):
        self.steps = list(steps)
        self.lines = [""] * len(self.steps)  # of the code that each step stands for
        self.addresses = np.zeros(max(memories, 1), np.int64)
        self._parallel = _parallel(self.steps)
        self._assembled: dict[bool, tuple[Any, ...]] = {}  # with the parallel twins of kernels where they pay, and without

    def _assemble(self, parallel: bool) -> tuple[Any, ...]:
        blocks = [_block(step, parallel and own) for step, own in zip(self.steps, self._parallel, strict=True)]
        entries = _entries({form for form, _, _ in blocks})
        words = np.array([word for _, _, block in blocks for word in block] or [0], np.int64)
        table, at = [], words.ctypes.data
        for form, function, block in blocks:
            table += [entries[form], function, at]
            at += 8 * len(block)
        rows = np.array(table or [0], np.int64)
        # Blocks and memories are found by address: the arrays must live, and stay where they are, as long as the program.
        state = np.array([rows.ctypes.data, len(blocks), self.addresses.ctypes.data, 0, 0], np.int64)
        made = (_walker(), state.ctypes.data, state, rows, words)
        self._assembled[parallel] = made
        return made

    def run(self) -> int:
        """Run all; the number of the step whose report stopped it, or -1."""
        if observers:
            return self._run_observed()
        return self._run()

    def _run(self) -> int:
        if DISABLED:
            return self._interpret()
        pooled = True in self._parallel and threads.acquire()
        try:
            walk, state, *_ = self._assembled.get(pooled) or self._assemble(pooled)
            return walk(state)
        finally:
            if pooled:
                threads.release()

    def _run_observed(self) -> int:
        """With a look at the clock, after each step if that is asked for."""
        if not any(observer.each_step for observer in observers):
            start = time.perf_counter_ns()
            stopped = self._run()
            for observer in observers:
                observer.replayed([self], [""], [start, time.perf_counter_ns()])
            return stopped
        pooled = True in self._parallel and threads.acquire()
        try:
            times, stopped = self._interpret_timed() if DISABLED else self._run_timed(pooled)
        finally:
            if pooled:
                threads.release()
        for observer in observers:
            observer.replayed(self.steps, self.lines, times)
        return stopped

    def _run_timed(self, pooled: bool) -> tuple[Any, int]:
        """Times (ns) before each step and after the last; the step that stopped the program, or -1. Where native code finds no
        clock, Python looks at its own, and what that costs counts as the steps'."""
        walk, _, state, *_ = self._assembled.get(pooled) or self._assemble(pooled)
        table, count, memories, *_ = state
        look = clock()
        if look:
            times = np.empty(count + 1, np.int64)
            words = np.array([table, count, memories, times.ctypes.data, look], np.int64)
            stopped = walk(words.ctypes.data)  # of a variable: the words must live while they are read
            return times[: count + 1 if stopped < 0 else stopped + 2], stopped
        looks, stopped = [time.perf_counter_ns()], -1
        for number in range(count):
            row = np.array([table + 24 * number, 1, memories, 0, 0], np.int64)  # a row of the table is three words
            stopped = -1 if walk(row.ctypes.data) < 0 else number
            looks.append(time.perf_counter_ns())
            if stopped >= 0:
                break
        return looks, stopped

    def _interpret_timed(self) -> tuple[Any, int]:
        looks, stopped = [time.perf_counter_ns()], -1
        for number in range(len(self.steps)):
            stopped = self._interpret(number, number + 1)
            looks.append(time.perf_counter_ns())
            if stopped >= 0:
                break
        return looks, stopped

    def _interpret(self, first: int = 0, stop: int | None = None) -> int:
        for number, step in enumerate(self.steps[first:stop], first):
            if type(step) is Call:
                self._tell(step)
                step.kernel.serial(*[self.array(a) if type(a) is Place else a for a in step.args])
            elif type(step) is Fill:
                self.array(step.place)[...] = 0
            elif (self.array(step.report) != -1).any():
                return number
        return -1

    def _tell(self, step: Call) -> None:
        """Tell the table of a step's tail where arrays are now."""
        if step.tail is not None:
            for word, place in zip(step.tail.words, (step.args[0], *step.tail.operands), strict=True):
                self.array(step.tail.table)[word] = self.addresses[place.memory] + place.offset

    def array(self, place: Place) -> np.ndarray:
        """The array that lies at a place now; it does not keep its memory alive."""
        size = int(np.prod(place.shape, dtype=np.int64))
        if size == 0:
            return np.empty(place.shape, place.dtype)
        last = sum((n - 1) * s for n, s in zip(place.shape, place.strides, strict=True)) + place.dtype.itemsize
        raw = (ctypes.c_char * last).from_address(int(self.addresses[place.memory]) + place.offset)
        return np.ndarray(place.shape, place.dtype, raw, 0, place.strides)


# --- threads --------------------------------------------------------------------------------------------------------
# In element operations, `launch`'s measure of work, of which a core does about four in a nanosecond.

_LAUNCH = 4_096  # to start threads that are awake and wait for the next launch
_WAKE = 131_072  # and threads that sleep; they fall asleep after
_WAITING = 200_000


def _parallel(steps: Sequence[Any]) -> list[bool]:
    """Which steps run on all threads: those that do by themselves, and where threads are kept awake by one launch soon after
    the other, those too for which it pays then."""
    work = [s.work if type(s) is Call else 0 for s in steps]
    found, run, idle = [w >= GRAIN for w in work], [], 0
    for n, w in enumerate([*work, _WAITING + 1]):
        if idle > _WAITING or n == len(work):  # the threads sleep: was it worth while to wake them?
            if sum(work[k] // 2 - _LAUNCH for k in run) > _WAKE:
                for k in run:
                    found[k] = True
            run, idle = [], 0
        if w >= 4 * _LAUNCH:
            run.append(n)
            idle = 0
        else:
            idle += w
    return found


# --- blocks ---------------------------------------------------------------------------------------------------------
# The form of a block has a letter for each argument of the native function: p a pointer into a memory (two words), i an
# integer, f a float, d a double; before them a t for each address (two words) that is put at a place (two more) first. And two
# forms of their own: "fill" and "verify".


def _block(step: Any, parallel: bool) -> tuple[str, int, list[int]]:
    """The form of a step's block, the address of its native code, and the block's words."""
    if type(step) is Fill:
        return "fill", 0, [step.place.memory, step.place.offset, _bytes(step.place)]
    if type(step) is Verify:
        return "verify", 0, [step.report.memory, step.report.offset, step.report.shape[0]]
    compiled = step.kernel.native(step.signature, parallel)
    form, words = _told(step)
    for a, kind in zip(step.args, step.signature, strict=True):
        letters, values = _unpacked(a, kind)
        form += letters
        words += values
    return form, compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name), words


def _told(step: Call) -> tuple[str, list[int]]:
    if step.tail is None:
        return "", []
    table, of = step.tail.table, (step.args[0], *step.tail.operands)
    words = [[table.memory, table.offset + 8 * w, p.memory, p.offset] for w, p in zip(step.tail.words, of, strict=True)]
    return "t" * len(words), [word for four in words for word in four]


def _bytes(place: Place) -> int:
    return int(np.prod(place.shape, dtype=np.int64)) * place.dtype.itemsize


def _unpacked(value: Any, kind: Any) -> tuple[str, list[int]]:
    """How Numba passes an argument of a type: the letters of its parts, and their words."""
    if isinstance(kind, types.Array):
        size = int(np.prod(value.shape, dtype=np.int64))
        head = [0, 0, size, value.dtype.itemsize, value.memory, value.offset]  # memory info and parent: none
        return "iiiip" + "ii" * len(value.shape), [*head, *value.shape, *value.strides]
    if isinstance(kind, (types.UniTuple, types.Tuple)):
        parts = [_unpacked(v, k) for v, k in zip(value, kind, strict=True)]
        return "".join(letters for letters, _ in parts), [word for _, words in parts for word in words]
    if isinstance(kind, types.Float):
        dtype = np.float32 if kind.bitwidth == 32 else np.float64
        word = int(np.array([value], dtype).view(np.uint32 if kind.bitwidth == 32 else np.int64)[0])
        return "f" if kind.bitwidth == 32 else "d", [word]
    if isinstance(kind, (types.Integer, types.Boolean)):
        return "i", [int(np.array([int(value)]).astype(np.uint64).astype(np.int64)[0]) if int(value) >= 2**63 else int(value)]
    raise NotImplementedError(f"a kernel's argument of type {kind} cannot be recorded")


# --- native code ----------------------------------------------------------------------------------------------------

_made: dict[str, int] = {}
_making = threading.Lock()


def _entries(forms: set[str]) -> dict[str, int]:
    """The address of the function that unpacks each form of block."""
    with _making:
        missing = sorted(forms - _made.keys())
        if missing:
            _make("entries", dict.fromkeys(missing, _entry_ir))
        return {form: _made[form] for form in forms}


def native(name: str, make: Callable[[ir.Module, str], None]) -> int:
    """The address of a function of our own that `make(module, name)` writes as IR, compiled once."""
    with _making:
        if name not in _made:
            _make(name, {name: lambda module, symbol, _: make(module, symbol)})
        return _made[name]


def _walker() -> Any:
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(native("walk", _walk_ir))


def _make(name: str, makers: dict[str, Any]) -> None:
    """Compile functions by the names of `makers`, or find them in the cache."""

    def write(module: ir.Module) -> list[str]:
        symbols = [f"numgrad_{name}_{n}" for n in range(len(makers))]
        for symbol, (form, make) in zip(symbols, makers.items(), strict=True):
            make(module, symbol, form)
        return symbols

    _made.update(zip(makers, functions(f"numgrad_{name}", write, repr(list(makers))), strict=True))


# A function that unpacks: status entry(address of native code, block, table of memories). Not 0 stops the program.
_ENTRY = ir.FunctionType(_STATUS, [_WORD, _WORDS, _WORDS])


def _entry_ir(module: ir.Module, name: str, form: str) -> None:
    function = ir.Function(module, _ENTRY, name)
    builder = ir.IRBuilder(function.append_basic_block())
    target, block, memories = function.args

    def word(n: int) -> Any:
        return builder.load(builder.gep(block, [_WORD(n)]))

    def address(n: int) -> Any:
        return builder.add(builder.load(builder.gep(memories, [word(n)])), word(n + 1))

    if form == "fill":
        start = builder.inttoptr(address(0), _BYTES)
        fill = module.declare_intrinsic("llvm.memset", [_BYTES, _WORD])
        builder.call(fill, [start, ir.IntType(8)(0), word(2), ir.IntType(1)(0)])
        builder.ret(_STATUS(0))
    elif form == "verify":
        _verify_ir(builder, function, builder.inttoptr(address(0), _WORDS), word(2))
    else:
        builder.ret(_call_ir(builder, target, form, word, address))


def _call_ir(builder: Any, target: Any, form: str, word: Any, address: Any) -> Any:
    """The call of a kernel as Numba makes it: a place for the result, one for an exception, then every argument's parts."""
    values, n = [], 0
    for letter in form:
        if letter == "t":
            builder.store(address(n + 2), builder.inttoptr(address(n), _WORDS))
            n += 3
        elif letter == "p":
            values.append(address(n))
            n += 1
        elif letter == "i":
            values.append(word(n))
        elif letter == "d":
            values.append(builder.bitcast(word(n), ir.DoubleType()))
        else:
            values.append(builder.bitcast(builder.trunc(word(n), ir.IntType(32)), ir.FloatType()))
        n += 1
    signature = ir.FunctionType(_STATUS, [_WORDS, _BYTES.as_pointer(), *[v.type for v in values]])
    result, exception = builder.alloca(_WORD), builder.alloca(_BYTES)
    return builder.call(builder.inttoptr(target, signature.as_pointer()), [result, exception, *values])


def _verify_ir(builder: Any, function: Any, report: Any, count: Any) -> None:
    """1 if any word of a report is not -1."""
    head, body, bad, good = (function.append_basic_block(n) for n in ("head", "body", "bad", "good"))
    at = builder.alloca(_WORD)
    builder.store(_WORD(0), at)
    builder.branch(head)
    builder.position_at_end(head)
    builder.cbranch(builder.icmp_signed("<", builder.load(at), count), body, good)
    builder.position_at_end(body)
    i = builder.load(at)
    builder.store(builder.add(i, _WORD(1)), at)
    builder.cbranch(builder.icmp_signed("==", builder.load(builder.gep(report, [i])), _WORD(-1)), head, bad)
    builder.position_at_end(bad)
    builder.ret(_STATUS(1))
    builder.position_at_end(good)
    builder.ret(_STATUS(0))


def _walk_ir(module: ir.Module, name: str) -> None:
    """walk(walk's words): call entry(function, block) for each row of the table; the first that stops, or -1. Should the words have
    a place for times, the clock is looked at before each row and after the last."""
    function = ir.Function(module, ir.FunctionType(_WORD, [_WORDS]), name)
    look = stamp(module, f"{name}_stamp")
    start, head, body, stop, done = (function.append_basic_block(n) for n in ("start", "head", "body", "stop", "done"))
    builder = ir.IRBuilder(start)
    table, count, memories, times, clock = (builder.load(builder.gep(function.args[0], [_WORD(k)])) for k in range(5))
    table, memories = (builder.inttoptr(a, _WORDS) for a in (table, memories))
    builder.branch(head)
    builder.position_at_end(head)
    i = builder.phi(_WORD)
    builder.call(look, [times, i, clock])
    builder.cbranch(builder.icmp_signed("<", i, count), body, done)
    builder.position_at_end(body)
    row = builder.gep(table, [builder.mul(i, _WORD(3))])
    entry, target, block = (builder.load(builder.gep(row, [_WORD(k)])) for k in range(3))
    status = builder.call(builder.inttoptr(entry, _ENTRY.as_pointer()), [target, builder.inttoptr(block, _WORDS), memories])
    following = builder.add(i, _WORD(1))
    i.add_incoming(_WORD(0), start)
    i.add_incoming(following, body)
    builder.cbranch(builder.icmp_signed("==", status, _STATUS(0)), head, stop)
    builder.position_at_end(stop)
    builder.call(look, [times, following, clock])
    builder.ret(i)
    builder.position_at_end(done)
    builder.ret(_WORD(-1))
