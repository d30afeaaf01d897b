"""A real SMTP server as a process of its own, with TLS and authentication, that misbehaves when told to.

``python -m tests.unit.mail.smtp_server FOLDER SECURITY BEHAVIOUR CERTIFICATE``; it prints its port and keeps each mail
that it accepts in FOLDER.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
import time
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "atesta", "correct horse"


class Handler:
    """Keeps mails in a folder; refuses as told."""

    def __init__(self, folder: Path, behaviour: str) -> None:
        self.folder = folder
        self.behaviour = behaviour
        self.asked = 0

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.asked += 1
        if self.behaviour == "greylist" and self.asked == 1:
            return "451 4.7.1 Greylisted, come back later"
        if self.behaviour in ("refuse", "refuse-and-freeze"):
            return "550 5.1.1 No such user\x1b[31m here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.behaviour == "too-big":
            return "552 5.3.4 Message too big"
        assert isinstance(envelope.content, bytes)
        (self.folder / f"{len(list(self.folder.iterdir()))}.eml").write_bytes(envelope.content)
        return "250 OK"


class Server(SMTP):
    """Drops and hangs where told."""

    behaviour = ""

    async def smtp_EHLO(self, hostname: str) -> None:  # noqa: N802
        if self.behaviour == "hang":
            await asyncio.sleep(3600)
        await super().smtp_EHLO(hostname)

    async def smtp_RSET(self, arg: str) -> None:  # noqa: N802
        await super().smtp_RSET(arg)
        if self.behaviour == "refuse-and-freeze":
            time.sleep(3600)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        if self.behaviour == "drop-in-data":
            await self.push("354 Go on")
            await self._reader.readline()
            self.drop()
            return
        await super().smtp_DATA(arg)

    async def smtp_QUIT(self, arg: str) -> None:  # noqa: N802
        if self.behaviour == "drop-at-quit":
            self.drop()
            return
        await super().smtp_QUIT(arg)

    def drop(self) -> None:
        assert isinstance(self.transport, asyncio.WriteTransport)
        self.transport.abort()


def authenticated(server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: object) -> AuthResult:
    good = isinstance(login, LoginPassword) and (login.login, login.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=good, handled=False)


async def serve(folder: Path, security: str, behaviour: str, certificate: str) -> None:
    context = None
    if security != "none":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    handler = Handler(folder, behaviour)

    def protocol() -> Server:
        server = Server(
            handler,
            hostname="localhost",
            tls_context=context if security == "starttls" else None,
            require_starttls=security == "starttls",
            auth_require_tls=security == "starttls",
            auth_required=security != "none",
            authenticator=authenticated,
        )
        server.behaviour = behaviour
        return server

    loop = asyncio.get_running_loop()
    listening = await loop.create_server(protocol, "127.0.0.1", 0, ssl=context if security == "tls" else None)
    print(listening.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    await listening.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]))
