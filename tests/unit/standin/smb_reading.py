"""Reading a file of a stand-in host as the product does: unbuffered, and letting others do with it what they like."""

from __future__ import annotations

import smbclient

from tests.standin.samba import SambaServer


def first_bytes(server: SambaServer, host_path: str, length: int = 8, *, password: str | None = None) -> bytes:
    """Raises what smbprotocol raises."""
    cache: dict[str, object] = {}
    try:
        smbclient.register_session(
            "127.0.0.1", server.user, password or server.password, port=server.port, connection_cache=cache
        )
        with smbclient.open_file(
            server.unc(host_path), "rb", buffering=0, share_access="rwd", connection_cache=cache, port=server.port
        ) as file:
            return bytes(file.read(length))
    finally:
        smbclient.reset_connection_cache(fail_on_error=False, connection_cache=cache)
