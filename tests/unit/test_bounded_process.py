"""Functions run in a child process with limits of time and memory."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from descant_tokenizers.common.bounded import BoundedProcess, LimitExceededError
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import read_score

MAX_EXTRA_BYTES = 2**28


@pytest.fixture(scope="module")
def process() -> Iterator[BoundedProcess]:
    process = BoundedProcess((), MAX_EXTRA_BYTES)
    yield process
    process.close()


def test_a_call_returns_what_the_function_returns_or_raises_what_it_raises(process: BoundedProcess) -> None:
    assert process.call(5, divmod, 17, 5) == (3, 2)
    assert process.call(5, sorted, "bca", reverse=True) == ["c", "b", "a"]
    with pytest.raises(ZeroDivisionError):
        process.call(5, divmod, 1, 0)
    with pytest.raises(InputError, match=r"^There is no file lost.mid\."):
        process.call(5, read_score, Path("lost.mid"))


def test_calls_share_a_child_which_is_another_process(process: BoundedProcess) -> None:
    first, second = process.call(5, os.getpid), process.call(5, os.getpid)
    assert first == second != os.getpid()
    process.close()
    process.close()
    assert process.call(5, os.getpid) not in (first, os.getpid())


def test_what_a_function_prints_is_no_answer(process: BoundedProcess) -> None:
    assert process.call(5, os.system, "echo printed") == 0
    assert process.call(5, print, "printed", flush=True) is None


@pytest.mark.skipif(os.name == "nt", reason="the system limits neither time nor memory")
@pytest.mark.parametrize(
    ("function", "argument"), [(exec, "while True: pass"), (bytearray, 2 * MAX_EXTRA_BYTES), (os._exit, 0)]
)
def test_too_much_time_or_memory_or_a_crash_ends_the_child_alone(
    function: Callable[[Any], Any], argument: object, process: BoundedProcess
) -> None:
    if function is bytearray and sys.platform != "linux":
        pytest.skip("memory is limited on Linux only")
    started = time.process_time()
    with pytest.raises(LimitExceededError):
        process.call(0 if function is exec else 5, function, argument)
    assert time.process_time() - started < 1
    assert process.call(5, abs, -1) == 1


def test_threads_get_their_own_answers(process: BoundedProcess) -> None:
    found: dict[int, int] = {}

    def ask(number: int) -> None:
        found[number] = process.call(5, abs, -number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: number for number in range(20)}
