"""Tokens that say which environment sends; nothing else is to be had for them.

A token is the id of its environment and a code of that (HMAC-SHA256), by a key that is made of the
operator's (VIBEBOX_SECRET_KEYS). So none is stored, and each is good as long as its environment
exists and the key is among them.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence

_PREFIX = "vbx_ot_"
_CODE_BYTES = 20
_PURPOSE = b"vibebox: telemetry of environments"
_TOKEN = re.compile(rf"{_PREFIX}([0-9a-f-]{{36}})_([0-9a-f]{{{2 * _CODE_BYTES}}})")


class TelemetryTokens:
    """Makes tokens with the first key, and knows those of all."""

    def __init__(self, keys: str) -> None:
        """keys: those of the setting, separated by commas."""
        self._keys: Sequence[bytes] = [
            hmac.digest(key.strip().encode(), _PURPOSE, hashlib.sha256) for key in keys.split(",")
        ]

    def token(self, environment_id: str) -> str:
        """Return the token of an environment."""
        return f"{_PREFIX}{environment_id}_{_code(self._keys[0], environment_id)}"

    def environment_of(self, token: str) -> str | None:
        """Return the id of the environment whose token this is; None where it is none of ours."""
        found = _TOKEN.fullmatch(token)
        if found is None:
            return None
        good = [hmac.compare_digest(_code(key, found[1]), found[2]) for key in self._keys]
        return found[1] if any(good) else None


def _code(key: bytes, environment_id: str) -> str:
    return hmac.digest(key, environment_id.encode(), hashlib.sha256)[:_CODE_BYTES].hex()
