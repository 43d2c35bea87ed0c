"""The console's pages and files, and how a browser signs in: headers, cookies, foreign pages."""

import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI
from sqlalchemy import update
from werkzeug.http import parse_cookie
from werkzeug.test import TestResponse

from app.storage import Login
from app.web.console.assets import DIRECTORY, version
from tests.support.application import User, parts
from tests.support.checks import ORIGIN, PASSWORD, assert_problem, moved
from tests.support.routes import CONSOLE, ID

PAGES = (
    *("/", "/sign-in", f"/environments/{ID}", f"/environments/{ID}/terminal", "/teams"),
    *(f"/teams/{ID}", "/api-keys", "/account", "/service", "/operator/accounts"),
    *("/operator/business", "/operator/doctor"),
)
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
CREDENTIALS = {"email": "ada@example.org", "password": PASSWORD}
COOKIE = "vibebox_console"
POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
}


def post(client: FlaskClient, path: str, origin: str = ORIGIN, **named: object) -> TestResponse:
    """POST as the script of a page of that origin does."""
    headers = {"Origin": origin, **named.pop("headers", {})}  # type: ignore[dict-item]
    return client.post(f"/console/{path}", headers=headers, **named)


def sign_in(client: FlaskClient, origin: str = ORIGIN, base_url: str = ORIGIN) -> TestResponse:
    return post(client, "sign-in", origin, json=CREDENTIALS, base_url=base_url)


def renew(client: FlaskClient, secret: str | None, origin: str = ORIGIN) -> TestResponse:
    return post(client, "token", origin, json={"page_secret": secret})


def cookie_of(client: FlaskClient) -> str:
    held = client.get_cookie(COOKIE, path="/console")
    assert held is not None
    return held.value


def secret_of(response: TestResponse) -> str:
    assert response.json is not None
    return str(response.json["page_secret"])


def bearer(response: TestResponse) -> dict[str, str]:
    return {"Authorization": f"Bearer {response.json['access_token']}"}  # type: ignore[index]


class Markup(HTMLParser):
    """What in a page the policy would refuse, and what it loads."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.loaded: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.inline += [name for name in found if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and "src" not in found):
            self.inline.append(tag)
        source = found.get("src") if tag in ("script", "img") else None
        source = found.get("href") if tag == "link" else source
        self.loaded += [source] if source else []


def assert_hardened(response: TestResponse) -> None:
    assert set(response.headers["Content-Security-Policy"].split("; ")) == POLICY
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("path", PAGES)
def test_page_keeps_its_own_policy(client: FlaskClient, path: str) -> None:
    response = client.get(path, headers=BROWSER)
    markup = Markup(response.text)

    assert response.mimetype == "text/html"
    assert_hardened(response)
    assert response.headers["Cache-Control"] == "no-store"
    assert markup.inline == []
    assert markup.loaded
    for source in markup.loaded:
        loaded = client.get(source)
        assert (loaded.status_code, source.startswith("/static/")) == (200, True)
        assert loaded.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert_hardened(loaded)


def test_modules_import_files_that_exist_and_are_scripts(client: FlaskClient) -> None:
    imported = re.compile(r"""(?:from|import\()\s*"(\.[^"]+)\"""")
    for module in (DIRECTORY / "js").iterdir():
        for name in imported.findall(module.read_text()):
            path = (module.parent / name).resolve().relative_to(DIRECTORY)
            response = client.get(f"/static/{version()}/{path}")
            assert response.status_code == 200, f"{module.name} imports {name}"
            assert (response.mimetype or "").endswith("/javascript")


def test_file_of_another_release_is_not_kept(client: FlaskClient) -> None:
    response = client.get("/static/0123456789abcdef/console.css")

    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", ["none.js", "../routes.py", "%2e%2e/routes.py", "js"])
def test_nothing_but_the_files_is_served(client: FlaskClient, name: str) -> None:
    assert client.get(f"/static/{version()}/{name}").status_code == 404


def test_page_says_nothing_of_the_environment(client: FlaskClient, user: User) -> None:
    id = user.new_environment("secret-name")

    assert "secret-name" not in client.get(f"/environments/{id}").text


def test_page_shows_an_id_as_text(client: FlaskClient) -> None:
    response = client.get(
        "/environments/%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E", headers=BROWSER
    )

    assert "<script>alert" not in response.text


@pytest.mark.parametrize("path", ["/nowhere", "/static/0/none.css", "/environments/"])
def test_browser_gets_an_error_as_a_page(client: FlaskClient, path: str) -> None:
    response = client.get(path, headers=BROWSER)

    assert response.status_code == 404
    assert response.mimetype == "text/html"
    assert_hardened(response)
    assert response.headers["X-Request-ID"] in response.text
    assert_problem(client.get(path), 404, "not-found")


def test_error_as_a_page_keeps_its_headers(client: FlaskClient) -> None:
    response = client.put("/sign-in", headers=BROWSER)

    assert (response.status_code, response.mimetype) == (405, "text/html")
    assert "GET" in response.headers["Allow"]


@pytest.mark.parametrize("path", ["/api/v1/none", "/health/none", "/api/v1/environments"])
def test_api_never_answers_with_a_page(client: FlaskClient, path: str) -> None:
    response = client.get(path, headers=BROWSER)

    assert response.content_type == "application/problem+json"


def test_sign_in_gives_the_script_one_token_and_the_cookie_jar_the_other(
    client: FlaskClient, user: User
) -> None:
    with moved("vibebox_auth_attempts_total") as attempts:
        response = sign_in(client)
    cookie = response.headers["Set-Cookie"]

    assert set(response.json or {}) == {"access_token", "expires_in", "page_secret"}
    assert response.headers["Cache-Control"] == "no-store"
    assert cookie.startswith(f"{COOKIE}=vbx_cc_")
    assert {"HttpOnly", "SameSite=Strict", "Path=/console"} <= set(cookie.split("; "))
    assert "Secure" not in cookie and "Domain" not in cookie
    assert client.get("/api/v1/auth/me", headers=bearer(response)).status_code == 200
    assert sum(attempts.values()) == 1


def test_cookie_is_secure_where_the_page_is(client: FlaskClient, user: User) -> None:
    origin = "https://localhost"

    assert "Secure" in sign_in(client, origin).headers["Set-Cookie"].split("; ")


@pytest.mark.parametrize("joined", ["{0}", "{1}", "{0}{1}", "{1}{0}", "{0}.{1}", "{0}:{1}"])
def test_neither_half_nor_both_glued_together_open_the_api(
    client: FlaskClient, user: User, joined: str
) -> None:
    response = sign_in(client)
    token = joined.format(cookie_of(client), secret_of(response))

    for headers in ({}, {"Cookie": f"{COOKIE}={token}"}, {"Authorization": f"Bearer {token}"}):
        assert client.get("/api/v1/auth/me", headers=headers).status_code == 401
    refreshed = client.post("/api/v1/auth/refresh", json={"refresh_token": token})
    assert_problem(refreshed, 401, "invalid-token")
    assert renew(client, secret_of(response)).status_code == 200, "the login is as it was"


@pytest.mark.parametrize("secret", [None, "", "vbx_cs_guessed", "{cookie}"])
def test_stolen_cookie_alone_opens_nothing_and_ends_nothing(
    client: FlaskClient, user: User, secret: str | None
) -> None:
    response = sign_in(client)
    stolen = cookie_of(client)
    thief = client.application.test_client()
    thief.set_cookie(COOKIE, stolen, path="/console")

    offered = stolen if secret == "{cookie}" else secret
    assert_problem(renew(thief, offered), 401, "invalid-token")
    assert_problem(post(thief, "token"), 401, "not-authenticated")
    assert renew(client, secret_of(response)).status_code == 200


def test_page_secret_alone_opens_nothing(client: FlaskClient, user: User) -> None:
    secret = secret_of(sign_in(client))
    thief = client.application.test_client()

    assert_problem(renew(thief, secret), 401, "not-authenticated")
    own = sign_in(thief)
    assert_problem(renew(thief, secret), 401, "invalid-token")
    assert secret_of(own) != secret


def test_tokens_of_the_api_are_no_cookies(client: FlaskClient, user: User) -> None:
    client.set_cookie(COOKIE, user.tokens["refresh_token"], path="/console")

    for secret in (None, "vbx_cs_x"):
        refused = renew(client, secret)
        assert refused.status_code == 401
        client.set_cookie(COOKIE, user.tokens["refresh_token"], path="/console")
    body = {"refresh_token": user.tokens["refresh_token"]}
    assert client.post("/api/v1/auth/refresh", json=body).status_code == 200


def test_cookie_is_renewed_and_an_old_one_ends_the_login(client: FlaskClient, user: User) -> None:
    secret = secret_of(sign_in(client))
    first = cookie_of(client)
    renewed = renew(client, secret)
    second = cookie_of(client)

    assert first != second
    assert set(renewed.json or {}) == {"access_token", "expires_in"}
    assert client.get("/api/v1/auth/me", headers=bearer(renewed)).status_code == 200
    client.set_cookie(COOKIE, first, path="/console")
    assert_problem(renew(client, secret), 401, "invalid-token")
    assert client.get_cookie(COOKIE, path="/console") is None, "what is worth nothing is forgotten"
    assert client.get("/api/v1/auth/me", headers=bearer(renewed)).status_code == 401


@pytest.mark.parametrize("sent", ["{name}=forged; {ours}", "{ours}; {name}=forged"])
def test_cookie_that_another_port_sets_does_not_hide_ours(
    client: FlaskClient, user: User, sent: str
) -> None:
    secret = secret_of(sign_in(client))
    cookies = sent.format(name=COOKIE, ours=f"{COOKIE}={cookie_of(client)}")
    page = client.application.test_client(use_cookies=False)

    renewed = post(page, "token", headers={"Cookie": cookies}, json={"page_secret": secret})
    assert renewed.status_code == 200


@pytest.mark.parametrize("number", [8, 420])
def test_as_many_cookies_as_a_header_holds_do_not_hide_ours(
    client: FlaskClient, user: User, number: int
) -> None:
    secret, ours = secret_of(sign_in(client)), cookie_of(client)
    cookies = "; ".join([*[f"{COOKIE}="] * number, f"{COOKIE}={ours}"])
    page = client.application.test_client(use_cookies=False)
    assert len(cookies) < 8190

    wrong = post(page, "token", headers={"Cookie": cookies}, json={"page_secret": "vbx_cs_x"})
    assert_problem(wrong, 401, "invalid-token")
    assert "Set-Cookie" not in wrong.headers, "the good one would be deleted"
    renewed = post(page, "token", headers={"Cookie": cookies}, json={"page_secret": secret})
    assert renewed.status_code == 200


def test_used_cookies_that_another_port_sets_again_do_not_end_the_login(
    client: FlaskClient, user: User
) -> None:
    secret, sent = secret_of(sign_in(client)), [cookie_of(client)]
    page = client.application.test_client(use_cookies=False)
    for _ in range(6):
        cookies = "; ".join(f"{COOKIE}={cookie}" for cookie in sent)
        renewed = post(page, "token", headers={"Cookie": cookies}, json={"page_secret": secret})
        assert renewed.status_code == 200
        sent.append(parse_cookie(renewed.headers["Set-Cookie"])[COOKIE])


def test_sign_in_of_a_release_before_is_carried_over_once(
    client: FlaskClient, app: OpenAPI, user: User
) -> None:
    with parts(app).database.writing() as session:
        session.execute(update(Login).values(kind=None))
    cookie = user.tokens["refresh_token"]
    client.set_cookie(COOKIE, cookie, path="/console")

    assert_problem(post(client, "token"), 401, "not-authenticated")  # a page of that release
    assert cookie_of(client) == cookie
    adopted = renew(client, None)
    assert renew(client, secret_of(adopted)).status_code == 200
    stolen = client.post("/api/v1/auth/refresh", json={"refresh_token": cookie})
    assert_problem(stolen, 401, "invalid-token")
    assert renew(client, secret_of(adopted)).status_code == 401, "it was used twice"


def test_login_of_a_release_before_that_the_api_renews_is_no_consoles(
    client: FlaskClient, app: OpenAPI, user: User
) -> None:
    with parts(app).database.writing() as session:
        session.execute(update(Login).values(kind=None))
    body = {"refresh_token": user.tokens["refresh_token"]}
    pair = client.post("/api/v1/auth/refresh", json=body).get_json()
    client.set_cookie(COOKIE, pair["refresh_token"], path="/console")

    assert renew(client, None).status_code == 401
    body = {"refresh_token": pair["refresh_token"]}
    assert client.post("/api/v1/auth/refresh", json=body).status_code == 200


def test_no_cookie_is_a_401(client: FlaskClient) -> None:
    assert_problem(post(client, "token"), 401, "not-authenticated")
    assert_problem(renew(client, "vbx_cs_x"), 401, "not-authenticated")


def test_sign_out_revokes_and_forgets(client: FlaskClient, user: User) -> None:
    response = sign_in(client)
    held = cookie_of(client)

    assert post(client, "sign-out", headers=bearer(response)).status_code == 204
    assert client.get_cookie(COOKIE, path="/console") is None
    assert client.get("/api/v1/auth/me", headers=bearer(response)).status_code == 401
    client.set_cookie(COOKIE, held, path="/console")
    assert_problem(renew(client, secret_of(response)), 401, "invalid-token")
    assert user.get("/api/v1/auth/me").status_code == 200, "of this login alone"


def test_no_script_becomes_a_service_worker(client: FlaskClient) -> None:
    path = f"/static/{version()}/js/main.js"

    assert client.get(path).status_code == 200
    assert client.get(path, headers={"Service-Worker": "script"}).status_code == 403


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "http://evil.example",
        "http://localhost.evil.example",
        "http://localhost:81",
        "x",
    ],
)
def test_page_of_others_is_refused(
    client: FlaskClient, user: User, origin: str, subtests: pytest.Subtests
) -> None:
    response = sign_in(client)
    for route in CONSOLE:
        if route.method == "POST":
            with subtests.test(str(route)):
                path = route.rule.removeprefix("/console/")
                headers = bearer(response)
                refused = post(client, path, origin, headers=headers, json=CREDENTIALS)

                assert_problem(refused, 403, "origin-refused")
                assert "Set-Cookie" not in refused.headers
    assert renew(client, secret_of(response)).status_code == 200, "the login is as it was"


def test_origin_of_the_setting_may_sign_in(make_app: Callable[..., OpenAPI]) -> None:
    """Behind a proxy that names another host to us, it is the origin of our own page."""
    client = make_app(allowed_origins="https://console.example.org").test_client()

    assert_problem(sign_in(client, "https://console.example.org"), 401, "invalid-credentials")
    refused = assert_problem(sign_in(client, "https://other.example"), 403, "origin-refused")
    assert "VIBEBOX_ALLOWED_ORIGINS" in refused["detail"]


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer vbx_at_x"}])
def test_guarded_routes_need_a_bearer_token(
    client: FlaskClient, user: User, header: dict[str, str]
) -> None:
    sign_in(client)
    for route in CONSOLE:
        if route.guarded:
            headers = {"Origin": ORIGIN, **header}
            response = client.open(route.rule, method=route.method, headers=headers)
            assert response.status_code == 401, str(route)


def test_wrong_password_and_bad_bodies(client: FlaskClient, user: User) -> None:
    wrong = {**CREDENTIALS, "password": "wrong horse battery"}

    assert_problem(post(client, "sign-in", json=wrong), 401, "invalid-credentials")
    assert_problem(post(client, "sign-in", data=b"email=x"), 400, "malformed-body")
    assert_problem(post(client, "sign-in", json={"email": "x"}), 422, "invalid-input")
    assert_problem(post(client, "sign-in", json=[]), 422, "invalid-input")
    assert_problem(post(client, "sign-in"), 422, "invalid-input")
    assert client.get_cookie(COOKIE, path="/console") is None


def test_attempts_are_limited_as_those_of_the_api(make_app: Callable[..., OpenAPI]) -> None:
    client = make_app(rate_limit_account="1 per minute").test_client()

    assert_problem(sign_in(client), 401, "invalid-credentials")
    assert_problem(sign_in(client), 429, "too-many-attempts")
    api = client.post("/api/v1/auth/login", json=CREDENTIALS)
    assert_problem(api, 429, "too-many-attempts")


def test_requests_are_counted_by_their_rule(client: FlaskClient) -> None:
    with moved("vibebox_http_requests_total") as requests:
        client.get("/")
        client.get(f"/static/{version()}/console.css")
        client.get("/static/0/none.css")

    assert requests == {
        ("GET", "/", "200"): 1,
        ("GET", "/static/<release>/<path:filename>", "200"): 1,
        ("GET", "/static/<release>/<path:filename>", "404"): 1,
    }


def test_telemetry_says_why_there_is_none(client: FlaskClient, app: OpenAPI, user: User) -> None:
    response = user.get("/console/telemetry")

    assert response.json is not None
    assert parts(app).monitoring.read().items() <= response.json.items()
    assert response.json["reason"] == "VIBEBOX_PROMETHEUS_URL is not set."
    assert response.headers["Cache-Control"] == "no-store"
