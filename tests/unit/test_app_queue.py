"""One request at a time: its progress, and how it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from descant_modeling.app.jobs import Job, JobQueue, StoppedError, within
from descant_tokenizers.common.errors import InputError

Report = Callable[[float], None]


def _endless(report: Report) -> int:
    while True:
        report(0.5)
        time.sleep(0.005)


def test_it_says_how_far_it_is_and_returns_what_was_made() -> None:
    go_on = threading.Event()

    def work(report: Report) -> str:
        report(0.25)
        assert go_on.wait(10)
        return "made"

    job = Job(work, 10)
    shares = []
    for share in job.run():
        shares.append(share)
        if share == 0.25:
            go_on.set()
    assert 0.25 in shares
    assert job.result() == "made"


def test_cancel_stops_the_computing() -> None:
    job = Job(_endless, 60)
    for index, _ in enumerate(job.run()):
        if index == 1:
            job.stop()
    assert not job.is_running
    with pytest.raises(StoppedError):
        job.result()


def test_a_session_that_ends_stops_it() -> None:
    job = Job(_endless, 60)
    progress = job.run()
    next(progress)
    progress.close()  # type: ignore[attr-defined]
    assert job.wait(10)


def test_the_clock_stops_it_with_a_sentence() -> None:
    job = Job(_endless, 0.2)
    list(job.run())
    with pytest.raises(InputError, match=r"took longer than 0\.2 seconds .* Ask for fewer"):
        job.result()


def test_one_computes_and_the_other_waits_off_the_clock() -> None:
    queue = JobQueue(3)
    first, second = Job(_endless, 60, queue), Job(lambda report: report(0.5) or 7, 0.5, queue)
    first.start()
    second.start()
    assert not second.wait(0.7)
    assert (first.position, second.position) == (0, 1)
    first.stop()
    assert second.wait(10)
    assert second.result() == 7


def test_who_comes_first_is_served_first() -> None:
    queue, order = JobQueue(3), []
    first = Job(_endless, 60, queue)
    others = [Job(lambda report, name=name: order.append(name) or name, 60, queue) for name in "abc"]
    for job in (first, *others):
        job.start()
    assert [job.position for job in (first, *others)] == [0, 1, 2, 3]
    first.stop()
    assert all(job.wait(10) for job in others)
    assert order == ["a", "b", "c"]


def test_who_waits_can_cancel_at_once_and_the_next_ones_move_up() -> None:
    queue = JobQueue(3)
    first, second, third = (Job(_endless, 60, queue) for _ in range(3))
    for job in (first, second, third):
        job.start()
    second.stop()
    assert second.wait(10)
    with pytest.raises(StoppedError):
        second.result()
    assert first.is_running
    assert third.position == 1
    for job in (first, third):
        job.stop()
        assert job.wait(10)


def test_a_full_queue_is_one_sentence_and_has_room_again_later() -> None:
    queue = JobQueue(1)
    first, second = Job(_endless, 60, queue), Job(_endless, 60, queue)
    first.start()
    second.start()
    with pytest.raises(
        InputError, match=r"The queue is full \(one request is being written and one waiting\)\. Try again"
    ):
        next(Job(_endless, 60, queue).run())
    second.stop()
    assert second.wait(10)
    third = Job(lambda report: 3, 60, queue)
    third.start()
    first.stop()
    assert third.wait(10)
    assert third.result() == 3


def test_work_that_never_looks_at_the_clock_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("descant_modeling.app.jobs._GRACE_SECONDS", 0.1)
    ends = threading.Event()
    job = Job(lambda report: ends.wait(30), 0.1)
    list(job.run())
    assert job.is_running
    with pytest.raises(InputError, match=r"took longer than 0\.1 seconds"):
        job.result()
    ends.set()
    assert job.wait(10)


def test_short_work_has_a_clock_of_its_own() -> None:
    assert within(10, lambda check: check() or 5) == 5
    with pytest.raises(InputError, match="the file is broken"):
        within(10, lambda check: _raise(InputError("the file is broken")))
    steps = []

    def work(check: Callable[[], None]) -> int:
        while True:
            check()
            steps.append(1)
            time.sleep(0.02)

    with pytest.raises(InputError, match=r"took longer than 0\.2 seconds and was stopped\. Take a shorter piece"):
        within(0.2, work)
    time.sleep(0.3)
    ended = len(steps)
    time.sleep(0.2)
    assert len(steps) == ended  # it goes on no longer


def test_the_end_of_the_server_stops_every_job_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    queue = JobQueue(1)

    def work(report: Report) -> int:
        while not first.is_stopping:
            time.sleep(0.01)
        raise RuntimeError("the interpreter ends")

    first, second = Job(work, 60, queue), Job(lambda report: 1, 60, queue)
    for job in (first, second):
        job.start()
    queue.stop()
    assert first.wait(10)
    assert second.wait(10)
    assert caplog.text == ""


def _raise(error: Exception) -> int:
    raise error


def test_a_defect_is_raised_and_does_not_block_the_next(caplog: pytest.LogCaptureFixture) -> None:
    def work(report: Report) -> int:
        raise KeyError("defect")

    job = Job(work, 10)
    list(job.run())
    with pytest.raises(KeyError):
        job.result()
    assert "a request failed" in caplog.text
    following = Job(lambda report: 1, 10)
    list(following.run())
    assert following.result() == 1
