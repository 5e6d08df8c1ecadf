"""End training between two steps when it is interrupted."""

import contextlib
import signal


@contextlib.contextmanager
def stop_between_steps(patient: bool = False):
    """Hand out a list that the first interrupt (Ctrl-C, SIGTERM) fills, so that the loop can end after a whole step.

    The second one interrupts at once, unless patient: a launcher repeats what the terminal has already sent.
    """
    requests = []

    def stop(*_) -> None:
        if requests and not patient:
            raise KeyboardInterrupt
        requests.append(True)

    try:
        old = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread: interrupts go elsewhere
        old = {}
    try:
        yield requests
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
