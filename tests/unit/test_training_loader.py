"""The stream of batches: the same from any place on, and with any number of worker processes."""

import multiprocessing
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pytest
import torch

from descant_modeling.training import loader
from descant_modeling.training.config import TaskShares
from descant_modeling.training.examples import ExampleSource
from descant_modeling.training.loader import Place, Share, stream
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.tokens.tasks import TaskLayout

BATCH_TOKENS = 400
START = Place()


@pytest.fixture
def source(vocabulary, tiny_pieces):
    """Twelve pieces in pools of five."""
    found = ExampleSource(tiny_pieces, TaskLayout(vocabulary), TaskShares(), seed=3, transpose=True, max_tokens=3000)
    found.pool_size = 5
    return found


def take(number, source, start=START, num_workers=0):
    """The first batches of a stream: their places, and their ids and masks as lists."""
    found = islice(stream(source, BATCH_TOKENS, start, num_workers), number)
    return [(place, batch.ids_BT.tolist(), batch.loss_mask_BT.tolist()) for place, batch in found]


def test_the_stream_is_that_of_the_epochs(source):
    expected = [batch.ids_BT.tolist() for epoch in range(3) for batch in source.batches(epoch, BATCH_TOKENS)]
    found = take(len(expected), source)
    assert [ids for _, ids, _ in found] == expected
    assert {place.pool for place, _, _ in found} == {0, 5, 10}
    assert [place for place, _, _ in found] == sorted(place for place, _, _ in found)
    assert found[-1][0].epoch == 2


@pytest.mark.parametrize("num_workers", [1, 2])
def test_workers_do_not_change_the_stream(source, num_workers):
    state = torch.get_rng_state()
    assert take(25, source, num_workers=num_workers) == take(25, source)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_stream_continues_at_any_place(source):
    whole = take(30, source)
    for number, (place, _, _) in enumerate(whole[:20]):
        assert take(5, source, place) == whole[number : number + 5]
    in_epoch_1 = next(number for number, (place, _, _) in enumerate(whole) if place.epoch == 1)
    assert take(5, source, Place(1, 0, 4)) == whole[in_epoch_1 + 4 : in_epoch_1 + 9], "counted from the first pool"


def test_a_resumed_stream_lays_out_no_earlier_pool(source, monkeypatch):
    seen = []
    example = source.example
    monkeypatch.setattr(source, "example", lambda index, epoch: seen.append(index) or example(index, epoch))
    take(1, source, Place(0, 10, 0))
    assert sorted(seen) == sorted(source.order(0)[10:].tolist())


def workers_of(batches):
    """The worker processes of a stream that has begun, once they have set their handlers."""
    before = set(multiprocessing.active_children())
    found = [next(batches)]
    workers = set(multiprocessing.active_children()) - before
    time.sleep(0.5)
    return workers, found


def test_ctrl_c_and_sigterm_to_all_processes_leave_the_workers_running(source):
    expected = take(40, source)
    batches = stream(source, BATCH_TOKENS, START, num_workers=2)
    workers, found = workers_of(batches)
    assert len(workers) == 2
    pids = " ".join(str(worker.pid) for worker in workers)
    subprocess.run(f"kill -INT {pids}; kill -TERM {pids}", shell=True, check=True)  # not from their parent
    time.sleep(0.2)
    found += islice(batches, 39)
    assert [place for place, _ in found] == [place for place, _, _ in expected]
    assert all(worker.is_alive() for worker in workers)
    batches.close()
    for worker in workers:
        worker.join(20)
        assert worker.exitcode == 0, "it outlives its stream"


def test_workers_obey_their_parent(source):
    batches = stream(source, BATCH_TOKENS, START, num_workers=1)
    ((worker,), _) = workers_of(batches)
    worker.terminate()
    worker.join(20)
    assert worker.exitcode == 0


def take_all(batches):
    """Read a stream to its end, which only an error makes."""
    for _ in batches:
        pass


@pytest.mark.parametrize("num_processes", [2, 3])
def test_processes_share_the_work_and_see_the_same_stream(source, monkeypatch, num_processes):
    monkeypatch.setattr(loader, "CHUNK", 2)
    rank_of, shares, barrier = threading.local(), {}, threading.Barrier(num_processes, timeout=60)

    def all_gather_object(into, mine):
        shares[rank_of.rank] = mine
        barrier.wait()
        into[:] = [shares[rank] for rank in range(num_processes)]
        barrier.wait()

    def read(rank):
        rank_of.rank = rank
        batches = islice(stream(source, BATCH_TOKENS, Place(0, 5, 1), 0, Share(rank, num_processes)), 25)
        return [(place, batch.ids_BT.tolist(), batch.loss_mask_BT.tolist()) for place, batch in batches]

    expected = take(25, source, Place(0, 5, 1))
    monkeypatch.setattr(torch.distributed, "all_gather_object", all_gather_object)
    seen, example = [], source.example
    monkeypatch.setattr(source, "example", lambda index, epoch: seen.append((epoch, index)) or example(index, epoch))
    with ThreadPoolExecutor(num_processes) as pool:
        assert list(pool.map(read, range(num_processes))) == [expected] * num_processes
    assert len(seen) == len(set(seen)), "a process laid out what another one did"


def test_a_worker_that_is_killed_is_one_sentence(source):
    batches = stream(source, BATCH_TOKENS, START, num_workers=1)
    ((worker,), _) = workers_of(batches)
    worker.kill()
    with pytest.raises(InputError, match=r"A worker process .* Resume the run with fewer data\.num_workers\."):
        take_all(batches)
