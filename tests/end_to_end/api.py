"""A client of the public API, as a developer's script would be."""

import uuid
from typing import Any, Self

import requests

PASSWORD = "correct horse battery"


class Api:
    """Calls the service at `url`; after `login` with the tokens of that login."""

    def __init__(self, url: str) -> None:
        self.url = f"{url}/api/v1"
        self.tokens: dict[str, Any] = {}
        self._session = requests.Session()
        self._session.trust_env = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_details: object) -> None:
        self._session.close()

    def hang_up(self) -> None:
        """Close the connections: the service is another process by now."""
        self._session.close()

    def call(
        self, method: str, path: str, body: Any = None, *, token: str | None = None
    ) -> requests.Response:
        """Send one request, with the access token of the login or the one given.

        A body of bytes is sent as it is.
        """
        bearer = token or self.tokens.get("access_token")
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        sent = {"data": body} if isinstance(body, bytes) else {"json": body}
        return self._session.request(
            method, f"{self.url}{path}", headers=headers, timeout=150, **sent
        )

    def register(self, email: str, password: str = PASSWORD) -> requests.Response:
        return self.call("POST", "/auth/register", {"email": email, "password": password})

    def login(self, email: str, password: str = PASSWORD) -> requests.Response:
        response = self.call("POST", "/auth/login", {"email": email, "password": password})
        if response.ok:
            self.tokens = response.json()
        return response

    def sign_up(self) -> None:
        """Be somebody whom no other test knows, and be logged in."""
        email = f"{uuid.uuid4().hex[:12]}@example.org"
        assert self.register(email).status_code == 201
        assert self.login(email).ok

    def delete_environments(self) -> None:
        """Leave none behind, and so no session: on a server that other tests use too."""
        for environment in self.call("GET", "/environments?limit=100").json()["items"]:
            response = self.call("DELETE", f"/environments/{environment['id']}")
            assert response.status_code in (204, 404), response.text

    def create(self, name: str, image: str, **fields: Any) -> str:
        """Create an environment and return its id."""
        response = self.call("POST", "/environments", {"name": name, "image": image, **fields})
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    def act(self, environment: str, action: str) -> requests.Response:
        """Start, stop or restart an environment."""
        return self.call("POST", f"/environments/{environment}/{action}")
