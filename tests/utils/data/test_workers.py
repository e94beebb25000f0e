"""DataLoader with worker processes: same batches, and every way in which a worker can go wrong."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import numgrad
from numgrad.utils.data import (
    DataLoader,
    IterableDataset,
    TensorDataset,
    default_collate,
    get_worker_info,
    iterators,
    transport,
)


def loader(dataset, **options):
    return DataLoader(dataset, **{"num_workers": 2, "timeout": 60, **options})


class Samples:
    """A dataset made of a function, kept from being pickled by fork."""

    def __init__(self, count, function):
        self.count, self.function = count, function

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return self.function(index)


class Stream(IterableDataset):
    def __iter__(self):
        info = get_worker_info()
        return iter(range(10 * info.id, 10 * info.id + 3 + 2 * info.id))


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def worker_pids(iterator):
    return [worker.process.pid for worker in iterator._workers]


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("prefetch", [1, 2, 4])
def test_same_batches_in_the_same_order(workers, prefetch):
    delays = [0.01 * (index % 3 == 0) for index in range(10)]  # the order must not depend on who is faster
    dataset = Samples(10, lambda index: (time.sleep(delays[index]), index)[1])
    batches = loader(dataset, batch_size=3, num_workers=workers, prefetch_factor=prefetch)
    assert [batch.tolist() for batch in batches] == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_every_start_method(method):
    dataset = TensorDataset(numgrad.arange(20.0).reshape(10, 2), numgrad.arange(10))
    batches = list(loader(dataset, batch_size=4, num_workers=1, multiprocessing_context=method))
    assert [batch[1].tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert batches[2][0].tolist() == [[16, 17], [18, 19]]


def test_work_is_done_elsewhere_and_ahead():
    begun = numgrad.zeros(1)
    dataset = Samples(4, lambda index: os.getpid())
    pids = {batch.item() for batch in loader(dataset)}
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert begun.item() == 0


def test_workers_prepare_while_the_main_process_trains():
    dataset = Samples(4, lambda index: time.time())
    for index, made in enumerate(loader(dataset, num_workers=1, prefetch_factor=3)):
        asked = time.time()
        if index == 0:
            time.sleep(1)
        if index == 2:
            assert made.item() < asked - 0.5  # made during the sleep


def test_content_crosses_unchanged():
    def sample(index):
        return {
            "large": numgrad.arange(5000) + index,
            "small": numgrad.tensor(index),
            "transposed": numgrad.arange(6000.0).reshape(2, 3000).T,
            "empty": numgrad.zeros(0, 3),
            "bool": numgrad.tensor([True, False]),
            "array": np.full(3000, index, np.int16),
            "text": "å" * index,
            "bytes": bytes([index]),
            "none": None,
            "learned": numgrad.ones(2, requires_grad=True),
            "expanded": numgrad.ones(1).expand(5000),
        }

    for index, batch in enumerate(loader(Samples(3, sample), collate_fn=lambda batch: batch[0])):
        expected = sample(index)
        assert list(batch) == list(expected)
        for name, value in expected.items():
            if isinstance(value, numgrad.Tensor):
                assert batch[name].dtype == value.dtype
                assert batch[name].shape == value.shape
                assert batch[name].tolist() == value.tolist()
                assert batch[name].requires_grad == value.requires_grad
        batch["expanded"].add_(1)
        batch["small"].add_(1)
        batch["array"][0] = 7
        assert batch["array"].dtype == np.int16
        assert (batch["text"], batch["bytes"], batch["none"]) == ("å" * index, bytes([index]), None)


def test_batches_outlive_the_workers_and_one_another():
    batches = list(loader(Samples(50, lambda index: numgrad.full((3000,), index)), prefetch_factor=1))
    assert [set(batch.flatten().tolist()) for batch in batches] == [{index} for index in range(50)]


def test_tasks_and_answers_larger_than_any_pipe():
    count = 60000
    indices = [list(range(count))] * 6
    batches = list(loader(Samples(count, str), batch_sampler=indices, num_workers=1, prefetch_factor=4))
    assert [len(batch) for batch in batches] == [count] * 6
    assert batches[5][-1] == str(count - 1)


def test_exception_keeps_its_type_and_tells_where():
    def fail(index):
        if index == 2:
            raise KeyError("this thing\nis missing")
        return index

    iterator = iter(loader(Samples(4, fail)))
    assert next(iterator).item() == 0
    assert next(iterator).item() == 1
    with pytest.raises(KeyError) as caught:
        next(iterator)
    text = str(caught.value)
    assert text.startswith("Caught KeyError in DataLoader worker process 0.\nOriginal Traceback")
    assert "in fail" in text
    assert "missing" in text
    assert next(iterator).item() == 3  # one bad batch does not end the epoch
    with pytest.raises(StopIteration):
        next(iterator)


def test_exception_that_cannot_be_sent_or_built():
    class Local(Exception):
        pass

    def fail(index):
        if index == 0:
            raise Local("private")
        b"\xff".decode()

    iterator = iter(loader(Samples(2, fail)))
    with pytest.raises(RuntimeError, match="Caught Local in DataLoader worker process 0"):
        next(iterator)
    with pytest.raises(RuntimeError, match="Caught UnicodeDecodeError in DataLoader worker process 1"):
        next(iterator)


def test_what_cannot_be_sent_is_an_error_not_a_hang():
    with pytest.raises((AttributeError, TypeError, RuntimeError), match="DataLoader worker process 0"):
        next(iter(loader(Samples(2, lambda index: lambda: index), collate_fn=list)))
    leaf = numgrad.ones(1, requires_grad=True)
    with pytest.raises(RuntimeError, match="its graph stays behind: detach"):
        next(iter(loader(Samples(2, lambda index: leaf * 2))))


def test_worker_init_fn_runs_in_each_worker_and_its_failure_is_told():
    started = []
    dataset = Samples(4, lambda index: started[0])
    assert [batch.item() for batch in loader(dataset, worker_init_fn=started.append)] == [0, 1, 0, 1]

    def fail(worker_id):
        raise ValueError(f"no licence for worker {worker_id}")

    with pytest.raises(ValueError, match="no licence for worker 0"):
        next(iter(loader(dataset, worker_init_fn=fail)))


@pytest.mark.parametrize("in_order", [True, False])
def test_killed_worker_is_an_error_not_a_hang(in_order):
    def die(index):
        if index == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return index

    iterator = iter(loader(Samples(9, die), in_order=in_order, timeout=0))
    pids = worker_pids(iterator)
    with pytest.raises(RuntimeError, match=rf"worker \(pid\(s\) {pids[0]}\) exited unexpectedly by signal 9"):
        list(iterator)
    assert not any(alive(pid) for pid in pids)
    assert list(iterator) == []


def test_worker_that_exits_is_an_error():
    with pytest.raises(RuntimeError, match="exited unexpectedly with exit code 3"):
        list(loader(Samples(2, lambda index: sys.exit(3))))


def test_timeout():
    iterator = iter(loader(Samples(2, lambda index: time.sleep(60)), timeout=0.2))
    pids = worker_pids(iterator)
    with pytest.raises(RuntimeError, match=r"timed out after 0\.2 seconds"):
        next(iterator)
    assert not any(alive(pid) for pid in pids)


def test_leaving_early_stops_the_workers():
    iterator = iter(loader(Samples(100, lambda index: index)))
    next(iterator)
    pids = worker_pids(iterator)
    assert all(alive(pid) for pid in pids)
    del iterator
    assert not any(alive(pid) for pid in pids)


def test_leaving_early_does_not_wait_for_a_slow_worker_and_runs_its_finally(tmp_path):
    def slow(index):
        if index == 0:
            return 0
        (tmp_path / f"started{index}").touch()
        try:
            time.sleep(60)
        finally:
            (tmp_path / f"left{index}").touch()

    iterator = iter(loader(Samples(2, slow)))
    next(iterator)
    while not (tmp_path / "started1").exists():
        time.sleep(0.01)
    began = time.monotonic()
    del iterator
    assert time.monotonic() - began < 30
    assert (tmp_path / "left1").exists()


def test_stubborn_worker_is_killed(monkeypatch):
    monkeypatch.setattr(iterators, "_PATIENCE_SECONDS", 0.2)
    iterator = iter(loader(Samples(2, lambda index: index), worker_init_fn=_ignore_terminate))
    next(iterator)
    pids = worker_pids(iterator)
    del iterator
    assert not any(alive(pid) for pid in pids)


def _ignore_terminate(worker_id):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def test_no_descriptor_is_left_open():
    list(loader(range(4)))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        list(loader(range(4)))
        next(iter(loader(range(4))))
    assert len(os.listdir("/proc/self/fd")) <= before


def run_script(body, **options):
    source = textwrap.dedent(body)
    return subprocess.Popen(
        [sys.executable, "-c", source], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


ENDLESS = """
    import sys, time
    from numgrad.utils.data import DataLoader
    class Endless:
        def __len__(self): return 10**9
        def __getitem__(self, index):
            time.sleep(0.01)
            return index
    iterator = iter(DataLoader(Endless(), num_workers=2))
    next(iterator)
    print(*(worker.process.pid for worker in iterator._workers), flush=True)
    for batch in iterator:
        pass
"""


def wait_until_gone(pids, seconds):
    deadline = time.monotonic() + seconds
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(alive(pid) for pid in pids)


def test_ctrl_c_ends_everything_with_one_traceback():
    process = run_script(ENDLESS, start_new_session=True)
    pids = [int(pid) for pid in process.stdout.readline().split()]
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert errors.count("KeyboardInterrupt") == 1
    assert "ForkProcess" not in errors
    assert wait_until_gone(pids, 5)


def test_workers_leave_when_the_main_process_is_killed():
    process = run_script(ENDLESS)
    pids = [int(pid) for pid in process.stdout.readline().split()]
    process.kill()
    process.communicate(timeout=60)
    assert len(pids) == 2
    assert wait_until_gone(pids, 30)


def test_exit_with_live_workers_is_quiet():
    process = run_script("""
        from numgrad.utils.data import DataLoader
        loader = DataLoader(range(100), num_workers=2, persistent_workers=True)
        next(iter(loader))
        iterator = iter(DataLoader(range(100), num_workers=2))
        next(iterator)
    """)
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 0


def test_seeds_differ_by_worker_and_follow_the_generator():
    def draws(_index):
        info = get_worker_info()
        numbers = random.random(), float(np.random.rand()), numgrad.rand(1).item()
        return info.id, info.seed, *numbers

    def epoch(seed):
        generator = numgrad.Generator().manual_seed(seed)
        return [tuple(batch) for batch in loader(Samples(4, draws), batch_size=None, generator=generator)]

    first = epoch(0)
    assert first == epoch(0)
    assert first != epoch(1)
    assert [sample[0] for sample in first] == [0, 1, 0, 1]
    assert first[1][1] == first[0][1] + 1
    for position in (2, 3, 4):
        assert len({sample[position] for sample in first}) == 4


def test_worker_info():
    def describe(index):
        info = get_worker_info()
        with pytest.raises(RuntimeError, match="Cannot assign"):
            info.id = 5
        return info.id, info.num_workers, len(info.dataset), repr(info).startswith("WorkerInfo(id=")

    assert list(loader(Samples(2, describe), batch_size=None)) == [[0, 2, 2, True], [1, 2, 2, True]]


def test_streams_are_taken_by_turns_until_each_ends():
    assert [b.tolist() for b in loader(Stream(), batch_size=2)] == [[0, 1], [10, 11], [2], [12, 13], [14]]
    assert [b.tolist() for b in loader(Stream(), batch_size=2, drop_last=True)] == [[0, 1], [10, 11], [12, 13]]
    assert sorted(loader(Stream(), batch_size=None)) == [0, 1, 2, 10, 11, 12, 13, 14]


def test_out_of_order_gives_everything_and_lets_the_fast_go_first():
    dataset = Samples(6, lambda index: (time.sleep(0.5 * (index == 0)), index)[1])
    order = [batch.item() for batch in loader(dataset, in_order=False)]
    assert sorted(order) == list(range(6))
    assert order[0] != 0
    assert sorted(loader(Stream(), batch_size=None, in_order=False)) == [0, 1, 2, 10, 11, 12, 13, 14]


def test_persistent_workers_stay():
    batches = loader(Samples(6, lambda index: (os.getpid(), index)), batch_size=None, persistent_workers=True)
    first, second = list(batches), list(batches)
    assert [index for _, index in first] == [index for _, index in second] == list(range(6))
    assert {pid for pid, _ in first} == {pid for pid, _ in second}
    assert next(iter(batches))[1] == 0  # leaves the rest of the epoch unread
    assert [index for _, index in batches] == list(range(6))
    pids = {pid for pid, _ in first}
    del batches
    assert not any(alive(pid) for pid in pids)


def test_persistent_workers_restart_streams():
    batches = loader(Stream(), batch_size=2, persistent_workers=True)
    epochs = [[batch.tolist() for batch in batches] for _ in range(3)]
    assert epochs[0] == epochs[1] == epochs[2]
    assert len(epochs[0]) == 5


def test_persistent_workers_are_replaced_once_lost():
    batches = loader(range(6), persistent_workers=True)
    iterator = iter(batches)
    os.kill(worker_pids(iterator)[0], signal.SIGKILL)
    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        list(iterator)
    assert [batch.item() for batch in batches] == list(range(6))


def test_forked_child_that_drops_the_iterator_leaves_the_workers_alone():
    iterator = iter(loader(range(8), persistent_workers=False))
    pids = worker_pids(iterator)
    assert iterators.stop(iterator._workers, os.getpid() + 1) is None  # as seen from another process
    assert all(alive(pid) for pid in pids)
    assert len(list(iterator)) == 8


def test_worker_uses_numgrad_after_the_main_process_has_used_its_threads():
    data = numgrad.arange(250000.0)
    expected = (data * 2 + 1).tolist()  # large enough for every thread
    for batch in loader(Samples(2, lambda index: data * 2 + 1)):
        assert batch[0].tolist() == expected
    assert (data * 2 + 1).tolist() == expected


def test_collate_runs_in_the_worker():
    def collate(batch):
        return default_collate(batch) + 1000 * (get_worker_info() is not None)

    assert [batch.item() for batch in loader(range(2), collate_fn=collate)] == [1000, 1001]


def test_slot_without_anonymous_memory(monkeypatch):
    monkeypatch.delattr(os, "memfd_create", raising=False)
    slot = transport.Slot()
    data = {"a": np.arange(5000), "b": "text"}
    again = transport.unpack(transport.pack(data, slot), slot)
    slot.close()
    assert again["b"] == "text"
    assert again["a"].tolist() == data["a"].tolist()


def test_slot_that_was_cut_short_is_an_error():
    slot = transport.Slot()
    count = transport.pack(np.arange(5000), slot)
    os.ftruncate(slot.descriptor, 100)
    with pytest.raises(EOFError, match="less than it announced"):
        transport.unpack(count, slot)
    slot.close()


def test_systems_without_descriptor_passing_are_told(monkeypatch):
    monkeypatch.delattr("multiprocessing.reduction.DupFd")
    with pytest.raises(RuntimeError, match="use num_workers=0"):
        iter(loader(range(2)))
