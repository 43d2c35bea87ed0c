"""Mail: there is none yet. What sends it is asked here."""

from app.doctor.findings import Finding, not_configured


def look() -> Finding:
    """Return that no mail is sent."""
    return not_configured("This release sends no mail.")
