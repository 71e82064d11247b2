"""Messages from other processes."""

from __future__ import annotations

import pickle
import queue

from skhybrid.runtime import progress_channel
from skhybrid.runtime.progress_channel import channel


def test_messages_arrive_from_a_copy_of_the_sender(monkeypatch):
    monkeypatch.setattr(progress_channel, "MESSAGE_SECONDS", 0.0)
    received = queue.Queue()
    with channel(received.put) as sender:
        for number in range(2):
            copy = pickle.loads(pickle.dumps(sender))
            copy(lambda: ("batch", number))  # noqa: B023
            copy(lambda: ("again", number))  # noqa: B023
            assert received.get(timeout=10) == ("batch", number)
            assert received.get(timeout=10) == ("again", number)


def test_messages_in_quick_succession_are_left_out():
    received = queue.Queue()
    computed = []
    with channel(received.put) as sender:
        for number in range(100):
            sender(lambda: computed.append(number))  # noqa: B023
        assert received.get(timeout=10) is None
    assert len(computed) < 50


def test_a_receiver_that_has_gone_is_no_error():
    with channel(print) as sender:
        copy = pickle.loads(pickle.dumps(sender))
    copy(lambda: "too late")
    copy(lambda: 1 / 0)  # not even computed
