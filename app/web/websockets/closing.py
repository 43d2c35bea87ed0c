"""How what lasts tells why it ends: codes of a close frame (RFC 6455, 7.4), and of a last event."""

from app.core.errors import CredentialEndedError, StorageError, VibeBoxError

GOING_AWAY = 1001
POLICY_VIOLATION = 1008
INTERNAL_ERROR = 1011
TRY_AGAIN_LATER = 1013
CREDENTIAL_ENDED = 4401
"""One of ours (RFC 6455 leaves 4000 to 4999 to applications): log in again before you reconnect."""

AWAY = "the server is going away; connect again"
_OURS = "something went wrong on our side"


def closing(error: Exception) -> tuple[int, str]:
    """Return code and reason for what ended something that lasts.

    1008: it is not to be had any more, or gone; reconnecting is in vain. 4401: the login or API key
    has ended. 1013: nobody can tell at the moment; try again later.
    """
    if isinstance(error, CredentialEndedError):
        return CREDENTIAL_ENDED, error.detail
    if isinstance(error, StorageError):
        return TRY_AGAIN_LATER, error.detail
    if not isinstance(error, VibeBoxError):
        return INTERNAL_ERROR, _OURS
    refused = error.status < 500
    return (POLICY_VIOLATION if refused else INTERNAL_ERROR), error.title
