"""The databases of the tests of intake, which shipping reads from."""

from tests.agent.log_intake.conftest import database, environment

__all__ = ["database", "environment"]
