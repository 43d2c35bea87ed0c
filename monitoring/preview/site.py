"""The preview's pages: made once by npm, served from this machine to this machine."""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SOURCE = Path(__file__).parent
INSTALL_TIMEOUT, BUILD_TIMEOUT = 900, 600
_SOURCES = ("package.json", "package-lock.json", "index.html", "vite.config.js")


def build(place: Path) -> Path:
    """Return the directory of the pages; make it there first if it is older than its sources.

    Raises subprocess.CalledProcessError where npm cannot install or build.
    """
    site = place / "dist"
    sources = [*(SOURCE / name for name in _SOURCES), *(SOURCE / "src").iterdir()]
    made = (site / "index.html").stat().st_mtime if (site / "index.html").exists() else 0
    if made >= max(file.stat().st_mtime for file in sources):
        return site
    place.mkdir(parents=True, exist_ok=True)
    shutil.copytree(SOURCE / "src", place / "src", dirs_exist_ok=True)
    changed = _lock(place) != _lock(SOURCE)
    for name in _SOURCES:
        shutil.copy(SOURCE / name, place)
    if changed or not (place / "node_modules").exists():
        install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(install, cwd=place, check=True, timeout=INSTALL_TIMEOUT)
    vite = ["node", "node_modules/vite/bin/vite.js", "build", "--logLevel", "warn"]
    subprocess.run(vite, cwd=place, check=True, timeout=BUILD_TIMEOUT)
    return site


def _lock(directory: Path) -> bytes:
    file = directory / "package-lock.json"
    return file.read_bytes() if file.exists() else b""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@contextmanager
def served(directory: Path, port: int) -> Iterator[str]:
    """Serve a directory on a loopback port, or on a free one for 0; yield its address."""
    handler = partial(_Quiet, directory=str(directory))
    with ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="preview", daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
