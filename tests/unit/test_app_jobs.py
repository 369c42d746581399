"""One request at a time: its progress, and what ends it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from descant_modeling.app.jobs import Job, StoppedError, run_job
from descant_tokenizers.errors import InputError

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
    for share in run_job(job):
        shares.append(share)
        if share == 0.25:
            go_on.set()
    assert 0.25 in shares
    assert job.result() == "made"


def test_cancel_stops_the_computing() -> None:
    job = Job(_endless, 60)
    for index, _ in enumerate(run_job(job)):
        if index == 1:
            job.stop()
    assert not job.is_running
    with pytest.raises(StoppedError):
        job.result()


def test_a_visitor_who_leaves_stops_it_too() -> None:
    job = Job(_endless, 60)
    progress = run_job(job)
    next(progress)
    progress.close()  # type: ignore[attr-defined]
    assert job.wait(10)


def test_the_clock_stops_it_with_a_sentence() -> None:
    job = Job(_endless, 0.2)
    list(run_job(job))
    with pytest.raises(InputError, match=r"took longer than 0\.2 seconds .* ask for fewer"):
        job.result()


def test_one_computes_and_the_other_waits_off_the_clock() -> None:
    first, second = Job(_endless, 60), Job(lambda report: report(0.5) or 7, 0.5)
    first.start()
    second.start()
    assert not second.wait(0.7)
    first.stop()
    assert second.wait(10)
    assert second.result() == 7


def test_a_defect_is_raised_and_does_not_block_the_next(caplog: pytest.LogCaptureFixture) -> None:
    def work(report: Report) -> int:
        raise KeyError("defect")

    job = Job(work, 10)
    list(run_job(job))
    with pytest.raises(KeyError):
        job.result()
    assert "a request failed" in caplog.text
    following = Job(lambda report: 1, 10)
    list(run_job(following))
    assert following.result() == 1
