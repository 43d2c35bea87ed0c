"""What the synthetic user says of a refusal, and of answers that are none of VibeBox's."""

import json
from collections.abc import Iterator

import pytest

from app.core.errors import VibeBoxError
from app.domain.probe.account import Credentials
from app.probing import visit
from app.probing.failure import Target
from app.probing.steps import Steps
from app.probing.visit import Visit
from tests.probing.stranger import Stranger

OF_FLASK = {"not-found"}
# What no database takes, and no more of it than an operator reads.
LONG = b'{"title": "Odd \\u0000", "detail": "' + b"x" * 100_000 + b'\\ud800"}'
WHO = Credentials("1", "probe@vibebox.invalid", "secret")


def kinds(kind: type[VibeBoxError] = VibeBoxError) -> Iterator[type[VibeBoxError]]:
    yield kind
    for more in kind.__subclasses__():
        yield from kinds(more)


def test_next_steps_are_of_problems_that_there_are() -> None:
    slugs = {kind.slug for kind in kinds()}
    assert set(visit._REFUSED) - slugs == OF_FLASK


@pytest.mark.parametrize(
    ("status", "body", "says", "step"),
    [
        (502, b"<html>", "answers 502: nobody answers it", "whether the web server runs"),
        (200, b"<html>", "is not VibeBox", "VIBEBOX_PROBE_URL"),
        (301, b"", "with status 301, is not VibeBox", "VIBEBOX_PROBE_URL"),
        (200, b'{"unexpected": true}', "not as VibeBox answers", "what the proxy sends"),
        (200, b"[]", "not as VibeBox answers", "what the proxy sends"),
        (200, b"", "not as VibeBox answers", "what the proxy sends"),
        (400, b"[]", "not as VibeBox answers", "what the proxy sends"),
        (400, b"[" * 100_000, "not as VibeBox answers", "what the proxy sends"),
        (400, LONG, "The service refuses: Odd ?: xxx", "vibebox doctor"),
    ],
)
def test_answer_of_somebody_else(
    stranger: Stranger, status: int, body: bytes, says: str, step: str
) -> None:
    stranger.status, stranger.body = status, body
    target = Target(stranger.url, "busybox")
    found = Visit(target, WHO, Steps(5, 10, lambda: False)).run()
    assert found.step == "sign_in" and says in (found.says or "")
    assert step in (found.next_step or "") and len(found.says or "") < 700


@pytest.mark.parametrize(
    ("slug", "detail", "step"),
    [
        ("image-pull-failed", "There is no image 'nosuch/image:1'", "`docker pull nosuch/image:1`"),
        (
            "engine-failure",
            "Docker Engine could not pull the image",
            "`docker pull nosuch/image:1`",
        ),
        ("engine-failure", "Docker Engine reported a failure", "other checks of `vibebox doctor`"),
        ("engine-unreachable", "Docker Engine does not answer", "the check `docker`"),
    ],
)
def test_start_that_is_refused_says_what_to_do(
    stranger: Stranger, slug: str, detail: str, step: str
) -> None:
    stranger.body = b'{"access_token": "good", "items": [], "id": "1"}'
    problem = {"type": f"urn:vibebox:problem:{slug}", "title": "It failed", "detail": detail}
    stranger.refused_path, stranger.refusal = "/start", json.dumps(problem).encode()
    target = Target(stranger.url, "nosuch/image:1")
    found = Visit(target, WHO, Steps(5, 10, lambda: False)).run()
    assert found.step == "start" and step in (found.next_step or ""), found


@pytest.mark.parametrize("token", ["good", "a\\nb"])
def test_answer_that_is_odd_again_while_it_tidies_up(stranger: Stranger, token: str) -> None:
    stranger.body = f'{{"access_token": "{token}"}}'.encode()
    target = Target(stranger.url, "busybox")
    found = Visit(target, WHO, Steps(5, 10, lambda: False)).run()
    assert found.step == "sweep" and "not as VibeBox answers" in (found.says or "")
