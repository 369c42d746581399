"""The endless stream of training batches from any place on, its examples laid out here or in worker processes.

The order is that of `BatchSource.batches`, whatever the number of workers. Only one pool is in memory, and another one
at most on its way from the workers. Of several training processes, each lays out its share of a pool, and all exchange
their shares.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from itertools import chain, count, groupby, islice
from typing import NamedTuple, cast

import torch
import torch.distributed
from torch.utils.data import DataLoader, Dataset

from descant_modeling.models.likelihood import Batch, Example
from descant_modeling.training.examples import BatchSource
from descant_tokenizers.common.errors import InputError

#: Examples that a worker lays out and sends at a time.
CHUNK = 32


class Place(NamedTuple):
    """Place of a batch in the stream.

    Attributes:
        epoch: The epoch, from 0.
        pool: Pieces of the epoch in the pools before this batch's.
        batch: Batches before it in its pool (or, counted from an earlier pool of the epoch, in all pools since).
    """

    epoch: int = 0
    pool: int = 0
    batch: int = 0


class Share(NamedTuple):
    """Share of the examples that a training process lays out.

    Attributes:
        rank: Number of the process.
        of: Number of processes.
    """

    rank: int = 0
    of: int = 1


ALONE = Share()


def stream(
    source: BatchSource, batch_tokens: int, start: Place, num_workers: int = 0, share: Share = ALONE
) -> Iterator[tuple[Place, Batch]]:
    """Yield all batches from `start` on, epoch after epoch, each with its place.

    Args:
        source: The examples.
        batch_tokens: Maximum number of padded tokens in a batch.
        start: Place of the first batch.
        num_workers: Worker processes that lay out examples; 0 for this one.
        share: This process and the others, which read the same stream.

    Raises:
        InputError: A worker process ended.
    """
    per_worker = source.pool_size // CHUNK // max(num_workers, 1) // share.of
    loader = DataLoader(
        _Examples(source),
        batch_sampler=_chunks(source, start, share),
        num_workers=num_workers,
        collate_fn=list,
        worker_init_fn=_start_worker,
        prefetch_factor=max(2, per_worker) if num_workers else None,
        generator=torch.Generator(),  # else it draws from the global one
    )
    examples = chain.from_iterable(loader)
    skipped = start.batch
    for epoch, pool, size in _pools(source, start):
        try:
            laid_out = list(islice(examples, sum(map(len, _cut(range(size), share)))))
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise InputError(
                f"A worker process that lays out examples ended ({' '.join(str(error).split())[:120]}). "
                "Resume the run with fewer data.num_workers."
            ) from error
        if share.of > 1:
            laid_out = _exchange(laid_out, size, share.of)
        for number, batch in enumerate(source.batches_of(laid_out, epoch, pool, batch_tokens)):
            if skipped:
                skipped -= 1
            else:
                yield Place(epoch, pool, number), batch


class _Examples(Dataset[Example]):
    """The examples of all epochs, by epoch and piece."""

    def __init__(self, source: BatchSource) -> None:
        self._source = source

    def __getitem__(self, place: tuple[int, int]) -> Example:
        epoch, index = place
        return Example.of(self._source.example(index, epoch))


def _pools(source: BatchSource, start: Place) -> Iterator[tuple[int, int, int]]:
    """Yield the epoch, first place and size of every pool."""
    first = start.pool
    for epoch in count(start.epoch):
        for pool in range(first, source.num_pieces, source.pool_size):
            yield epoch, pool, min(source.pool_size, source.num_pieces - pool)
        first = 0


def _chunks(source: BatchSource, start: Place, share: Share) -> Iterator[list[tuple[int, int]]]:
    """Yield the epochs and pieces of a share of the examples, a few at a time."""
    for epoch, pools in groupby(_pools(source, start), key=lambda pool: pool[0]):
        order = source.order(epoch)
        for _, pool, size in pools:
            for places in _cut(range(pool, pool + size), share):
                yield [(epoch, index) for index in order[places].tolist()]


def _cut(places: range, share: Share) -> list[range]:
    """Cut the places of a pool into chunks, and return those of a share."""
    starts = range(0, len(places), CHUNK)[share.rank :: share.of]
    return [places[first : first + CHUNK] for first in starts]


def _exchange(laid_out: list[Example], size: int, num_shares: int) -> list[Example]:
    """Send this process's examples of a pool to the other processes; return the examples of all, in order."""
    shares: list[list[Example]] = [[]] * num_shares
    torch.distributed.all_gather_object(shares, laid_out)
    pool: list[Example | None] = [None] * size
    for rank, examples in enumerate(shares):
        for place, example in zip(
            chain.from_iterable(_cut(range(size), Share(rank, num_shares))), examples, strict=True
        ):
            pool[place] = example
    return cast("list[Example]", pool)


def _start_worker(_: int) -> None:
    """Ignore Ctrl-C and SIGTERM, which often go to all processes of a run, unless the trainer sends it.

    The trainer finishes its step, which may need more examples, and saves; then the loader ends its workers.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # Linux
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_obey_parent, daemon=True).start()


def _obey_parent() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)
