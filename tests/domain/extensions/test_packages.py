"""What is taken for a .vsix, and what is not."""

import contextlib
import io
import json
import re
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import InvalidInputError
from app.domain.extensions import packages
from tests.backends.code_server import package


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
        (made("{"), "no extension/package.json"),
        (made("[" * 20_000), "no extension/package.json"),
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
        "nothing", "beginning", "cut", "no json", "deep json", "elsewhere", "a list", "words",
        "an option", "short version", "shell", "nameless", "bomb", "large manifest",
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


def end(number: int, size: int, offset: int = 0) -> bytes:
    """Return the record at the end of an archive, which may lie."""
    return struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, number, number, size, offset, 0)


def crowd(number: int, name: bytes = b"x") -> bytes:
    """Return a directory of empty files, and nothing else."""
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", *[0] * 9, len(name), *[0] * 6) + name
    return entry * number + end(number % 65536, len(entry) * number)


def zip64(number: int) -> bytes:
    """Return an archive that says in the way of zip64 how many files it has."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for index in range(number):
            made.writestr(str(index), b"")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (crowd(20_001), "more than 20000 files"),
        (crowd(65_535), "more than 20000 files"),
        (crowd(700_000), "no zip archive|more than 20000|no extension/package.json"),
        (partial(zip64, 66_000), "no zip archive"),
        (crowd(20_000), "no extension/package.json"),
        (crowd(3, b"a/../../etc/passwd"), "outside of it"),
        (crowd(3, b"/etc/passwd"), "outside of it"),
        (crowd(2, b"extension/package.json"), "more than one manifest"),
        (crowd(2)[:-22] + end(9, 94), "cannot be read"),
        (end(0, 2**32 - 1, 2**32 - 1), "no zip archive"),
        (b"PK\x05\x06" * 30_000, "no zip archive"),
    ],
    ids=[
        "too many", "most", "700,000", "zip64", "many", "upwards", "absolute", "two manifests",
        "more than there are", "beyond", "many ends",
    ],
)  # fmt: skip
def test_bounded_work(content: bytes | Callable[[], bytes], reason: str) -> None:
    """700,000 empty entries took 6.7 s of CPU and 300 MiB."""
    content = content if isinstance(content, bytes) else content()
    tracemalloc.start()
    begun = time.process_time()
    try:
        with pytest.raises(InvalidInputError) as caught:
            packages.read(content)
        took, (_, peak) = time.process_time() - begun, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert re.search(reason, caught.value.errors[0]["message"])
    assert took < 2 and peak < 4 * 2**20


@given(st.binary(max_size=300))
def test_whatever_it_is_it_is_refused_or_read(noise: bytes) -> None:
    for content in (noise, made(GOOD) + noise, noise + made(GOOD), crowd(1)[:-22] + noise):
        with contextlib.suppress(InvalidInputError):
            assert packages.read(content).name == "vibebox.hello-2"


@given(st.data())
def test_damage_is_refused_or_does_not_matter(data: st.DataObject) -> None:
    content = bytearray(made(GOOD))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InvalidInputError):
        packages.read(bytes(content))


def test_archives_of_others_are_read_as_zipfile_does() -> None:
    for options in ({"compression": zipfile.ZIP_STORED}, {"compression": zipfile.ZIP_DEFLATED}):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", **options) as archive:  # type: ignore[call-overload]
            archive.comment = b"a comment, PK\x01\x02 and all"
            archive.writestr("extension/a.js", "x" * 10_000)
            with archive.open("extension/package.json", "w") as manifest:  # sizes come behind it
                manifest.write(json.dumps(GOOD).encode())
        for before in (b"", b"#!/bin/sh\nexit\n"):
            assert packages.read(before + buffer.getvalue()).version == "1.2.3-beta.1"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_vs_code_does_not_unpack_is_refused(method: int) -> None:
    """The header of LZMA may ask for a dictionary of 4 GiB."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("extension/package.json", json.dumps(GOOD))
    with pytest.raises(InvalidInputError) as caught:
        packages.read(buffer.getvalue())
    assert "does not read" in caught.value.errors[0]["message"]


def test_reference_is_split() -> None:
    assert packages.split("MS-Python.Python@2024.1.0") == ("ms-python.python", "2024.1.0")
    assert packages.split("ms-python.python") == ("ms-python.python", None)
