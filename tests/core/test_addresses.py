"""Hosts, authorities, URLs and origins as text."""

import pytest

from app.core.addresses import canonical_host, canonical_origin, host_of, parsed_url


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("localhost", "localhost"),
        ("LocalHost.", "localhost"),
        ("vibebox_backend", "vibebox_backend"),
        ("VibeBox.Example.ORG.", "vibebox.example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("1and1.example", "1and1.example"),
    ],
)
def test_host_is_written_in_one_way(text: str, host: str) -> None:
    assert canonical_host(text) == host


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            ".",
            "..",
            "a..b",
            "999.1.1.1",
            "1.2.3",
            "127.1",
            "0x7f.0",
            "a.0x7f",
            "-a.example",
            "a-.example",
        ),
        *(
            "a b",
            "a/b",
            "a:80",
            "user@host",
            "[127.0.0.1]",
            "[::1",
            "::1]",
            "evil\r\nx",
            "*.example",
        ),
        *("a" * 64, ".".join(["a" * 60] * 5), "\u2028.example", "https://a.example"),
    ],
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="host name or an IP address"):
        canonical_host(text)


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("127.0.0.1:3000", "127.0.0.1"),
        ("LOCALHOST:3000", "localhost"),
        ("localhost.:3000", "localhost"),
        ("localhost:", "localhost"),
        ("[::1]:3000", "::1"),
        ("[::1]", "::1"),
        ("[::FFFF:127.0.0.1]:1", "127.0.0.1"),
        ("evil.example:3000", "evil.example"),
    ],
)
def test_host_of_a_header(header: str, host: str) -> None:
    assert host_of(header) == host


@pytest.mark.parametrize(
    "header",
    [
        *("", ":3000", "::1", "::1:3000", "localhost:x", "localhost:99999", "localhost:3000:1"),
        *(
            "127.0.0.1@evil.example",
            "evil.example,localhost",
            "localhost evil.example",
            "localhost/",
        ),
        *("[localhost]", "localhost:-1", "localhost: 80", " localhost", "localhost\x00"),
    ],
)
def test_header_that_is_not_well_formed_names_no_host(header: str) -> None:
    assert host_of(header) is None


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://Console.Example.org/", "https://console.example.org"),
        ("https://console.example.org:443", "https://console.example.org"),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("http://[::1]:80", "http://[::1]"),
    ],
)
def test_origin_is_written_as_a_browser_does(text: str, origin: str) -> None:
    assert canonical_origin(text) == origin


@pytest.mark.parametrize(
    "text",
    [
        *("foo", "999.1.1.1", "null", "*", "https://", "https://999.1.1.1", "ftp://a.example"),
        *("https://a.example/path", "https://a.example?x", "https://me@a.example", "https://a:0"),
        *("https://a.example:99999", "https://a.example:x", "https://[::1", "//a.example"),
    ],
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        canonical_origin(text)


def test_message_does_not_show_the_url() -> None:
    with pytest.raises(ValueError, match="must") as caught:
        parsed_url("https://ada:s3cr3t@999.1.1.1", "https")
    assert "s3cr3t" not in str(caught.value)
