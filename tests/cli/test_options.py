"""The address of the service, as people type it."""

import click
import pytest

from app.cli.client.options import normal_url


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("http://127.0.0.1:3000/", "http://127.0.0.1:3000"),
        ("HTTPS://VibeBox.Example.org", "https://vibebox.example.org"),
        ("https://example.org/vibebox/", "https://example.org/vibebox"),
        ("http://[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_addresses_of_one_service_are_one(typed: str, meant: str) -> None:
    assert normal_url(typed) == meant


@pytest.mark.parametrize(
    "typed",
    ["", "127.0.0.1:3000", "ftp://host", "http://", "http://host:port", "http://host?x=1",
     "http://ada:secret@host"],
)  # fmt: skip
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(click.BadParameter):
        normal_url(typed)
