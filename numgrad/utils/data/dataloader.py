"""DataLoader: batches of a dataset, made in this process or ahead of time by others."""

from __future__ import annotations

import itertools
import multiprocessing
import sys
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import reduction
from multiprocessing.context import BaseContext
from typing import Any, Generic, TypeVar

from . import position
from .collate import default_collate, default_convert
from .dataset import IterableDataset
from .iterators import BatchIterator, MultiProcessIterator, SingleProcessIterator
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler
from .worker import Recipe

T = TypeVar("T")


class DataLoader(Generic[T]):
    """Batches of `dataset`, in an order drawn anew for each `for` loop.

    Args:
        dataset: something with `__getitem__` and `__len__`, or an IterableDataset.
        batch_size: samples a batch; None gives the samples themselves.
        shuffle: visit in random order, drawn from `generator` or else from the global one.
        sampler, batch_sampler: the order of indices, or of lists of indices, in place of `shuffle` and `batch_size`.
        num_workers: processes that prepare batches while this one trains; 0 prepares them here.
        collate_fn: makes a batch of a list of samples (`default_collate`; `default_convert` where batch_size is None).
        pin_memory, pin_memory_device: accepted and without effect, for all memory is the CPU's.
        drop_last: leave out a last batch that is not full.
        timeout: seconds to wait for a batch from a worker before a RuntimeError; 0 waits for ever.
        worker_init_fn: called in each worker with its id, after its random generators were seeded.
        multiprocessing_context: a start method or context; by default workers are forked where that is safe.
        generator: the source of the order of samples and of the workers' seeds.
        prefetch_factor: batches each worker prepares ahead (default 2).
        persistent_workers: keep the workers from one epoch to the next.
        in_order: False hands out batches as they are ready, whichever worker they come from.

    The order of batches and samples depends on the generator alone, not on the number of workers or their speed.
    Worker w seeds numgrad, `random` and NumPy from base_seed + w, and base_seed is drawn from `generator` when the
    workers start. An exception in a worker is raised here with the worker's traceback in its message.
    """

    _fixed = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Sampler | Iterable | None = None,
        batch_sampler: Sampler | Iterable | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: str | BaseContext | None = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.persistent_workers = persistent_workers
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.generator = generator
        self.in_order = in_order
        self.multiprocessing_context = multiprocessing_context
        self._is_stream = isinstance(dataset, IterableDataset)
        if self._is_stream:
            _check_stream(shuffle, sampler, batch_sampler)
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
                )
            batch_size, drop_last = None, False
        elif batch_size is None and drop_last:
            raise ValueError("batch_size=None gives samples one by one, which is mutually exclusive with drop_last")
        if sampler is None and not self._is_stream:
            sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if self._is_stream:
            sampler = itertools.repeat(None)
        if batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)  # type: ignore[arg-type]
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.collate_fn = collate_fn or (default_convert if batch_sampler is None else default_collate)
        self._iterator: MultiProcessIterator | None = None
        self._position: position.Position | None = None
        self._resumed: dict[str, Any] | None = None
        self._initialized = True

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._fixed and getattr(self, "_initialized", False):
            raise ValueError(f"{name} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(name, value)

    @property
    def multiprocessing_context(self) -> BaseContext | None:
        """How workers are started; None for the default way."""
        return self._multiprocessing_context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context: str | BaseContext | None) -> None:
        self._multiprocessing_context = None if context is None else _as_context(context, self.num_workers)

    def __iter__(self) -> Iterator:
        resumed, self._resumed = self._resumed, None
        here = self._position = position.Position(self, resumed)
        if self.num_workers == 0:
            return SingleProcessIterator(self, here)
        if not self.persistent_workers:
            return MultiProcessIterator(self, here)
        if self._iterator is None or self._iterator.stopped or resumed is not None:
            self._iterator = MultiProcessIterator(self, here)
        else:
            self._iterator.restart(self, here)
        return self._iterator

    def state_dict(self) -> dict[str, Any]:
        """Where the newest iterator is: how many batches it handed out, and what their order was drawn from; for `numgrad.save`.

        Order, and what workers draw at random, go on from there bit for bit. The global generator is not part of it: save
        `numgrad.get_rng_state()` beside it. A sampler that draws from elsewhere is to be put back by its owner.
        """
        if self._resumed is not None:
            return dict(self._resumed)
        return position.fresh(self) if self._position is None else self._position.state()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Let the next `for` loop go on where the one stood that `state_dict` was taken of.

        Samples that were handed out are passed by without being fetched, but for an IterableDataset, which runs through them.
        ValueError for the state of a loader with another batch size or another kind of generator.
        """
        self._resumed = position.check(self, state_dict)

    def __len__(self) -> int:
        """The number of batches; for an IterableDataset what its `__len__` promises."""
        if self._is_stream:
            count = len(self.dataset)
            if self.batch_size is None:
                return count
            return count // self.batch_size if self.drop_last else -(-count // self.batch_size)
        return len(self._order())  # type: ignore[arg-type]

    def _order(self) -> Iterable:
        return self.sampler if self.batch_sampler is None else self.batch_sampler  # type: ignore[return-value]

    def _tasks(self) -> Iterator:
        return itertools.repeat(None) if self._is_stream else iter(self._order())

    def _recipe(self) -> Recipe:
        return Recipe(
            self.dataset,
            self.collate_fn,
            is_stream=self._is_stream,
            batched=self.batch_sampler is not None,
            batch_size=self.batch_size,
            drop_last=self.drop_last,
            gather=self.collate_fn is default_collate,
        )

    def _context(self) -> BaseContext:
        if not hasattr(reduction, "DupFd"):
            raise RuntimeError(
                f"DataLoader workers need a POSIX system, which {sys.platform} is not: use num_workers=0"
            )
        if self._multiprocessing_context is not None:
            return self._multiprocessing_context
        method = multiprocessing.get_start_method(allow_none=True)
        if method is None and sys.platform != "darwin":  # where system libraries do not survive a fork
            method = "fork"
        return multiprocessing.get_context(method)


def _check_workers(num_workers: int, timeout: float, prefetch_factor: int | None, persistent_workers: bool) -> None:
    if num_workers < 0:
        raise ValueError(f"num_workers option should be non-negative, got {num_workers}; 0 prepares batches here")
    if timeout < 0:
        raise ValueError(f"timeout option should be non-negative, got {timeout}")
    if prefetch_factor is not None and num_workers == 0:
        raise ValueError("prefetch_factor is what each worker prepares ahead: it needs num_workers > 0")
    if prefetch_factor is not None and prefetch_factor < 1:
        raise ValueError(f"prefetch_factor option should be positive, got {prefetch_factor}")
    if persistent_workers and num_workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")


def _check_stream(shuffle: Any, sampler: Any, batch_sampler: Any) -> None:
    if shuffle not in (None, False):
        raise ValueError(f"DataLoader with IterableDataset: expected unspecified shuffle option, but got {shuffle=}")
    for name, value in (("sampler", sampler), ("batch_sampler", batch_sampler)):
        if value is not None:
            raise ValueError(f"DataLoader with IterableDataset: expected unspecified {name} option, but got {value!r}")


def _as_context(context: str | BaseContext, num_workers: int) -> BaseContext:
    if num_workers == 0:
        raise ValueError("multiprocessing_context can only be used with num_workers > 0, but num_workers is 0")
    if isinstance(context, str):
        methods = multiprocessing.get_all_start_methods()
        if context not in methods:
            raise ValueError(f"multiprocessing_context should be one of {methods} or a context, but got {context!r}")
        return multiprocessing.get_context(context)
    if not isinstance(context, BaseContext):
        raise TypeError(f"multiprocessing_context should be a start method's name or a context, but got {context!r}")
    return context


# as PyTorch calls them
_BaseDataLoaderIter, _SingleProcessDataLoaderIter, _MultiProcessingDataLoaderIter = BatchIterator, SingleProcessIterator, MultiProcessIterator
