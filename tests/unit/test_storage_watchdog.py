"""The watchdog ends what hangs, and leaves alone what does not."""

import threading
import time

import pytest

from mdapp.storage.watchdog import Watchdog


def test_in_time() -> None:
    told: list[str] = []
    with Watchdog("writing", 0.2, told.append):
        pass
    time.sleep(0.3)
    assert told == []


def test_too_late() -> None:
    told: list[str] = []
    done = threading.Event()
    with Watchdog("writing x.h5", 0.05, lambda text: (told.append(text), done.set())):
        assert done.wait(5)
    assert "writing x.h5 takes longer than 0.05 s" in told[0] and "io_timeout_s" in told[0]


def test_an_error_passes_through() -> None:
    told: list[str] = []
    with pytest.raises(ZeroDivisionError), Watchdog("writing", 0.1, told.append):
        _ = 1 // 0
    time.sleep(0.2)
    assert told == []


def test_the_process_ends(python) -> None:
    """Exit code 70, with the phase and the stack on the error stream."""
    program = (
        "import mdapp, time\nfrom mdapp.storage.watchdog import Watchdog\n"
        "def stuck():\n    time.sleep(60)\n"
        "with Watchdog('fsync of a.h5', 0.1):\n    stuck()\n"
    )
    end = python(["-c", program])
    assert end.code == 70
    assert "fsync of a.h5 takes longer" in end.stderr and "in stuck" in end.stderr
