"""Every setting of the environment, read once and passed on as values."""

import difflib
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from promptlooper_export.errors import SettingsError

PREFIX = "PROMPTLOOPER_"
# What Kubernetes sets in every container for a Service whose name begins like ours; it
# would otherwise end the start. A port with a number is somebody's mistake for BIND.
_OF_A_SERVICE = re.compile(
    rf"{PREFIX}(\w+_)?("
    r"SERVICE_HOST=.*|SERVICE_PORT(_\w+)?=.*|PORT=(tcp|udp|sctp)://.*"
    r"|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?=.*)"
)
SYMMETRIC = ("HS256", "HS384", "HS512")
"""The algorithms that sign and verify with one secret."""

SYNC_REFUSED = (
    "gunicorn's sync workers serve one client at a time, so two slow clients would "
    "stop the service; leave out --worker-class (-k)"
)
"""Said to whoever starts gunicorn with workers that have no threads."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One row of the table; `parse` raises ValueError with what is allowed."""

    name: str
    default: str | None
    parse: Callable[[str], Any]
    help: str
    secret: bool = False

    @property
    def variable(self) -> str:
        """The name of the environment variable."""
        return PREFIX + self.name


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        # int() would also take signs, spaces, underscores and other scripts' digits.
        if not re.fullmatch(r"[0-9]{1,18}", text) or not low <= int(text) <= high:
            msg = f"must be a whole number from {low} to {high}"
            raise ValueError(msg)
        return int(text)

    return parse


def _choice(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            msg = f"must be one of {', '.join(allowed)}"
            raise ValueError(msg)
        return text

    return parse


def _switch(text: str) -> bool:
    if text not in ("0", "1"):
        msg = "must be 0 or 1"
        raise ValueError(msg)
    return text == "1"


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _patterns(text: str) -> tuple[re.Pattern[str], ...]:
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        try:
            pattern = re.compile(line)
        except re.error as error:
            msg = f"has an invalid regular expression, {line!r}: {error}"
            raise ValueError(msg) from None
        if pattern.search(""):
            msg = f"has a regular expression that matches empty text: {line!r}"
            raise ValueError(msg)
        found.append(pattern)
    return tuple(found)


SETTINGS = (
    Setting(
        name="DATABASE_URL",
        default="sqlite:///promptlooper.db",
        parse=str,
        help="sqlite:///FILE or postgresql://USER:PASSWORD@HOST:PORT/NAME, with "
        "several hosts and target_session_attrs if you like.",
        secret=True,
    ),
    Setting(
        name="STATE_URL",
        default=None,
        parse=str,
        help="Where grants and revocations are kept, as a URL like DATABASE_URL; by "
        "default in the database itself, or beside a runner's SQLite file.",
        secret=True,
    ),
    Setting(
        name="JWT_SECRET_KEY",
        default=None,
        parse=str,
        help="The key that signs tokens, at least 32 bytes: openssl rand -hex 32.",
        secret=True,
    ),
    Setting(
        name="JWT_ALGORITHM",
        default="HS256",
        parse=_choice(*SYMMETRIC, "RS256", "ES256", "EdDSA"),
        help="The only algorithm that tokens may be signed with.",
    ),
    Setting(
        name="JWT_PUBLIC_KEY_FILE",
        default=None,
        parse=str,
        help="The issuer's public key in PEM, for RS256, ES256 and EdDSA.",
    ),
    Setting(
        name="JWT_JWKS_FILE",
        default=None,
        parse=str,
        help="The issuer's public keys as a JSON Web Key Set; kid selects the key. The "
        "file is read again when it changes.",
    ),
    Setting(
        name="JWT_ISSUER",
        default="promptlooper",
        parse=str,
        help="The iss claim that tokens must have.",
    ),
    Setting(
        name="JWT_AUDIENCE",
        default="promptlooper-export",
        parse=str,
        help="The aud claim that tokens must have.",
    ),
    Setting(
        name="JWT_REQUIRED_CLAIMS",
        default="exp iat sub jti type",
        parse=_words,
        help="The claims that tokens must have, non-empty. If type is one of them, it "
        "must be access.",
    ),
    Setting(
        name="JWT_LEEWAY",
        default="30",
        parse=_integer(0, 300),
        help="Seconds by which the clocks of issuer and service may differ.",
    ),
    Setting(
        name="OPEN_EXPERIMENTS",
        default="1",
        parse=_switch,
        help="1: every valid token may see experiments without grants; 0: only admins "
        "may.",
    ),
    Setting(
        name="REDACT_PATTERNS",
        default=None,
        parse=_patterns,
        help="Regular expressions of your own secrets, besides the known ones, one a "
        "line; see docs/redaction.md.",
    ),
    Setting(
        name="REDACT_KEEP",
        default="",
        parse=_words,
        help="Keys whose values are never secrets, for example seed_token, separated "
        "by commas or spaces.",
    ),
    Setting(
        name="BIND",
        default="127.0.0.1:8000",
        parse=str,
        help="The address that serve listens on.",
    ),
    Setting(
        name="ADMIN_BIND",
        default=None,
        parse=str,
        help="A second address to listen on, whose requests have threads of their own: "
        "health checks are answered there even if all others are busy.",
    ),
    Setting(
        name="TRUSTED_PROXIES",
        default="0",
        parse=_integer(0, 10),
        help="How many proxies in front of the service may set X-Forwarded-* headers.",
    ),
    Setting(
        name="SPOOL_DIR",
        default=None,
        parse=str,
        help="Directory for bodies over 1 MiB until they are sent, and for all other "
        "temporary files; by default the system's temporary directory.",
    ),
    Setting(
        name="SPOOL_MAX_BYTES",
        default=str(1 << 30),
        parse=_integer(1 << 10, 1 << 44),
        help="The largest body that is sent over HTTP, in bytes.",
    ),
    Setting(
        name="SPOOL_TOTAL_BYTES",
        default=None,
        parse=_integer(1 << 10, 1 << 50),
        help="How many bytes of bodies each worker keeps at once until they are sent; "
        "by default four times SPOOL_MAX_BYTES.",
    ),
    Setting(
        name="MAX_CONCURRENT_EXPORTS",
        default="16",
        parse=_integer(1, 1024),
        help="How many exports each worker renders at once; one subject gets at most "
        "half of them. Sending does not count.",
    ),
    Setting(
        name="RENDER_TIMEOUT",
        default="30",
        parse=_integer(1, 86_400),
        help="Seconds that an export may take: over HTTP any export, on the command "
        "line one in a third-party format.",
    ),
    Setting(
        name="WORKERS",
        default="2",
        parse=_integer(1, 256),
        help="Worker processes of serve; set it to the number of cores.",
    ),
    Setting(
        name="THREADS",
        default="64",
        parse=_integer(1, 1024),
        help="Threads of each worker; each slow client occupies one.",
    ),
    Setting(
        name="LOG_FORMAT",
        default="text",
        parse=_choice("text", "json"),
        help="Format of the log lines on stderr: text or json.",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The effective settings; the fields are the rows of SETTINGS in lower case."""

    database_url: str
    state_url: str | None
    jwt_secret_key: str | None
    jwt_algorithm: str
    jwt_public_key_file: str | None
    jwt_jwks_file: str | None
    jwt_issuer: str
    jwt_audience: str
    jwt_required_claims: tuple[str, ...]
    jwt_leeway: int
    open_experiments: bool
    redact_patterns: tuple[re.Pattern[str], ...] | None
    redact_keep: tuple[str, ...]
    bind: str
    admin_bind: str | None
    trusted_proxies: int
    spool_dir: str | None
    spool_max_bytes: int
    spool_total_bytes: int | None
    max_concurrent_exports: int
    render_timeout: int
    workers: int
    threads: int
    log_format: str


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read and check the environment.

    The secret is not checked here, since most commands need none: see `auth.secret`.
    What an operator adds to redaction takes effect in the whole process, and so does
    the directory for temporary files. Raises SettingsError, which names the variable.
    """
    known = {setting.variable for setting in SETTINGS}
    for variable, value in sorted(environ.items()):
        if (
            variable.startswith(PREFIX)
            and variable not in known
            and not _OF_A_SERVICE.fullmatch(f"{variable}={value}")
        ):
            # Refused: a misspelt setting would silently leave its default in force.
            close = difflib.get_close_matches(variable, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else "; unset it"
            msg = f"{variable} is not a setting of this service{hint}"
            raise SettingsError(msg)
    loaded = Settings(**{row.name.lower(): _value(row, environ) for row in SETTINGS})
    if loaded.spool_dir is not None:
        # Any command may copy a SQLite file. Whether the directory can be written to is
        # checked by those that write there whatever the database.
        tempfile.tempdir = loaded.spool_dir
    if loaded.redact_patterns or loaded.redact_keep:
        # Here and not in each caller: one that forgot it would let secrets out.
        from promptlooper_export.redaction import configure

        configure(patterns=loaded.redact_patterns or (), kept_names=loaded.redact_keep)
    return loaded


def _value(setting: Setting, environ: Mapping[str, str]) -> Any:  # noqa: ANN401
    # Empty counts as not set: `NAME: ${NAME}` in Compose or CI passes on such ones.
    text = environ.get(setting.variable) or setting.default
    if text is None:
        return None
    try:
        return setting.parse(text)
    except ValueError as error:
        msg = f"{setting.variable} {error}"
        raise SettingsError(msg) from None
