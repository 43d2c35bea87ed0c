"""The file of credentials."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from app.cli.client.errors import ClientError
from app.cli.client.store import Login, Store, directory

URL, OTHER = "http://127.0.0.1:3000", "https://vibebox.example.org"
LOGIN = Login("ada@example.org", "vbx_at_1", "vbx_rt_1", 1000.0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "config" / "vibebox")


def put(store: Store, url: str, login: Login | None) -> None:
    with store.locked():
        store.put(url, login)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_logins_are_kept_by_address(store: Store) -> None:
    assert store.get(URL) is None
    other = Login("eve@example.org", "vbx_at_2", "vbx_rt_2", 2000.0)
    put(store, URL, LOGIN)
    put(store, OTHER, other)
    assert (store.get(URL), store.get(OTHER)) == (LOGIN, other)

    put(store, URL, None)
    assert (store.get(URL), store.get(OTHER)) == (None, other)


def test_only_the_owner_reads_it(store: Store) -> None:
    put(store, URL, LOGIN)
    store.file.chmod(0o644)
    put(store, OTHER, LOGIN)

    assert mode(store.file) == 0o600
    assert mode(store.file.parent) == 0o700
    assert {path.name for path in store.file.parent.iterdir()} == {
        "credentials.json",
        "credentials.lock",
    }


def test_failed_write_keeps_the_old_file(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, URL, LOGIN)

    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(ClientError, match="No space left on device"):
        put(store, URL, None)

    assert store.get(URL) == LOGIN
    assert len(list(store.file.parent.iterdir())) == 2


@pytest.mark.parametrize("content", ["", "{", "[]", json.dumps({URL: {"email": "x"}})])
def test_file_that_is_not_ours_is_an_error_that_names_it(store: Store, content: str) -> None:
    put(store, OTHER, LOGIN)
    store.file.write_text(content)

    with pytest.raises(ClientError) as caught:
        store.get(URL)
    assert str(store.file) in caught.value.message
    assert caught.value.exit_code == 2 and caught.value.step


def test_place_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "vibebox")

    with pytest.raises(ClientError, match="Not a directory"), store.locked():
        pass


def test_lock_is_waited_for_with_a_deadline(store: Store) -> None:
    other = Store(store.file.parent)
    with store.locked():
        with pytest.raises(ClientError, match="Another command"), other.locked(0.1):
            pass
    with other.locked(0.1):
        pass


@pytest.mark.parametrize(
    ("env", "place"),
    [
        ({}, "home/.config/vibebox"),
        ({"XDG_CONFIG_HOME": "config"}, "home/.config/vibebox"),
        ({"XDG_CONFIG_HOME": "{}/config"}, "config/vibebox"),
    ],
    ids=["default", "relative is ignored", "set"],
)
def test_place(
    env: dict[str, Any], place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name, value in env.items():
        monkeypatch.setenv(name, value.format(tmp_path))

    assert directory() == tmp_path / place
