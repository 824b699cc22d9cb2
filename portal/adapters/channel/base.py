"""What a channel is asked: deliver one message, once."""

from __future__ import annotations

from email.message import EmailMessage
from typing import Protocol


class MailChannel(Protocol):
    def send(self, message: EmailMessage) -> None:
        """Hand `message` over. Raises AdapterError: mail_unavailable (temporary), mail_refused (permanent)."""
        ...
