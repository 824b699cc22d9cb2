"""The sandbox's mailbox: real SMTP in, pages and JSON out."""

from __future__ import annotations

import smtplib
import stat
from collections.abc import Iterator
from email.message import EmailMessage
from urllib.parse import urlsplit

import pytest
import requests

from portal.sandbox.mailbox import SandboxMailbox
from tests.browser import visitor


@pytest.fixture
def mailbox(tmp_path) -> Iterator[SandboxMailbox]:
    one = SandboxMailbox(tmp_path / "mail")
    one.start("127.0.0.1", 0, 0)
    yield one
    one.stop()


def send(mailbox, subject="证书已续期", html="<html><head></head><body><p>你好</p></body></html>"):
    message = EmailMessage()
    message["From"], message["To"] = "perennial@example.com", "alice@example.com"
    message["Subject"], message["Message-ID"] = subject, "<abc@example.com>"
    message.set_content("纯文本的内容\n")
    message.add_alternative(html, subtype="html")
    address = urlsplit(mailbox.smtp_url)
    with smtplib.SMTP(address.hostname, address.port, timeout=5) as server:
        server.send_message(message)


def get(mailbox, path):
    return requests.get(mailbox.url + path, timeout=5)


def test_what_is_sent_is_listed_and_counted(mailbox):
    assert get(mailbox, "/api/messages").json() == {"count": 0, "messages": []}
    send(mailbox)
    answer = get(mailbox, "/api/messages").json()
    assert answer["count"] == mailbox.count() == 1
    (mail,) = answer["messages"]
    assert (mail["subject"], mail["to"], mail["message_id"]) == (
        "证书已续期",
        ["alice@example.com"],
        "<abc@example.com>",
    )
    assert mail["text"].strip() == "纯文本的内容"


def test_the_newest_is_first(mailbox):
    send(mailbox, "first")
    send(mailbox, "second")
    subjects = [one["subject"] for one in get(mailbox, "/api/messages").json()["messages"]]
    assert subjects == ["second", "first"]


def test_mails_outlive_a_restart_in_a_private_folder(mailbox, tmp_path):
    send(mailbox)
    mailbox.stop()
    folder = tmp_path / "mail"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir()} == {0o600}
    assert SandboxMailbox(folder).count() == 1


def test_html_is_shown_under_a_policy_that_runs_nothing(mailbox):
    send(mailbox, html="<html><head></head><body><script>alert(1)</script><p>hello</p></body></html>")
    (mail,) = get(mailbox, "/api/messages").json()["messages"]
    page = get(mailbox, f"/messages/{mail['id']}")
    assert "<script>" not in page.text
    assert "unsafe-inline" not in page.headers["Content-Security-Policy"]
    policy = get(mailbox, f"/messages/{mail['id']}/html").headers["Content-Security-Policy"]
    assert policy.startswith("sandbox")
    assert "allow-scripts" not in policy
    assert "default-src 'none'" in policy


def test_a_subject_cannot_write_markup(mailbox):
    send(mailbox, subject="<img src=x>")
    assert "<img" not in get(mailbox, "/").text


def test_the_text_part_has_a_tab(mailbox):
    send(mailbox)
    (mail,) = get(mailbox, "/api/messages").json()["messages"]
    assert "纯文本的内容" in get(mailbox, f"/messages/{mail['id']}?tab=text").text


@pytest.mark.parametrize(
    "path", ["/messages/0-0", "/messages/..%2F..%2Fetc%2Fpasswd", "/nothing", "/messages/x/html"]
)
def test_there_is_nothing_else(mailbox, path):
    assert get(mailbox, path).status_code == 404


def test_nothing_can_be_posted(mailbox):
    assert requests.post(mailbox.url, timeout=5).status_code == 405


def test_people_can_read_it(mailbox, chromium):
    send(mailbox)
    with visitor(chromium, "zh-CN") as one:
        one.page.goto(mailbox.url)
        one.axe("list")
        one.page.click("nav a")
        assert one.page.frame_locator("iframe").locator("p").inner_text() == "你好"
        one.page.click("text=纯文本")
        one.axe("text")
