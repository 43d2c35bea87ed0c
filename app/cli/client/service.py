"""What the service says of itself, beside what it answers."""

from typing import TYPE_CHECKING

from app.cli.client import output

if TYPE_CHECKING:
    from app.cli.client.api import Api

NO_AGENT = (
    "No agent is at work: images are not pulled, nobody notices that a container ended, and "
    "nothing expires. Tell whoever runs this VibeBox; `vibebox agent` has to run."
)


def lacks_agent(api: "Api") -> bool:
    """Tell whether the service knows that no agent is at work.

    Without its database it knows nothing of agents, whatever it says.
    """
    checks = api.checks()
    return checks.get("database") == "up" and checks.get("agent") == "down"


def note_missing_agent(api: "Api") -> None:
    """Say so where no agent is at work: what was just shown or begun hangs on one."""
    if lacks_agent(api):
        output.note(NO_AGENT)
