"""Ctrl-C and SIGTERM as requests."""

import os
import signal
import threading

import pytest

from descant_modeling.training.trainer import StopRequest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_a_request(number):
    before = signal.getsignal(number)
    with StopRequest() as stop:
        assert not stop.made
        os.kill(os.getpid(), number)
        assert stop.made
        assert signal.getsignal(number) is before
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_stops_at_once():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore SIGINT
    try:
        send_two()
    finally:
        signal.signal(signal.SIGINT, before)


def send_two():
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.made
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_other_threads_are_left_alone():
    seen = []

    def work():
        with StopRequest() as stop:
            seen.append(stop.made)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
