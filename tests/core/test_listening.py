"""An address that cannot be listened on is told in a sentence."""

import socket

import pytest

from app.core.listening import CannotListenError, refuse_taken
from tests.backends.programs import free_port


def test_taken_port_is_told_with_the_setting_to_change() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(CannotListenError, match=rf"127\.0\.0\.1 port {port}: .*set PORT"):
            refuse_taken("127.0.0.1", port)


def test_address_of_another_host_is_told_with_the_setting_to_change() -> None:
    with pytest.raises(CannotListenError, match="no such address; set HOST"):
        refuse_taken("192.0.2.1", free_port())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0", "no-such-name.invalid"])
def test_free_port_and_what_only_the_server_can_tell_pass(host: str) -> None:
    refuse_taken(host, free_port())
