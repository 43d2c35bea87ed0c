"""The agent's process as `vibebox agent` runs it, but for shorter times between its looks.

`python -m tests.backends.hurried_agent`, for tests that wait for what the agent does by the clock.
"""

from app.agent.pace import Pace
from app.cli.main import container_log_receivers, prepare_process
from app.wiring import load_settings

HURRIED = Pace(lease=3.0, renew=0.5, contend=0.1, margin=0.5, abandoned=1.0, expired=1.0)


def main() -> None:
    """Run until SIGTERM."""
    settings = load_settings()
    prepare_process(settings, "agent")
    # The metrics client joins its directory when this is imported.
    from app.agent.process import run

    run(settings, HURRIED, container_log_receivers(settings))


if __name__ == "__main__":
    main()
