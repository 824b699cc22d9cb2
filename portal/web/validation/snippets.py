"""What a customer's web server has to be told, so that a CA reads our answer there (RFC 8555, 8.3)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from portal.adapters.dns.http_reach import PATH


class Snippet(NamedTuple):
    """`server` is what it is for; `text` can be copied as it is."""

    key: str
    server: str
    text: str


def can_redirect(portal_url: str) -> bool:
    """Whether CAs follow a redirect to the portal: to a name, on port 80 or 443."""
    parts = urlsplit(portal_url)
    try:
        ipaddress.ip_address(parts.hostname or "")
        return False
    except ValueError:
        return parts.port in (None, 80, 443) and "." in (parts.hostname or "")


def snippets(portal_url: str) -> Sequence[Snippet]:
    """One for each server: a redirect where CAs would follow it, else a proxy."""
    make = _redirects if can_redirect(portal_url) else _proxies
    return make(portal_url.rstrip("/"))


def _redirects(portal: str) -> list[Snippet]:
    return [
        Snippet("nginx", "Nginx", f"location ^~ {PATH} {{\n    return 302 {portal}$request_uri;\n}}"),
        Snippet(
            "apache",
            "Apache",
            f'RedirectMatch 302 "^/\\.well-known/acme-challenge/(.+)$" "{portal}{PATH}$1"',
        ),
        Snippet(
            "iis",
            "IIS (web.config)",
            _iis(f'type="Redirect" redirectType="Found" url="{portal}{PATH}{{R:1}}"'),
        ),
    ]


def _proxies(portal: str) -> list[Snippet]:
    host = urlsplit(portal).netloc
    is_tls = portal.startswith("https:")
    server_name = "\n    proxy_ssl_server_name on;" if is_tls else ""
    engine = "SSLProxyEngine on\n" if is_tls else ""
    return [
        Snippet(
            "nginx",
            "Nginx",
            f"location ^~ {PATH} {{\n    proxy_pass {portal};\n    proxy_set_header Host {host};{server_name}\n}}",
        ),
        Snippet("apache", "Apache", f'{engine}ProxyPass "{PATH}" "{portal}{PATH}"'),
        Snippet("iis", "IIS (web.config)", _iis(f'type="Rewrite" url="{portal}{PATH}{{R:1}}"')),
    ]


def _iis(action: str) -> str:
    return "\n".join(
        [
            "<configuration>",
            "  <system.webServer>",
            "    <rewrite>",
            "      <rules>",
            '        <rule name="acme-challenge" stopProcessing="true">',
            '          <match url="^\\.well-known/acme-challenge/(.+)$" />',
            f"          <action {action} />",
            "        </rule>",
            "      </rules>",
            "    </rewrite>",
            "  </system.webServer>",
            "</configuration>",
        ]
    )
