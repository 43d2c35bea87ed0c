"""Who is asking."""

from dataclasses import dataclass

from app.domain.authorization.table import Action, Scope


@dataclass(frozen=True)
class Identity:
    """An account, by which credential it was recognised, and what that credential is good for.

    A login has a `grant_id` and every scope; an API key has an `api_key_id` and its own scopes.
    `is_synthetic`: it is nobody's, and left out where people are counted.
    """

    user_id: str
    email: str
    is_operator: bool = False
    grant_id: str | None = None
    api_key_id: str | None = None
    scopes: frozenset[Scope] = frozenset(Scope)
    is_synthetic: bool = False


@dataclass(frozen=True)
class Access:
    """What somebody does for as long as something is open: `action`, to which environment.

    Without an environment it is whatever they see.
    """

    identity: Identity
    action: Action
    environment_id: str | None = None
