"""The end of a run as the kernel tells it: at once, and before its control group goes.

The groups stay until Docker has noticed the end and run its runtime to clean up, which takes some
ten milliseconds: what is read meanwhile has all that the run used, since the kernel ends a
container's first process only after all others. To see the end takes no right over the process, but
its number, as the files do.
"""

import os
import select
import time
from contextlib import suppress
from dataclasses import replace

from app.engine.cgroups import GroupFiles, RunOverError, cpu_time, network_moved, open_network
from app.engine.values import RunCounters

DESCRIPTORS = 3
"""How many files are held open for each run."""


class RunEnd:
    """A run that goes on; its descriptor becomes readable when its first process has ended."""

    def __init__(self, files: GroupFiles) -> None:
        """Raises: RunOverError, and OSError where the kernel shows no ends."""
        self._files = files
        self._before = files.read()
        self._process = os.pidfd_open(files.pid)
        self._cpu = self._network = -1
        try:
            self._cpu = files.open_cpu()
            with suppress(OSError):
                # By name nobody finds the network any more once the process has ended.
                self._network = open_network(files.pid)
            if not files.is_alive:
                raise RunOverError
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._process

    @property
    def has_come(self) -> bool:
        """Whether the run is over."""
        poll = select.poll()
        poll.register(self._process, select.POLLIN)
        return bool(poll.poll(0))

    def read(self) -> RunCounters:
        """Return what the run has used; of what Docker has taken away meanwhile, what was known
        when this was made, without kills for want of memory.

        Raises: RunOverError where all of it was gone.
        """
        cpu_ns = cpu_time(self._cpu)
        network = None if self._network < 0 else self._network
        try:
            return self._files.read(network)
        except RunOverError:
            received, sent = (None, None) if network is None else network_moved(network)
        return replace(
            self._before,
            read_at_ns=time.time_ns(),
            cpu_ns=cpu_ns,
            oom_kills=None,
            network_rx_bytes=received,
            network_tx_bytes=sent,
        )

    def close(self) -> None:
        """Give the descriptors back."""
        for descriptor in (self._process, self._cpu, self._network):
            if descriptor >= 0:
                os.close(descriptor)
