"""Errors of gunicorn's parser, as errors of ours."""

from gunicorn.http import errors as parser

from app.core.errors import (
    ExpectationFailedError,
    HeadersTooLargeError,
    HttpVersionError,
    MalformedRequestError,
    ProxyForbiddenError,
    TransferCodingError,
    UriTooLongError,
    VibeBoxError,
)

_ERRORS: tuple[tuple[type[Exception], type[VibeBoxError]], ...] = (
    (parser.LimitRequestLine, UriTooLongError),
    (parser.LimitRequestHeaders, HeadersTooLargeError),
    (parser.InvalidHTTPVersion, HttpVersionError),
    (parser.UnsupportedTransferCoding, TransferCodingError),
    (parser.ExpectationFailed, ExpectationFailedError),
    (parser.ForbiddenProxyRequest, ProxyForbiddenError),
)
# The application's own mistakes, and the operator's: an answer that cannot be sent, a SCRIPT_NAME
# that no path begins with.
_OURS = (
    parser.InvalidResponseHeader,
    parser.InvalidResponseHeaderName,
    parser.ConfigurationProblem,
)


def refusal(error: BaseException) -> VibeBoxError | None:
    """Return what to tell the client of `error`; None where it is no mistake of the client."""
    if isinstance(error, VibeBoxError):
        return error
    for theirs, ours in _ERRORS:
        if isinstance(error, theirs):
            return ours()
    if isinstance(error, parser.ParseException) and not isinstance(error, _OURS):
        return MalformedRequestError(f"Send a request as RFC 9112 has it: {_shown(error)}.")
    return None


def _shown(error: parser.ParseException) -> str:
    """Return what the parser says, without line breaks and of a bounded length."""
    text = " ".join(str(error).split())
    return text[:200].rstrip(".")
