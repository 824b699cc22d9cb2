"""Mail by SMTP.

The address is smtp://user:password@host:port (in clear: for a server on this machine or a private network),
smtps:// (TLS from the start) or smtp+starttls:// (TLS after STARTTLS, never without). Certificates are verified.
"""

from __future__ import annotations

import re
import smtplib
import ssl
from contextlib import suppress
from email.message import EmailMessage
from email.utils import parseaddr
from urllib.parse import SplitResult, unquote, urlsplit

from portal.adapters.errors import AdapterError
from portal.settings import Settings

STARTTLS, TLS = "smtp+starttls", "smtps"
DEFAULT_PORTS = {"smtp": 25, STARTTLS: 587, TLS: 465}

_ENHANCED = re.compile(rb"\A([245]\.\d{1,3}\.\d{1,3})\b")


class SmtpChannel:
    """One connection a message. Errors name a reason, a status and its enhanced code (RFC 3463), nothing more."""

    def __init__(self, settings: Settings) -> None:
        self._address = urlsplit(settings.mail_url)
        self._timeout = settings.step_timeout

    def send(self, message: EmailMessage) -> None:
        """Hand the message over.

        Raises AdapterError: mail_refused (permanent) where the server refuses this recipient or message for good;
        mail_unavailable (temporary) for anything that says nothing of them, our own credentials included.
        """
        server = self._open()
        try:
            _hand_over(server, message)
        finally:
            _leave(server)

    def check(self) -> None:
        """Connect, secure and log in as for a message, and leave. Raises AdapterError as `send` does."""
        _leave(self._open())

    def _open(self) -> smtplib.SMTP:
        if self._address.scheme not in DEFAULT_PORTS or not self._address.hostname:
            raise AdapterError("mail_not_configured", permanent=False)
        try:
            return self._connect(self._address)
        except smtplib.SMTPAuthenticationError as error:
            raise _unavailable("credentials", error.smtp_code) from None
        except smtplib.SMTPResponseException as error:
            raise _unavailable("connect", error.smtp_code) from None
        except ssl.SSLError:
            raise _unavailable("tls") from None
        except (smtplib.SMTPException, OSError) as error:
            raise _unavailable(type(error).__name__) from None

    def _connect(self, address: SplitResult) -> smtplib.SMTP:
        """Connect, secure and log in, leaving nothing open where that fails."""
        host, port = address.hostname or "", address.port or DEFAULT_PORTS[address.scheme]
        server: smtplib.SMTP
        if address.scheme == TLS:
            context = ssl.create_default_context()
            server = smtplib.SMTP_SSL(host, port, timeout=self._timeout, context=context)
        else:
            server = smtplib.SMTP(host, port, timeout=self._timeout)
        try:
            server.ehlo_or_helo_if_needed()
            if address.scheme == STARTTLS:
                server.starttls(context=ssl.create_default_context())
            if address.username:
                server.login(unquote(address.username), unquote(address.password or ""))
        except BaseException:
            server.close()
            raise
        return server


def _hand_over(server: smtplib.SMTP, message: EmailMessage) -> None:
    recipient = parseaddr(str(message["To"]))[1]
    try:
        server.send_message(message, parseaddr(str(message["From"]))[1], [recipient])
    except smtplib.SMTPRecipientsRefused as error:
        raise _refused("recipient", *next(iter(error.recipients.values()))) from None
    except smtplib.SMTPSenderRefused as error:
        raise _unavailable("sender", error.smtp_code) from None
    except smtplib.SMTPResponseException as error:
        raise _refused("message", error.smtp_code, error.smtp_error) from None
    except smtplib.SMTPNotSupportedError:
        raise AdapterError("mail_refused", permanent=True, reason="smtputf8", status=0) from None
    except (smtplib.SMTPException, OSError) as error:
        raise _unavailable(type(error).__name__) from None


def _leave(server: smtplib.SMTP) -> None:
    """Part politely; a server that has the message already cannot fail us any more."""
    with suppress(smtplib.SMTPException, OSError):
        server.quit()
    server.close()


def _refused(reason: str, status: int, text: bytes | str) -> AdapterError:
    """Refused for good where the status says so (5xx); otherwise for now (greylisting, a full mailbox)."""
    raw = text.encode("ascii", "replace") if isinstance(text, str) else text
    found = _ENHANCED.match(raw)
    detail = found.group(1).decode() if found else ""
    code = "mail_refused" if status >= 500 else "mail_unavailable"
    return AdapterError(code, permanent=status >= 500, reason=reason, status=status, detail=detail)


def _unavailable(reason: str, status: int = 0) -> AdapterError:
    return AdapterError("mail_unavailable", permanent=False, reason=reason, status=status, detail="")
