"""The sandbox's mailbox: an SMTP server that keeps what it is sent, and a web view of it."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller

from portal.sandbox.mailbox_pages import MailboxPages
from portal.sandbox.serving import WebServer, private_folder

MAX_MESSAGE = 1024 * 1024


@dataclass(frozen=True)
class StoredMail:
    """A mail in the folder; `recipients` are the envelope's."""

    id: str
    received_at: datetime
    recipients: tuple[str, ...]
    message: EmailMessage


class MailFolder:
    """Mails as files, `<microseconds>-<random>.eml`: their names are their ids and sort by time."""

    def __init__(self, folder: Path) -> None:
        self._folder = private_folder(folder)
        self._lock = threading.Lock()
        self._known: dict[str, StoredMail] = {}

    def keep(self, content: bytes, recipients: Sequence[str]) -> None:
        """Store one mail; it is there whole or not at all."""
        now = datetime.now(UTC)
        mail_id = f"{int(now.timestamp() * 1_000_000):016d}-{uuid.uuid4().hex[:8]}"
        head = "".join(f"X-Envelope-To: {one}\r\n" for one in recipients).encode()
        draft = self._folder / f"{mail_id}.new"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(head + content)
        draft.rename(draft.with_suffix(".eml"))

    def list(self) -> Sequence[StoredMail]:
        """Every mail, the newest first."""
        names = sorted((path.stem for path in self._folder.glob("*.eml")), reverse=True)
        return [self._read(name) for name in names]

    def find(self, mail_id: str) -> StoredMail | None:
        """One mail; None for an id that is not there, whatever it looks like."""
        return next((one for one in self.list() if one.id == mail_id), None)

    def _read(self, mail_id: str) -> StoredMail:
        with self._lock:
            if mail_id not in self._known:
                content = (self._folder / f"{mail_id}.eml").read_bytes()
                message = message_from_bytes(content, policy=policy.default)
                assert isinstance(message, EmailMessage)
                recipients = tuple(str(one) for one in message.get_all("X-Envelope-To", []))
                moment = datetime.fromtimestamp(int(mail_id.partition("-")[0]) / 1_000_000, UTC)
                self._known[mail_id] = StoredMail(mail_id, moment, recipients, message)
            return self._known[mail_id]


class _Handler:
    """What aiosmtpd asks."""

    def __init__(self, keep: Callable[[bytes, Sequence[str]], None]) -> None:
        self._keep = keep

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        """Keep the mail, then say so."""
        self._keep(envelope.original_content, envelope.rcpt_tos)
        return "250 OK"


class _Controller(Controller):
    """aiosmtpd's controller, which also knows the port where the kernel chose it."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        super()._trigger_server()  # type: ignore[no-untyped-call]


class SandboxMailbox:
    """Receives on one port, shows on another. Mails are kept in `folder` (0700)."""

    def __init__(self, folder: Path) -> None:
        self._folder = MailFolder(folder)
        self._smtp: _Controller | None = None
        self._web = WebServer(MailboxPages(self._folder.list, self._folder.find))

    def start(self, host: str, smtp_port: int, web_port: int) -> None:
        """Listen on both; port 0 takes a free one."""
        self._smtp = _Controller(
            _Handler(self._folder.keep), hostname=host, port=smtp_port, data_size_limit=MAX_MESSAGE
        )
        self._smtp.start()
        self._web.start(host, web_port)

    def stop(self) -> None:
        """Stop listening. Safe to repeat."""
        self._web.stop()
        if self._smtp is not None:
            self._smtp.stop()
        self._smtp = None

    @property
    def smtp_url(self) -> str:
        """What PORTAL_MAIL_URL should be."""
        if self._smtp is None:
            raise RuntimeError("not started")
        return f"smtp://{self._smtp.hostname}:{self._smtp.port}"

    @property
    def url(self) -> str:
        """Where the mails can be seen."""
        return self._web.url

    def count(self) -> int:
        """How many mails there are."""
        return len(self._folder.list())
