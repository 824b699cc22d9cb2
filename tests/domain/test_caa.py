"""CAA: every rule of RFC 8659 and RFC 8657, with the examples that they give."""

from __future__ import annotations

import pytest

from portal.domain.caa import NOBODY, CaaRecord, CaaSet, Grant, Wanted, evaluate, read_grant
from portal.domain.validation import Severity

OK, WARNING, BLOCKING = Severity.OK, Severity.WARNING, Severity.BLOCKING
ACCOUNT = "https://example.net/account/1234"


def records(*texts: str) -> tuple[CaaRecord, ...]:
    """Records as a zone file has them: flags, tag, value in quotes."""
    parts = (text.split(" ", 2) for text in texts)
    return tuple(CaaRecord(int(flags), tag, value.strip('"')) for flags, tag, value in parts)


def look(
    name: str,
    *texts: str,
    ca: tuple[str, ...] = ("ca1.example.net",),
    account: str | None = ACCOUNT,
    method: str = "dns-01",
) -> tuple[str, Severity]:
    at = name.removeprefix("*.")
    found = evaluate(CaaSet(at, records(*texts)) if texts else CaaSet(), Wanted(name, ca, account, method))
    return found.code, found.severity


GRANTS = [
    ("ca1.example.net",                              Grant("ca1.example.net")),
    ("  ca1.example.net\t",                          Grant("ca1.example.net")),
    ("CA1.Example.NET",                              Grant("ca1.example.net")),
    ("",                                             NOBODY),
    (" ",                                            NOBODY),
    (";",                                            NOBODY),
    (" ; ",                                          NOBODY),
    ("; policy=ev",                                  Grant("", (("policy", "ev"),))),
    ("ca1.example.net;",                             Grant("ca1.example.net")),
    ("ca1.example.net ; ",                           Grant("ca1.example.net")),
    ("ca1.example.net; account=230123",              Grant("ca1.example.net", (("account", "230123"),))),
    ("ca1.example.net;account = 230123",             Grant("ca1.example.net", (("account", "230123"),))),
    ("ca1.example.net; a=1; b=2",                    Grant("ca1.example.net", (("a", "1"), ("b", "2")))),
    ("ca1.example.net; a=1;b=",                      Grant("ca1.example.net", (("a", "1"), ("b", "")))),
    ("ca1.example.net; a=x=y",                       Grant("ca1.example.net", (("a", "x=y"),))),
    ("ca1.example.net; ACCOUNTURI=https://A/b",      Grant("ca1.example.net", (("accounturi", "https://A/b"),))),
    ("a--b.example.net",                             Grant("a--b.example.net")),
    ("%%%%%",                                        NOBODY),
    ("ca1.example.net.",                             NOBODY),
    (".example.net",                                 NOBODY),
    ("ca1..example.net",                             NOBODY),
    ("-ca.example.net",                              NOBODY),
    ("ca_1.example.net",                             NOBODY),
    ("ca1.example.net ca2.example.net",              NOBODY),
    ("ca1.example.net; account",                     NOBODY),
    ("ca1.example.net; =1",                          NOBODY),
    ("ca1.example.net; a=1;",                        NOBODY),
    ("ca1.example.net; a=1 b=2",                     NOBODY),
    ("ca1.example.net; a=é",                         NOBODY),
    ("ca1.example.net; _a=1",                        NOBODY),
]  # fmt: skip


@pytest.mark.parametrize(("text", "grant"), GRANTS)
def test_issue_values_are_read_as_their_grammar_says(text: str, grant: Grant) -> None:
    assert read_grant(text) == grant


def test_a_long_value_is_read_in_no_time() -> None:
    assert read_grant("a" + " " * 60_000 + "b") == NOBODY
    assert read_grant("a" + "-" * 60_000) == NOBODY


#: RFC 8659, 4.2 to 4.5, with names as they are there; the CA that asks is the fourth part.
RFC_8659 = [
    # 4.2
    ("certs.example.com", ('0 issue "ca1.example.net"',), "ca1.example.net", "caa_allows", OK),
    ("certs.example.com", ('0 issue "ca1.example.net"',), "ca2.example.org", "caa_forbids", BLOCKING),
    ("nocerts.example.com", ('0 issue ";"',), "ca1.example.net", "caa_forbids", BLOCKING),
    ("malformed.example.com", ('0 issue "%%%%%"',), "ca1.example.net", "caa_forbids", BLOCKING),
    ("certs.example.com", ('0 issue "ca1.example.net"', '0 issue "ca2.example.org"'),
        "ca2.example.org", "caa_allows", OK),
    ("certs.example.com", ('0 issue ";"', '0 issue "ca1.example.net"'), "ca1.example.net", "caa_allows", OK),
    ("certs.example.com", ('0 issue "ca1.example.net; account=230123"',), "ca1.example.net", "caa_allows", OK),
    ("*.certs.example.com", ('0 issue "ca1.example.net"',), "ca1.example.net", "caa_allows", OK),
    # 4.3
    ("wild.example.com", ('0 issuewild "ca1.example.org"',), "ca2.example.net", "caa_unrestricted", OK),
    ("*.wild.example.com", ('0 issuewild "ca1.example.org"',), "ca2.example.net", "caa_forbids", BLOCKING),
    ("*.wild.example.com", ('0 issuewild "ca1.example.org"',), "ca1.example.org", "caa_allows", OK),
    ("wild2.example.com", ('0 issue "ca1.example.net"', '0 issuewild "ca2.example.org"'),
        "ca1.example.net", "caa_allows", OK),
    ("*.wild2.example.com", ('0 issue "ca1.example.net"', '0 issuewild "ca2.example.org"'),
        "ca1.example.net", "caa_forbids", BLOCKING),
    ("*.wild2.example.com", ('0 issue "ca1.example.net"', '0 issuewild "ca2.example.org"'),
        "ca2.example.org", "caa_allows", OK),
    ("wild2.example.com", ('0 issue "ca1.example.net"', '0 issuewild "ca2.example.org"'),
        "ca2.example.org", "caa_forbids", BLOCKING),
    ("*.wild3.example.com", ('0 issue "ca1.example.net"', '0 issuewild ";"'),
        "ca1.example.net", "caa_forbids", BLOCKING),
    ("wild3.example.com", ('0 issue "ca1.example.net"', '0 issuewild ";"'),
        "ca1.example.net", "caa_allows", OK),
    ("wild3.example.com", ('0 issue ";"', '0 issuewild "ca1.example.net"'),
        "ca1.example.net", "caa_forbids", BLOCKING),
    ("*.wild3.example.com", ('0 issue ";"', '0 issuewild "ca1.example.net"'),
        "ca1.example.net", "caa_allows", OK),
    # 4.4
    ("report.example.com", ('0 issue "ca1.example.net"', '0 iodef "mailto:security@example.com"'),
        "ca1.example.net", "caa_allows", OK),
    ("report.example.com", ('0 iodef "mailto:security@example.com"',), "ca1.example.net", "caa_unrestricted", OK),
    # 4.5
    ("new.example.com", ('0 issue "ca1.example.net"', '128 tbs "Unknown"'),
        "ca1.example.net", "caa_critical_unknown", BLOCKING),
    ("new.example.com", ('0 issue "ca1.example.net"', '0 tbs "Unknown"'),
        "ca1.example.net", "caa_allows", OK),
]  # fmt: skip


@pytest.mark.parametrize(("name", "texts", "ca", "code", "severity"), RFC_8659)
def test_the_examples_of_rfc_8659(
    name: str, texts: tuple[str, ...], ca: str, code: str, severity: Severity
) -> None:
    assert look(name, *texts, ca=(ca,)) == (code, severity)


RULES = [
    # no record set, or none that restricts
    ((),                                                           "caa_unrestricted",     OK),
    (('0 tbs "Unknown"',),                                         "caa_unrestricted",     OK),
    (('0 issuemail ";"',),                                         "caa_unrestricted",     OK),
    # critical flag: known tags are none of its business; other bits mean nothing
    (('128 issue "ca1.example.net"',),                             "caa_allows",           OK),
    (('128 ISSUE "ca1.example.net"',),                             "caa_allows",           OK),
    (('128 iodef "mailto:a@example.com"',),                        "caa_unrestricted",     OK),
    (('1 tbs "Unknown"', '0 issue "ca1.example.net"'),             "caa_allows",           OK),
    (('127 tbs "Unknown"',),                                       "caa_unrestricted",     OK),
    (('255 tbs "Unknown"',),                                       "caa_critical_unknown", BLOCKING),
    (('128 tbs "Unknown"',),                                       "caa_critical_unknown", BLOCKING),
    # tags and domains have no case
    (('0 Issue "CA1.EXAMPLE.NET"',),                               "caa_allows",           OK),
    (('0 issue "ca1.example.net.example.org"',),                   "caa_forbids",          BLOCKING),
    (('0 issue "example.net"',),                                   "caa_forbids",          BLOCKING),
    (('0 issue ""',),                                              "caa_forbids",          BLOCKING),
    (('0 issue "; policy=ev"',),                                   "caa_forbids",          BLOCKING),
]  # fmt: skip


@pytest.mark.parametrize(("texts", "code", "severity"), RULES)
def test_rules_beside_the_examples(texts: tuple[str, ...], code: str, severity: Severity) -> None:
    assert look("shop.example.com", *texts) == (code, severity)


def test_any_of_a_cas_identities_will_do() -> None:
    text = '0 issue "second.example"'
    assert look("a.example.com", text, ca=("First.Example.", "SECOND.example")) == ("caa_allows", OK)


#: RFC 8657: the account is ACCOUNT, the method dns-01.
PARAMETERS = [
    (("accounturi=https://example.net/account/1234",),                     "caa_allows",        OK),
    (("accounturi=https://example.net/account/2345",),                     "caa_other_account", BLOCKING),
    (("accounturi=https://example.net/account/2345",
      "accounturi=https://example.net/account/1234"),                      "caa_allows",        OK),
    (("accounturi=https://EXAMPLE.net/account/1234",),                     "caa_other_account", BLOCKING),
    (("accounturi=https://example.net/account/1234/",),                    "caa_other_account", BLOCKING),
    (("accounturi=",),                                                     "caa_other_account", BLOCKING),
    (("accounturi=https://example.net/account/1234;accounturi=https://example.net/account/1234",),
                                                                           "caa_other_account", BLOCKING),
    (("AccountURI=https://example.net/account/1234",),                     "caa_allows",        OK),
    (("validationmethods=dns-01",),                                        "caa_allows",        OK),
    (("validationmethods=http-01,dns-01",),                                "caa_allows",        OK),
    (("validationmethods=http-01",),                                       "caa_other_method",  BLOCKING),
    (("validationmethods=ca-foo,ca-bar",),                                 "caa_other_method",  BLOCKING),
    (("validationmethods=",),                                              "caa_other_method",  BLOCKING),
    (("validationmethods=DNS-01",),                                        "caa_other_method",  BLOCKING),
    (("validationmethods=dns-01; validationmethods=dns-01",),              "caa_other_method",  BLOCKING),
    (("validationmethods=http-01", "validationmethods=dns-01"),            "caa_allows",        OK),
    (("accounturi=https://example.net/account/1234; validationmethods=dns-01",),
                                                                           "caa_allows",        OK),
    (("accounturi=https://example.net/account/1234; validationmethods=http-01",),
                                                                           "caa_other_method",  BLOCKING),
    (("accounturi=https://example.net/account/2345; validationmethods=dns-01",),
                                                                           "caa_other_account", BLOCKING),
    (("accounturi=https://example.net/account/2345; validationmethods=dns-01",
      "accounturi=https://example.net/account/1234; validationmethods=http-01"),
                                                                           "caa_other_method",  BLOCKING),
    (("unheard-of=1",),                                                    "caa_allows",        OK),
]  # fmt: skip


@pytest.mark.parametrize(("parameters", "code", "severity"), PARAMETERS)
def test_the_parameters_of_rfc_8657(parameters: tuple[str, ...], code: str, severity: Severity) -> None:
    texts = [f'0 issue "ca1.example.net; {one}"' for one in parameters]
    assert look("shop.example.com", *texts) == (code, severity)


def test_another_cas_parameters_do_not_matter() -> None:
    texts = ('0 issue "ca1.example.net; accounturi=https://a/1"', '0 issue "ca2.example.org"')
    assert look("a.example.com", *texts, ca=("ca2.example.org",)) == ("caa_allows", OK)


def test_parameters_bind_wildcards_too() -> None:
    text = '0 issuewild "ca1.example.net; validationmethods=http-01"'
    assert look("*.example.com", text) == ("caa_other_method", BLOCKING)


def test_an_account_that_is_not_registered_yet_cannot_be_compared() -> None:
    pinned = '0 issue "ca1.example.net; accounturi=https://example.net/account/1"'
    assert look("a.example.com", pinned, account=None) == ("caa_account_unknown", WARNING)
    assert look("a.example.com", pinned, '0 issue "ca1.example.net"', account=None) == ("caa_allows", OK)
    twice = f'{pinned[:-1]}; accounturi=https://example.net/account/1"'
    assert look("a.example.com", twice, account=None) == ("caa_other_account", BLOCKING)


def test_without_knowing_the_cas_names_only_a_closed_domain_is_certain() -> None:
    assert look("a.example.com", '0 issue "ca1.example.net"', ca=()) == ("caa_identities_unknown", WARNING)
    assert look("a.example.com", '0 issue ";"', ca=()) == ("caa_closed", BLOCKING)
    assert look("a.example.com", '128 tbs "x"', ca=()) == ("caa_critical_unknown", BLOCKING)
    assert look("a.example.com", ca=()) == ("caa_unrestricted", OK)


ADVICE = [
    ("a.example.com", ('0 issue ";"',), 'example.com CAA 0 issue "ca1.example.net"'),
    ("*.example.com", ('0 issuewild ";"',), 'example.com CAA 0 issuewild "ca1.example.net"'),
    ("*.example.com", ('0 issue "ca2.example.org"',), 'example.com CAA 0 issue "ca1.example.net"'),
    ("a.example.com", ('0 issue "ca1.example.net; accounturi=https://a/1"',),
                        f'example.com CAA 0 issue "ca1.example.net; accounturi={ACCOUNT}"'),
    ("a.example.com", ('0 issue "ca1.example.net; validationmethods=http-01"',),
                        'example.com CAA 0 issue "ca1.example.net; validationmethods=dns-01"'),
]  # fmt: skip


@pytest.mark.parametrize(("name", "texts", "record"), ADVICE)
def test_the_record_to_set_is_named(name: str, texts: tuple[str, ...], record: str) -> None:
    wanted = Wanted(name, ("ca1.example.net",), ACCOUNT, "dns-01")
    found = evaluate(CaaSet("example.com", records(*texts)), wanted)
    assert (found.params["record"], found.params["at"], found.params["name"]) == (record, "example.com", name)
