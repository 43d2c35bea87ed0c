"""The audit log: who changed what, from where."""

from app.domain.audit.recording import Target, record

__all__ = ["Target", "record"]
