"""Checks in a process of their own, which may hang or die without taking the suite along.

The suite's own process imports no kernel. It forks a worker, which makes the potential and runs
one check after the other, and it waits for each no longer than the check's limit. A worker that is
killed, or dies, is replaced; the check that did it has failed, with the reason. A potential that
does it twice is asked no more.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

from mdapp.errors import InputError
from mdapp.validate.registry import CheckSpec

STARTING_SECONDS = 120.0                   # to read a potential, a user's file run included
MOST_DEATHS = 2
COMPILE = 0                                # in place of the number of a check

Task = tuple[CheckSpec, str]


def run_apart(make: Callable[[], Any], describe: Callable[[Any], Any], tasks: Sequence[Task],
              keep_going: bool, limit: float | None = None) -> Iterator[Any]:
    """Run tasks in workers.

    Parameters
    ----------
    make : makes the Bench, in the worker; may raise InputError
    describe : what the first answer says of it, plain values
    tasks : checks and precisions
    keep_going : whether dynamics are run after a failed mandatory check
    limit : seconds of each check, instead of its own

    Yields
    ------
    The description first, then the seconds that compiling took, then an Outcome for each task.

    Raises
    ------
    InputError : the potential cannot be made
    """
    from mdapp.validate.runner import Outcome

    left = list(tasks)
    described, compiled, deaths, mandatory_failed = False, False, 0, False
    while left or not described:
        connection, process = start(make, describe)
        try:
            kind, answer = received(connection, STARTING_SECONDS)
            if kind == "refused":
                raise InputError(answer)
            if kind != "ready":
                raise InputError(f"the potential cannot be made: {answer}")
            if not described:
                described = True
                yield answer
            if not compiled:
                # What goes wrong here, the checks will tell.
                compiled = True
                began = time.perf_counter()
                connection.send((COMPILE, [precision for _, precision in tasks]))
                kind, _ = received(connection, limit or STARTING_SECONDS)
                yield time.perf_counter() - began
                if kind != "done":
                    continue
            while left:
                spec, precision = left[0]
                if mandatory_failed and spec.costly and not keep_going:
                    left.pop(0)
                    yield Outcome(spec, precision, spec.category, "SKIP",
                                  message="a mandatory check failed; --keep-going runs it anyway")
                    continue
                if deaths >= MOST_DEATHS:
                    left.pop(0)
                    yield Outcome(spec, precision, spec.category, "SKIP",
                                  message="not tried: the potential hung or died twice before")
                    continue
                began = time.perf_counter()
                connection.send((spec.number, precision))
                kind, answer = received(connection, limit or spec.seconds)
                left.pop(0)
                if kind != "done":
                    deaths += 1
                    answer = Outcome(spec, precision, spec.category, "FAIL", message=answer,
                                     seconds=time.perf_counter() - began)
                mandatory_failed = mandatory_failed or (
                    answer.status == "FAIL" and answer.category == "mandatory")
                yield answer
                if kind != "done":
                    break
        finally:
            stop(process, connection)


def start(make: Callable[[], Any], describe: Callable[[Any], Any]) -> tuple[Connection, Any]:
    """Fork a worker."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(there, here, make, describe), daemon=False)
    process.start()
    there.close()
    return here, process


def received(connection: Connection, seconds: float) -> tuple[str, Any]:
    """The worker's answer, or what became of it instead."""
    try:
        if connection.poll(seconds):
            answer: tuple[str, Any] = connection.recv()
            return answer
    except (EOFError, ConnectionError):
        return "died", "the process died, as of a crash in compiled code or of too little memory"
    return "hung", f"it did not end within {seconds:g} s"


def stop(process: Any, connection: Connection) -> None:
    """End a worker and all that it started."""
    connection.close()
    process.join(0.5)
    if process.is_alive():
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, sign)
            process.join(3.0)
            if not process.is_alive():
                break


def serve(connection: Connection, other: Connection, make: Callable[[], Any],
          describe: Callable[[Any], Any]) -> None:
    """The worker: make the bench, then answer tasks until the pipe closes."""
    other.close()
    os.setsid()                            # so that children can be ended with it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        bench = make()
        connection.send(("ready", describe(bench)))
    except InputError as error:
        connection.send(("refused", str(error)))
        return
    except Exception as error:
        connection.send(("broke", f"{type(error).__name__}: {error}"))
        return
    from mdapp.validate.registry import CHECKS
    from mdapp.validate.runner import run_check

    checks = {check.number: check for check in CHECKS}
    while True:
        try:
            number, precision = connection.recv()
        except (EOFError, ConnectionError):
            return
        if number == COMPILE:
            bench.compile(list(dict.fromkeys(precision)))
            connection.send(("done", None))
            continue
        connection.send(("done", run_check(bench, checks[number], str(precision))))
