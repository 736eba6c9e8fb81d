"""Messages between the server and the process that its workers are forked from.

Each is one packet of fixed size; a request for a process carries the descriptor of its connection.
"""

import struct
from typing import Final

MESSAGE: Final = struct.Struct("<cIii")
"""Kind, number of the request, process id, value."""
FORK: Final = b"f"
"""Start a worker. The answer has its id and 0, or 0 and an errno."""
COPY: Final = b"c"
"""Start a template, for another server. Answered as FORK is."""
SPAWNED: Final = b"s"
"""The answer to FORK where the process has threads, whose number is the value."""
ENDED: Final = b"e"
"""A process has ended, by the exit code that is the value."""
REAP: Final = b"r"
"""Forget a process that has ended: its id, which the server might send a signal, stays taken until then. The answer is
the same message.
"""
