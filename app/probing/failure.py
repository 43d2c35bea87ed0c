"""Why a step failed: what was seen, and what to do about it."""

from dataclasses import dataclass

# Read in the doctor's answer too, where `vibebox doctor` alone would lead in a circle.
DOCTOR = (
    "See the other checks of `vibebox doctor`; where they find nothing, see the log of the web "
    "server."
)


@dataclass(frozen=True)
class Target:
    """What the synthetic user goes by: the settings of the way in, named in what it says."""

    url: str
    image: str
    certificate: str | None = None


class StepError(Exception):
    """A step cannot be done. Its words go to operators: a sentence, and the next step."""

    def __init__(self, says: str, next_step: str = DOCTOR) -> None:
        self.says = says
        self.next_step = next_step
        super().__init__(says)


class CutOffError(Exception):
    """Whoever makes the round has to end: it says nothing of the service."""
