"""The real nginx, with a configuration that is meant for /etc/nginx/conf.d."""

import shutil
import socket
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.backends.programs import Program, free_port
from tests.backends.scratch import new_directory, remove_directory
from tests.backends.web import STOP_TIMEOUT

READY_TIMEOUT = 30.0
_MAIN = """
daemon off; pid {directory}/pid; error_log stderr; worker_processes 1; user root;
events {{ worker_connections 64; }}
http {{
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    include {directory}/site.conf;
}}
"""


class Nginx:
    """An nginx of its own, with a self-signed certificate for `name` and 127.0.0.1.

    Args:
        config: the text of the configuration.
        replaced: what to put in the place of which parts of it; each must be there.
    """

    def __init__(self, config: str, name: str, replaced: Mapping[str, str]) -> None:
        self._directory = new_directory("nginx")
        self.port, self.plain_port = free_port(), free_port()
        self.certificate = self._directory / "certificate.pem"
        self.access_log = self._directory / "access.log"
        self._key = self._directory / "key.pem"
        make_certificate(name, self.certificate, self._key)
        places = {
            "/etc/ssl/vibebox": str(self._directory),
            "/var/log/nginx/vibebox.log": str(self.access_log),
            "listen 443 ssl": f"listen 127.0.0.1:{self.port} ssl",
            "listen 80": f"listen 127.0.0.1:{self.plain_port}",
            **replaced,
        }
        for part, other in places.items():
            assert part in config, f"the configuration has no {part!r}"
            config = config.replace(part, other)
        (self._directory / "site.conf").write_text(config)
        main = self._directory / "nginx.conf"
        main.write_text(_MAIN.format(directory=self._directory))
        command = ["nginx", "-c", str(main), "-e", "stderr"]
        self._server = Program(command, self._directory / "log", cwd=self._directory)
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """Start the server and wait until it listens; harmless when it runs."""
        if not self._server.running:
            self._server.start()
            self._server.wait_ready(self._listens, READY_TIMEOUT)

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    heal = start

    def stop(self) -> None:
        """Stop the server."""
        self._server.stop(STOP_TIMEOUT)

    def certify(self, name: str, *, address: bool = True, days: float = 1) -> None:
        """Have it show another certificate from now on; see `make_certificate`."""
        self.stop()
        make_certificate(name, self.certificate, self._key, address=address, days=days)
        self.start()

    @staticmethod
    def installed() -> str | None:
        """Return in words what is missing to run nginx here, or None."""
        return None if shutil.which("nginx") else "nginx is not installed"

    @property
    def pid(self) -> int:
        """Process id of the master."""
        return self._server.pid

    def close(self) -> None:
        """Stop the server and remove what it wrote."""
        self._server.stop(STOP_TIMEOUT)
        remove_directory(self._directory)


def make_certificate(
    name: str, certificate: Path, key_file: Path, *, address: bool = True, days: float = 1
) -> None:
    """Write a certificate that is its own issuer, for a name and, with `address`, for 127.0.0.1.

    It is good for so many days from now on; below 0 it has been.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names: list[x509.GeneralName] = [x509.DNSName(name)]
    if address:
        names.append(x509.IPAddress(IPv4Address("127.0.0.1")))
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
