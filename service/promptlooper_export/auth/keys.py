"""The keys that verify tokens: a secret, a public key, or a set that can be rotated.

Keys come only from the configuration, never from a place that a token names (RFC 8725,
section 3.10).
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias

from jwt import InvalidTokenError, PyJWK, PyJWTError
from marshmallow import INCLUDE, Schema, ValidationError, fields

from promptlooper_export.auth.secret import signing_key
from promptlooper_export.errors import SettingsError
from promptlooper_export.events import KeysUnreadable
from promptlooper_export.settings import SYMMETRIC, Settings

logger = logging.getLogger(__name__)

MINIMUM_RSA_BITS = 2048  # RFC 7518, section 3.3

FindKey: TypeAlias = Callable[[Mapping[str, Any]], Any]
"""Returns the key for the header of a token. Raises jwt.InvalidTokenError."""

_PEM = "PROMPTLOOPER_JWT_PUBLIC_KEY_FILE"
_JWKS = "PROMPTLOOPER_JWT_JWKS_FILE"

# The members of a JSON Web Key that name its kind: RFC 7518, section 6; RFC 8037.
_KINDS: Mapping[str, Mapping[str, str]] = {
    "RS256": {"kty": "RSA"},
    "ES256": {"kty": "EC", "crv": "P-256"},
    "EdDSA": {"kty": "OKP", "crv": "Ed25519"},
}


class _Key(Schema):
    """A JSON Web Key (RFC 7517, section 4); members of its kind are kept."""

    class Meta:
        unknown = INCLUDE  # section 4: unknown members must be ignored

    kty = fields.String(required=True)
    kid = fields.String()
    use = fields.String(load_default="sig")
    alg = fields.String()
    key_ops = fields.List(fields.String(), load_default=["verify"])


class _KeySet(Schema):
    """A JSON Web Key Set (RFC 7517, section 5)."""

    class Meta:
        unknown = INCLUDE

    keys = fields.List(fields.Nested(_Key), required=True)


def key_finder(settings: Settings) -> FindKey:
    """Return a function that finds the key of a token.

    Raises SettingsError if keys are missing, weak or of another kind.
    """
    algorithm = settings.jwt_algorithm
    files = {_PEM: settings.jwt_public_key_file, _JWKS: settings.jwt_jwks_file}
    given = {variable: file for variable, file in files.items() if file is not None}
    if algorithm in SYMMETRIC:
        if given:
            msg = (
                f"{next(iter(given))} is for RS256, ES256 and EdDSA, not for "
                f"{algorithm}; set PROMPTLOOPER_JWT_ALGORITHM or unset it"
            )
            raise SettingsError(msg)
        secret = signing_key(settings)
        # A `kid` is a hint (RFC 7515, section 4.1.4), and there is one key to choose.
        return lambda _: secret
    # Refused rather than ignored: whoever set it may think that it still counts.
    if settings.jwt_secret_key is not None:
        msg = (
            f"PROMPTLOOPER_JWT_SECRET_KEY is not for {algorithm}; unset it, or set "
            "PROMPTLOOPER_JWT_ALGORITHM=HS256"
        )
        raise SettingsError(msg)
    if len(given) != 1:
        both = "only one of" if given else "one of"
        msg = f"{algorithm} needs {both} {_PEM} and {_JWKS}; set one"
        raise SettingsError(msg)
    [(variable, file)] = given.items()
    read = _read_pem if variable == _PEM else _read_jwks
    return KeyFile(variable, Path(file), lambda text: read(text, algorithm)).find


class KeyFile:
    """A file of public keys, which is read again when it has changed.

    If the new version cannot be read, that is logged once, and the old keys stay.
    """

    def __init__(
        self,
        variable: str,
        path: Path,
        read: Callable[[str], Mapping[str | None, Any]],
    ) -> None:
        self._variable = variable
        self._path = path
        self._read = read
        self._lock = Lock()
        self._seen = self._signature()
        try:
            self._keys = self._load()
        except ValueError as error:
            msg = f"{variable}: {path} {error}"
            raise SettingsError(msg) from error

    def find(self, header: Mapping[str, Any]) -> Any:  # noqa: ANN401  a library's key
        """Return the key that `kid` names, or the only one."""
        keys = self._current()
        kid = header.get("kid")
        if None in keys:  # a key without an id is used for any kid
            return keys[None]
        if kid is None and len(keys) == 1:
            return next(iter(keys.values()))
        if not isinstance(kid, str) or kid not in keys:
            msg = "no key has this kid"
            raise InvalidTokenError(msg)
        return keys[kid]

    def _current(self) -> Mapping[str | None, Any]:
        with self._lock:
            signature = self._signature()
            if signature != self._seen:
                # Even if reading fails, so that a broken file is logged only once.
                self._seen = signature
                try:
                    self._keys = self._load()
                except ValueError as error:
                    event = KeysUnreadable(variable=self._variable, reason=str(error))
                    logger.error(event)  # noqa: TRY400  a traceback adds nothing
            return self._keys

    def _signature(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        # The inode catches a replaced file with the same size and time.
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _load(self) -> Mapping[str | None, Any]:
        try:
            text = self._path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            msg = f"cannot be read: {error.strerror}"
            raise ValueError(msg) from error
        return self._read(text)


def _read_pem(text: str, algorithm: str) -> Mapping[str | None, Any]:
    """Read one public key. Raises ValueError, which says what is wrong."""
    serialization = _cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm

    if "PRIVATE KEY" in text:
        msg = "holds a private key; give the public one only"
        raise ValueError(msg)
    try:
        key = serialization.load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        msg = "is not a public key in PEM"
        raise ValueError(msg) from error
    _check_kind(key, algorithm)
    return {None: key}


def _read_jwks(text: str, algorithm: str) -> Mapping[str | None, Any]:
    """Read the keys of a set that fit the algorithm (RFC 7517, section 5).

    Raises ValueError if there is none, or if a key is not public.
    """
    _cryptography()
    try:
        rows = _KeySet().loads(text)["keys"]
    except (ValidationError, ValueError, RecursionError) as error:
        msg = "is not a JSON Web Key Set"
        raise ValueError(msg) from error
    keys: dict[str | None, Any] = {}
    for row in rows:
        if row.get("kty") == "oct" or "d" in row:
            msg = "holds a private or symmetric key; give public ones only"
            raise ValueError(msg)
        # RFC 7517, section 5: ignore keys that we cannot use, such as an issuer's other
        # algorithms.
        if not _is_for(row, algorithm):
            continue
        try:
            key = PyJWK(row, algorithm).key
        except (PyJWTError, ValueError) as error:
            msg = f"holds a key that cannot be read, {row.get('kid')!r}"
            raise ValueError(msg) from error
        _check_kind(key, algorithm)
        if row.get("kid") in keys:
            msg = f"has the kid {row.get('kid')!r} twice"
            raise ValueError(msg)
        keys[row.get("kid")] = key
    if not keys or (None in keys and len(keys) > 1):
        msg = f"has no key for {algorithm}" if not keys else "has a key without kid"
        raise ValueError(msg)
    return keys


def _is_for(row: Mapping[str, Any], algorithm: str) -> bool:
    """Return whether a key verifies with the algorithm (RFC 7517, section 4)."""
    return (
        _KINDS[algorithm].items() <= row.items()
        and row["use"] == "sig"
        and row.get("alg", algorithm) == algorithm
        and "verify" in row["key_ops"]
    )


def _check_kind(key: Any, algorithm: str) -> None:  # noqa: ANN401  a library's key
    """Raise ValueError if a key is of another kind or weak."""
    from cryptography.hazmat.primitives.asymmetric.ec import (
        SECP256R1,
        EllipticCurvePublicKey,
    )
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PublicKey,
    )
    from cryptography.hazmat.primitives.asymmetric.rsa import (
        RSAPublicKey,
    )

    match algorithm, key:
        case "RS256", RSAPublicKey():
            if key.key_size < MINIMUM_RSA_BITS:
                msg = f"has an RSA key of {key.key_size} bits, needs {MINIMUM_RSA_BITS}"
                raise ValueError(msg)
        case "ES256", EllipticCurvePublicKey() if isinstance(key.curve, SECP256R1):
            pass
        case "EdDSA", Ed25519PublicKey():
            pass
        case _:
            msg = f"holds a key of another kind than {algorithm} has"
            raise ValueError(msg)


def _cryptography() -> Any:  # noqa: ANN401  a module
    """Import the library that only public keys need. Raises SettingsError."""
    try:
        from cryptography.hazmat.primitives import (
            serialization,
        )
    except ModuleNotFoundError:
        msg = (
            "PROMPTLOOPER_JWT_ALGORITHM needs a library that is missing: "
            "pip install 'promptlooper-export[asymmetric]'"
        )
        raise SettingsError(msg) from None
    return serialization
