"""The headers of everything that the console answers."""

from flask import Response

# Nothing but our own files. WebSockets of our own origin are part of connect-src 'self'. The
# terminal would write <style> elements and style attributes, which style-src 'self' refuses;
# static/js/terminal-styles.js hands both to the style sheet interfaces that the policy allows.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)


def harden(response: Response) -> Response:
    """Add the headers; what is not said to be cacheable is kept nowhere."""
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers.setdefault("Cache-Control", "no-store")
    return response
