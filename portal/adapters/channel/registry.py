"""Which channels there are."""

from __future__ import annotations

from collections.abc import Mapping

from portal.adapters.channel.base import MailChannel
from portal.adapters.loading import load
from portal.settings import Settings

CHANNELS: Mapping[str, str] = {"email": "portal.adapters.channel.email:SmtpChannel"}


def connect(name: str, settings: Settings) -> MailChannel:
    """The channel as the settings describe it. Raises KeyError for an unknown name."""
    channel: MailChannel = load(CHANNELS[name])(settings)
    return channel
