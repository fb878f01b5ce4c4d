"""What can be logged, as values; each event is logged once, at the outer edge."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base of all events; the class name and the fields are the log record."""

    def __str__(self) -> str:
        """Write the event as one line of `key=value` pairs for text logs."""
        pairs = " ".join(f"{key}={value!r}" for key, value in vars(self).items())
        return f"{type(self).__name__} {pairs}"


@dataclass(frozen=True, kw_only=True)
class FormatLeftOut(Event):
    """An entry point could not be loaded as a format."""

    name: str
    distribution: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class RequestEvent(Event):
    """Base of the events that end a request: who asked, from where, for what.

    `route` is the rule, never the raw path, which may hold a token by mistake. `status`
    is None if there was no answer yet.
    """

    request_id: str
    client: str | None = None
    subject: str | None = None
    method: str
    route: str
    experiment: str | None = None
    format: str | None = None
    status: int | None = None


@dataclass(frozen=True, kw_only=True)
class RequestServed(RequestEvent):
    """A request is over: how many bytes of the body were sent in how many seconds.

    `outcome` is `complete`, `aborted` if the client left before the end, or `failed` if
    the body could not be read to its end.
    """

    bytes: int
    seconds: float
    outcome: str


@dataclass(frozen=True, kw_only=True)
class RequestLost(RequestEvent):
    """A worker ended while it answered this request, which may be the cause."""

    worker: int


@dataclass(frozen=True, kw_only=True)
class TokenRefused(Event):
    """A token was refused; only the log says why."""

    request_id: str
    client: str | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class KeysUnreadable(Event):
    """A changed file of public keys cannot be read; the old keys stay in use."""

    variable: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class SecretHasSpace(Event):
    """The secret begins or ends with white space, as one does that is read from a file.

    The issuer of the tokens may sign without it, and the service would refuse them all.
    """

    variable: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class SecretsExported(Event):
    """Somebody receives the secrets of an experiment; `client` is their address."""

    request_id: str
    subject: str
    client: str | None
    experiment: str
    format: str


@dataclass(frozen=True, kw_only=True)
class LogLinesDropped(Event):
    """Lines of the log are missing: nobody read it, or the disk was full."""

    lines: int


@dataclass(frozen=True, kw_only=True)
class RequestFailed(Event):
    """A request failed on a bug; the traceback is logged with this event."""

    request_id: str
    error: str
