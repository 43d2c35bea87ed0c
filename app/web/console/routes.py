"""The pages of the console and their files; what they show comes from the API."""

from flask import Blueprint, Response, abort, render_template, request, send_from_directory

from app._version import __version__
from app.web.console.assets import DIRECTORY, FOREVER, version
from app.web.console.headers import harden
from app.web.services import components

TABS = ("overview", "terminal", "logs", "vscode", "settings")
"""The parts of an environment's page, each with an address; the first is there without one."""

pages = Blueprint("console", __name__, template_folder="templates")
pages.after_request(harden)


@pages.before_app_request
def _refuse_service_workers() -> None:
    """Let no script of ours, whatever it is told to do, install what outlives its page.

    Browsers say so when they fetch one (Service Workers, "Service-Worker" header).
    """
    if request.headers.get("Service-Worker"):
        abort(403, "VibeBox has no service workers.")


@pages.app_context_processor
def _names() -> dict[str, str]:
    return {"assets": f"/static/{version()}", "release": __version__}


@pages.get("/")
def environments() -> str:
    return render_template("console/environments.html")


@pages.get("/sign-in")
def sign_in() -> str:
    # Who is invited is shown the rest by the script: what it needs is in the address's fragment.
    return render_template("console/sign_in.html", registration=components().registration.mode)


@pages.get("/environments/<environment_id>")
@pages.get("/environments/<environment_id>/<tab>")
def environment(environment_id: str, tab: str = TABS[0]) -> str:
    if tab not in TABS:
        abort(404)
    return render_template("console/environment.html", environment_id=environment_id, tab=tab)


@pages.get("/teams")
def teams() -> str:
    return render_template("console/teams.html")


@pages.get("/teams/<team_id>")
def team(team_id: str) -> str:
    return render_template("console/team.html", team_id=team_id)


@pages.get("/api-keys")
def api_keys() -> str:
    return render_template("console/api_keys.html")


@pages.get("/account")
def account() -> str:
    return render_template("console/account.html")


@pages.get("/service")
def service() -> str:
    return render_template("console/service.html")


@pages.get("/operator/accounts")
def accounts() -> str:
    return render_template("console/accounts.html")


@pages.get("/operator/business")
def business() -> str:
    return render_template("console/business.html")


@pages.get("/operator/doctor")
def doctor() -> str:
    return render_template("console/doctor.html")


@pages.get("/static/<release>/<path:filename>")
def static_file(release: str, filename: str) -> Response:
    response = send_from_directory(DIRECTORY, filename)
    # A page from before an update gets the new file, but does not keep it under the old name.
    response.headers["Cache-Control"] = FOREVER if release == version() else "no-store"
    return response
