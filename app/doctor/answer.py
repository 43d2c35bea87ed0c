"""The answer: the findings as the API, the console and `vibebox doctor --json` show them."""

from datetime import datetime

from pydantic import BaseModel, Field

from app.doctor.findings import Outcome


class CheckView(BaseModel):
    """What one check found."""

    name: str = Field(examples=["database"])
    outcome: Outcome = Field(
        description="not_configured: no setting asks for it. skipped: it cannot be seen while "
        "another check has failed.",
    )
    says: str = Field(
        description="In a sentence, how it is or what is wrong.",
        examples=["PostgreSQL's disk is full."],
    )
    next_step: str | None = Field(
        description="What to do about it; null where there is nothing to do.",
        examples=["Make room on it, or enlarge it."],
    )
    seconds: float = Field(description="How long the check took.", examples=[0.012])


class Examination(BaseModel):
    """What the doctor found: a line for each check."""

    outcome: Outcome = Field(description="The worst of the checks: ok, warning or failed.")
    at: datetime
    version: str = Field(examples=["0.2.0"])
    checks: list[CheckView]
