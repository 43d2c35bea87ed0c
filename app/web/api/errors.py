"""Errors that many routes name alike in their `responses`, by what a route does.

A route names its errors in one line: these, its own behind them, all in one call of `problems`.
Where they do not fit into the line, or several routes share them, a tuple of the module has them.
"""

from app.core.errors import (
    AuthenticationError,
    BodyTooLargeError,
    CommandRunawayError,
    CommandTimeoutError,
    EngineError,
    EngineFullError,
    EngineTimeoutError,
    EngineUnreachableError,
    EnvironmentNotFoundError,
    HandshakeInvalidError,
    InvalidInputError,
    InvalidTokenError,
    MalformedBodyError,
    OriginRefusedError,
    PermissionDeniedError,
    ServerBusyError,
    StorageUnavailableError,
    StoreNotSetError,
    StoreUnavailableError,
    TooManySocketsError,
    UpgradeRequiredError,
)

TOKEN = (AuthenticationError, InvalidTokenError)
"""Of a route that needs a token."""
SIGNED_IN = (*TOKEN, PermissionDeniedError, StorageUnavailableError)
"""Of a route that asks whether the account whose token it is may do this."""
PARAMETERS = (*SIGNED_IN, InvalidInputError)
"""Of one that has a path or a query with parameters, too."""
BODY = (MalformedBodyError, BodyTooLargeError, InvalidInputError, StorageUnavailableError)
"""Of a route that reads a JSON body and uses the database, whoever may call it."""
ENVIRONMENT = (*PARAMETERS, EnvironmentNotFoundError)
"""Of a route about one environment."""
SOCKET = (
    *TOKEN,
    PermissionDeniedError,
    OriginRefusedError,
    InvalidInputError,
    StorageUnavailableError,
    UpgradeRequiredError,
    HandshakeInvalidError,
    TooManySocketsError,
)
"""What every route that becomes a WebSocket may answer instead."""
ENGINE = (
    EngineUnreachableError,
    EngineFullError,
    EngineTimeoutError,
    EngineError,
    ServerBusyError,
)
"""What any call of Docker may come to."""
COMMANDS = (*ENGINE, CommandTimeoutError, CommandRunawayError)
"""What a command in a container may come to."""
STORE = (StoreNotSetError, StoreUnavailableError)
"""What a question to Alertmanager, Prometheus or the store of logs may come to."""
