"""Patterns of texts that both settings and bodies have, each with what it asks for."""

from app.core.sentences import described

IMAGE = described(
    r"^[a-z0-9][a-zA-Z0-9._/:@-]*$",
    "Name an image as Docker does, such as python:3.12-slim.",
)
# No control characters, of which PostgreSQL cannot store NUL, and no spaces. Written out, since
# \s means something else to us than to the regular expressions of JSON Schema.
_NOT = r"@\x00-\x20\x7f-\xa0\u1680\u2000-\u200f\u2028-\u202f\u205f\u3000\ufeff"
EMAIL = described(
    rf"^[^{_NOT}]+@[^{_NOT}]+\.[^.{_NOT}]+$",
    "Enter an e-mail address, such as ada@example.org.",
)
