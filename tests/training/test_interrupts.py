"""Interrupts end a loop between two steps, and the second one at once."""

import os
import signal
import threading

import pytest

from losa.training.interrupts import stop_between_steps

BOTH = (signal.SIGINT, signal.SIGTERM)


@pytest.mark.parametrize("number", BOTH)
def test_the_first_interrupt_waits_for_the_step_and_the_second_does_not(number):
    before, steps = [signal.getsignal(each) for each in BOTH], []
    with pytest.raises(KeyboardInterrupt), stop_between_steps() as requests:
        for step in range(9):
            if step == 2:
                os.kill(os.getpid(), number)
            steps.append(step)  # the step is finished
            if requests:
                break
        assert steps == [0, 1, 2] and requests == [True]
        os.kill(os.getpid(), number)
        pytest.fail("went on")
    assert [signal.getsignal(each) for each in BOTH] == before


def test_patient_takes_any_number():
    with stop_between_steps(patient=True) as requests:
        for number in (*BOTH, *BOTH):
            os.kill(os.getpid(), number)
    assert requests == [True] * 4


def test_handlers_are_put_back_whatever_happens_inside():
    before = [signal.getsignal(each) for each in BOTH]
    with pytest.raises(ZeroDivisionError), stop_between_steps():
        assert [signal.getsignal(each) for each in BOTH] != before
        raise ZeroDivisionError
    assert [signal.getsignal(each) for each in BOTH] == before


def test_outside_the_main_thread_nothing_is_asked_for_and_nothing_changed():
    before, found = [signal.getsignal(each) for each in BOTH], []

    def work():
        with stop_between_steps() as requests:
            found.extend([requests, [signal.getsignal(each) for each in BOTH] == before])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [[], True]
