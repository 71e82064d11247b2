"""Send progress from worker processes of the same computer to the process that waits for them."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

# Seconds between two messages of a worker.
MESSAGE_SECONDS = 0.5


@dataclass
class Sender:
    """Sends messages to the process that created it; it can be pickled.

    Where that process cannot be reached, for example from another computer, nothing is sent.

    Attributes
    ----------
    address : str
    key : bytes
    """

    address: Any
    key: bytes
    _connection: Connection | None = field(default=None, repr=False)
    _due: float = field(default=0.0, repr=False)
    _fails: bool = field(default=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {"address": self.address, "key": self.key}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)

    def __call__(self, message: Callable[[], Any]) -> None:
        """Send what a function returns, unless the last message was sent just now."""
        if self._fails or time.monotonic() < self._due:
            return
        try:
            if self._connection is None:
                self._connection = Client(self.address, authkey=self.key)
            self._connection.send(message())
        except (OSError, EOFError):
            self._fails = True
        self._due = time.monotonic() + MESSAGE_SECONDS


@contextlib.contextmanager
def channel(receive: Callable[[Any], None]) -> Iterator[Sender | None]:
    """Call ``receive`` with every message that senders send while this context is open.

    It is called from other threads. Yields None if the computer offers no channel.
    """
    key = os.urandom(32)
    try:
        listener = Listener(authkey=key, backlog=64)
    except OSError:
        yield None
        return
    threading.Thread(target=_accept, args=(listener, receive), daemon=True).start()
    try:
        yield Sender(listener.address, key)
    finally:
        listener.close()


def _accept(listener: Listener, receive: Callable[[Any], None]) -> None:
    """Give every worker that connects a thread of its own, until the listener is closed."""
    while True:
        try:
            connection = listener.accept()
        except (OSError, EOFError):
            return
        except Exception:  # somebody else, with another key
            continue
        threading.Thread(target=_receive, args=(connection, receive), daemon=True).start()


def _receive(connection: Connection, receive: Callable[[Any], None]) -> None:
    """Receive the messages of one worker, until it ends."""
    with contextlib.suppress(OSError, EOFError), connection:
        while True:
            receive(connection.recv())
