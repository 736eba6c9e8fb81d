"""Two threads that read in turns, so that the one which reads an order can carry it out itself.

To hand an order over to another thread takes longer than a short query. But somebody has to read on when the order
takes long, as a cancel may come, so the other thread watches.

| a thread | does                                    | until                                               |
|----------|-----------------------------------------|-----------------------------------------------------|
| reads    | reads, and carries out what it reads    | the other reads on, as an order took LONG_SECONDS:  |
|          |                                         | then it watches, once the order is carried out      |
| watches  | looks at the clock now and then         | an order takes long: then it reads                  |
| sleeps   | nothing, as no order came for a while   | the next order: then it watches                     |
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Final, NoReturn

logger = logging.getLogger(__name__)

LONG_SECONDS: Final = 0.01
"""Of an order, after which the other thread reads on at its next look."""
LOOK_SECONDS: Final = 0.02
"""Between two looks at the clock."""
LOOKS_MAX: Final = 50
"""Looks without an order between them, before the thread that watches sleeps."""


class Relay:
    """Its threads are the one that calls `serve` and one of its own."""

    def __init__(self) -> None:
        self._state = threading.Condition()
        self._turn = 0
        """Grows each time that the other thread begins to read."""
        self._orders = 0
        self._began: float | None = None
        """When the thread that reads began to carry an order out."""
        self._sleeps = False

    def serve(self, read: Callable[[], None]) -> NoReturn:
        """Call `read` again and again, from one thread at a time. Never returns; the process ends by what `read`
        raises, whichever thread that is.
        """
        threading.Thread(target=self._serve_beside, args=(read,), name="relay", daemon=True).start()
        self._take_turns(read, True)

    def carry_out(self, order: Callable[[], None]) -> None:
        """Carry an order out in this thread, which is the one that reads; to be called from `read`."""
        turn = self._turn
        self._orders += 1
        self._began = time.monotonic()
        # After the time is set, as the other one looks for that after it said that it sleeps.
        if self._sleeps:
            with self._state:
                self._state.notify()
        try:
            order()
        finally:
            with self._state:
                if self._turn == turn:
                    self._began = None

    def _serve_beside(self, read: Callable[[], None]) -> NoReturn:
        try:
            self._take_turns(read, False)
        except BaseException:
            logger.exception("the worker cannot go on")
            os._exit(1)

    def _take_turns(self, read: Callable[[], None], reads: bool) -> NoReturn:
        while True:
            turn = self._turn
            while reads and self._turn == turn:
                read()
            self._watch()
            reads = True

    def _watch(self) -> None:
        """Return when it is this thread's turn to read."""
        looks, orders = 0, self._orders
        while True:
            time.sleep(LOOK_SECONDS)
            if self._began is not None and self._takes_over():
                return
            looks, orders = (looks + 1 if orders == self._orders else 0), self._orders
            if looks > LOOKS_MAX:
                self._sleep()
                looks = 0

    def _takes_over(self) -> bool:
        with self._state:
            is_long = self._began is not None and time.monotonic() - self._began >= LONG_SECONDS
            if is_long:
                self._turn += 1
                self._began = None
            return is_long

    def _sleep(self) -> None:
        """Return when an order has come."""
        with self._state:
            self._sleeps = True
            if self._began is None:
                self._state.wait()
            self._sleeps = False
