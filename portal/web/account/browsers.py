"""What a User-Agent says, in so many words as a person needs to know their own browser again."""

from __future__ import annotations

#: The first that occurs names the browser: later ones also occur in the texts of earlier ones.
_BROWSERS = (
    ("Edg/", "Edge"),
    ("MicroMessenger", "WeChat"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
)
_SYSTEMS = (
    ("Windows", "Windows"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)


def _first(user_agent: str, table: tuple[tuple[str, str], ...]) -> str:
    return next((name for part, name in table if part in user_agent), "")


def browser_name(user_agent: str) -> str:
    """ "Firefox · Windows"; empty for something unknown."""
    return " · ".join(filter(None, (_first(user_agent, _BROWSERS), _first(user_agent, _SYSTEMS))))


def is_phone(user_agent: str) -> bool:
    """Whether to draw a phone beside it."""
    return any(word in user_agent for word in ("iPhone", "Android", "Mobile"))
