"""A port that stays one's own while nothing listens on it."""

from __future__ import annotations

import socket


def reserved_port() -> socket.socket:
    """A socket that holds a free port of 127.0.0.1 and never listens: a server may bind beside it, and begin again."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    return holder
