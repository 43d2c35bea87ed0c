"""Images: those that were there once, and that no start gets again by itself.

A name that never was right is its owner's mistake, whom the start tells. What has run, or was
pulled, and cannot any more, is the operator's: images were cleaned away, or a registry is gone.
"""

from datetime import timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from app.core.errors import ImageMissingError
from app.doctor.findings import Finding, ok, warning
from app.doctor.looks import Records
from app.engine import Engine
from app.storage import Environment, ImagePull, PullPolicy, PullStatus, db_now

MOST = 50
"""Images that Docker is asked for: a millisecond or two each."""
_SHOWN = 3
_RECENT = timedelta(days=1)


def look(records: Records, engine: Engine) -> Finding:
    """Return which images are missing that environments have run with."""
    with records.reading() as session:
        fixed = _never_pulled(session)
        failing = _failing(session)
    gone = [image for image in fixed if _is_missing(engine, image)]
    if gone:
        return warning(
            f"Environments have run with images that Docker has no more: {_named(gone)}.",
            "Load or pull them again; these environments never pull, and cannot be started.",
        )
    if failing:
        return warning(
            f"Images that were pulled before cannot be pulled now: {_named(failing)}.",
            "See `pulled start failed` in the agent's log: whether the registry is reached, "
            "and whether the host is logged in to it.",
        )
    return ok(
        "No image is missing that an environment has run with; no pull fails that once worked."
    )


def _never_pulled(session: Session) -> list[str]:
    has_run = or_(Environment.run_started.is_not(None), Environment.exited_at.is_not(None))
    query = (
        select(Environment.image)
        .where(Environment.pull == PullPolicy.NEVER, has_run)
        .distinct()
        .limit(MOST)
    )
    return sorted(session.scalars(query))


def _failing(session: Session) -> list[str]:
    """Return the images whose last pull failed within a day, and an earlier one did not."""
    last_good = (
        select(ImagePull.image, func.max(ImagePull.finished_at).label("at"))
        .where(ImagePull.status == PullStatus.DONE)
        .group_by(ImagePull.image)
        .subquery()
    )
    query = (
        select(ImagePull.image)
        .join(last_good, last_good.c.image == ImagePull.image)
        .where(
            ImagePull.status == PullStatus.FAILED,
            ImagePull.error == "image-pull-failed",
            ImagePull.finished_at > last_good.c.at,
            ImagePull.finished_at > db_now(-_RECENT),
        )
        .distinct()
        .limit(MOST)
    )
    return sorted(session.scalars(query))


def _is_missing(engine: Engine, image: str) -> bool:
    try:
        engine.inspect_image(image)
    except ImageMissingError:
        return True
    return False


def _named(images: list[str]) -> str:
    more = f" and {len(images) - _SHOWN} more" if len(images) > _SHOWN else ""
    return f"{', '.join(images[:_SHOWN])}{more}"
