"""A descriptor that threads can wait for with `poll()`, together with their sockets."""

import os


class Wakeup:
    """A descriptor that is readable from `set` on until `clear`, for any number of waiters.

    Nobody has to look at intervals whether something has come. `set` may be called in a signal
    handler. Set no wakeup that is closed: its descriptor may be another's by then.
    """

    def __init__(self) -> None:
        self.is_set = False
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def fileno(self) -> int:
        """Return the descriptor, which becomes readable."""
        return self._descriptor

    def set(self) -> None:
        """Wake up who waits, and who comes later."""
        self.is_set = True
        os.eventfd_write(self._descriptor, 1)

    def clear(self) -> None:
        """Be as before; what it was set for since has to be looked at after this, not before."""
        self.is_set = False
        try:
            os.eventfd_read(self._descriptor)
        except BlockingIOError:
            pass  # it had not been set

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)
