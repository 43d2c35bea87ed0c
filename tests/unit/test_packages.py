"""What is taken for a .vsix, and what is not."""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from app.errors import InvalidInputError
from app.extensions import packages
from tests.services.code_server import package


def made(manifest: Any, name: str = "extension/package.json", padding: int = 0) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        text = manifest if isinstance(manifest, str) else json.dumps(manifest)
        archive.writestr(name, text)
        archive.writestr("padding", b"\0" * padding)
    return buffer.getvalue()


GOOD = {"publisher": "VibeBox", "name": "Hello-2", "version": "1.2.3-beta.1"}


def test_package_says_what_it_is() -> None:
    assert packages.read(package()) == ("vibebox.hello", "0.0.1")
    assert packages.read(made(GOOD)) == ("vibebox.hello-2", "1.2.3-beta.1")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no zip archive"),
        (b"PK\x03\x04 and no more", "no zip archive"),
        (made(GOOD)[:-30], "no zip archive"),
        (made("{"), "no zip archive"),
        (made(GOOD, name="package.json"), "no extension/package.json"),
        (made([]), "no extension/package.json"),
        (made({**GOOD, "publisher": None} | {"name": "a b"}), "in a way that VS Code does not"),
        (made({**GOOD, "name": "--force"}), "in a way that VS Code does not"),
        (made({**GOOD, "version": "1"}), "in a way that VS Code does not"),
        (made({**GOOD, "version": "1.0.0;x"}), "in a way that VS Code does not"),
        (made({"publisher": "a"}), "no extension/package.json"),
        (made(GOOD, padding=2_000_000), "grows too much"),
        (made({**GOOD, "more": "x" * 1_100_000 + str(list(range(90_000)))}), "more than 1 MiB"),
    ],
    ids=[
        "nothing", "beginning", "cut", "no json", "elsewhere", "a list", "words", "an option",
        "short version", "shell", "nameless", "bomb", "large manifest",
    ],
)  # fmt: skip
def test_what_is_no_package_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        packages.read(content)
    assert reason in caught.value.errors[0]["message"]


def _encrypted(content: bytes) -> bytes:
    """Return the archive with its members marked as encrypted."""
    return content.replace(b"PK\x03\x04\x14\x00\x00", b"PK\x03\x04\x14\x00\x01").replace(
        b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"
    )


@pytest.mark.parametrize("spoil", [_encrypted], ids=["encrypted"])
def test_what_cannot_be_unpacked_is_refused(spoil: Callable[[bytes], bytes]) -> None:
    spoilt = spoil(made(GOOD))
    assert spoilt != made(GOOD)
    with pytest.raises(InvalidInputError, match="body"):
        packages.read(spoilt)


def test_reference_is_split() -> None:
    assert packages.split("MS-Python.Python@2024.1.0") == ("ms-python.python", "2024.1.0")
    assert packages.split("ms-python.python") == ("ms-python.python", None)
