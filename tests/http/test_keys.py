"""Tokens of an issuer who keeps the private key to himself."""

import base64
import json
import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from cli.console import on_sqlite
from databases import Database
from promptlooper_export.auth.keys import key_finder
from promptlooper_export.errors import SettingsError
from promptlooper_export.events import KeysUnreadable
from promptlooper_export.settings import load
from promptlooper_export.web.app import create_app

pytestmark = on_sqlite

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

MAKE: dict[str, Callable[[], PrivateKey]] = {
    "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}
TO_JWK: dict[str, Any] = {
    "RS256": RSAAlgorithm.to_jwk,
    "ES256": ECAlgorithm.to_jwk,
    "EdDSA": OKPAlgorithm.to_jwk,
}


def pem(key: PrivateKey) -> bytes:
    encoded: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded


def private_pem(key: PrivateKey) -> bytes:
    encoded: bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return encoded


def jwk(algorithm: str, key: PrivateKey, **members: object) -> dict[str, object]:
    row: dict[str, object] = json.loads(TO_JWK[algorithm](key.public_key()))
    return row | members


def key_set(*rows: dict[str, object]) -> str:
    return json.dumps({"keys": rows})


def token(algorithm: str, key: PrivateKey | bytes, **header: str) -> str:
    now = int(time.time())
    claims = {
        "iss": "promptlooper", "aud": "promptlooper-export", "sub": "alice",
        "type": "access", "jti": str(uuid4()), "iat": now, "exp": now + 600,
    }  # fmt: skip
    return jwt.encode(claims, key, algorithm=algorithm, headers=header or None)


class Verifier:
    """A service whose keys are in a file."""

    def __init__(self, database: Database, **settings: str) -> None:
        rows = {"DATABASE_URL": database.url, **settings}
        loaded = load({f"PROMPTLOOPER_{name}": value for name, value in rows.items()})
        self.client = create_app(loaded).test_client()

    def status(self, sent: str) -> int:
        headers = {"Authorization": f"Bearer {sent}"}
        return self.client.get("/experiments", headers=headers).status_code


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.mark.parametrize("algorithm", MAKE)
def test_a_public_key_verifies_and_another_one_does_not(
    database: Database, file: Path, algorithm: str
) -> None:
    key, other = MAKE[algorithm](), MAKE[algorithm]()
    file.write_bytes(pem(key))
    service = Verifier(database, JWT_ALGORITHM=algorithm, JWT_PUBLIC_KEY_FILE=str(file))
    assert service.status(token(algorithm, key)) == 200
    assert service.status(token(algorithm, key, kid="any")) == 200
    assert service.status(token(algorithm, other)) == 401


@pytest.mark.parametrize("algorithm", MAKE)
def test_a_key_of_the_set_is_chosen_by_kid(
    database: Database, file: Path, algorithm: str
) -> None:
    first, second = MAKE[algorithm](), MAKE[algorithm]()
    encryption = jwk(algorithm, MAKE[algorithm](), kid="c", use="enc")
    rows = (jwk(algorithm, first, kid="a"), jwk(algorithm, second, kid="b"), encryption)
    file.write_text(key_set(*rows))
    service = Verifier(database, JWT_ALGORITHM=algorithm, JWT_JWKS_FILE=str(file))

    assert service.status(token(algorithm, first, kid="a")) == 200
    assert service.status(token(algorithm, second, kid="b")) == 200
    for key, header in ((first, {"kid": "b"}), (first, {}), (first, {"kid": "c"})):
        assert service.status(token(algorithm, key, **header)) == 401
    for kid in ("", "../keys", "' OR 1=1", "\0", "a" * 5000):
        assert service.status(token(algorithm, first, kid=kid)) == 401


def test_a_set_of_one_key_needs_no_kid(database: Database, file: Path) -> None:
    key = MAKE["ES256"]()
    file.write_text(key_set(jwk("ES256", key, kid="a")))
    service = Verifier(database, JWT_ALGORITHM="ES256", JWT_JWKS_FILE=str(file))
    assert service.status(token("ES256", key)) == 200


def test_keys_are_rotated_without_a_restart_and_a_broken_file_changes_nothing(
    database: Database, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = MAKE["EdDSA"](), MAKE["EdDSA"]()
    file.write_text(key_set(jwk("EdDSA", old, kid="old")))
    service = Verifier(database, JWT_ALGORITHM="EdDSA", JWT_JWKS_FILE=str(file))
    both = key_set(jwk("EdDSA", old, kid="old"), jwk("EdDSA", new, kid="new"))

    def statuses() -> tuple[int, int]:
        return (
            service.status(token("EdDSA", old, kid="old")),
            service.status(token("EdDSA", new, kid="new")),
        )

    assert statuses() == (200, 401)
    file.write_text(both)
    assert statuses() == (200, 200)
    file.write_text("{")
    assert [statuses(), statuses()] == [(200, 200)] * 2
    file.unlink()
    assert [statuses(), statuses()] == [(200, 200)] * 2
    events = [record.msg for record in caplog.records if record.levelno > logging.INFO]
    assert [type(event) for event in events] == [KeysUnreadable, KeysUnreadable]
    file.write_text(key_set(jwk("EdDSA", new, kid="new")))
    assert statuses() == (401, 200)


def test_a_key_that_is_replaced_ends_the_tokens_that_it_had_verified(
    database: Database, file: Path
) -> None:
    old, new = MAKE["EdDSA"](), MAKE["EdDSA"]()
    file.write_text(key_set(jwk("EdDSA", old, kid="a")))
    service = Verifier(database, JWT_ALGORITHM="EdDSA", JWT_JWKS_FILE=str(file))
    sent = token("EdDSA", old, kid="a")
    assert [service.status(sent), service.status(sent)] == [200, 200]
    file.write_text(key_set(jwk("EdDSA", new, kid="a"), jwk("EdDSA", new, kid="b")))
    assert service.status(sent) == 401
    file.write_text(key_set(jwk("EdDSA", old, kid="a")))
    assert service.status(sent) == 200


def test_keys_are_rotated_while_requests_come(database: Database, file: Path) -> None:
    old, new = MAKE["EdDSA"](), MAKE["EdDSA"]()
    rows = jwk("EdDSA", old, kid="old"), jwk("EdDSA", new, kid="new")
    sets = [
        key_set(*rows),
        key_set(*reversed(rows)),
        key_set(*rows, rows[0] | {"kid": "x"}),
    ]
    file.write_text(sets[0])
    service = Verifier(database, JWT_ALGORITHM="EdDSA", JWT_JWKS_FILE=str(file))
    tokens = [token("EdDSA", key, kid=kid) for key, kid in ((old, "old"), (new, "new"))]
    beside = file.with_suffix(".new")

    def ask(number: int) -> int:
        return service.status(tokens[number % 2])

    with ThreadPoolExecutor(4) as threads:
        asked = []
        for number in range(400):
            if number % 10 == 0:
                beside.write_text(sets[number // 10 % 3])
                beside.replace(file)
            asked.append(threads.submit(ask, number))
        assert {row.result() for row in asked} == {200}
    file.write_text(key_set(rows[1]))
    assert [service.status(row) for row in tokens] == [401, 200]


def test_a_public_key_is_no_secret(database: Database, file: Path) -> None:
    key = MAKE["RS256"]()
    file.write_bytes(pem(key))
    service = Verifier(database, JWT_ALGORITHM="RS256", JWT_PUBLIC_KEY_FILE=str(file))
    der = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for secret in (pem(key), pem(key).strip(), der):
        for algorithm in ("HS256", "HS384", "HS512"):
            assert service.status(forged(algorithm, secret)) == 401


def forged(algorithm: str, secret: bytes) -> str:
    """Sign with a public key as secret, which PyJWT refuses to do."""
    header, payload, _ = token("HS256", secrets.token_bytes(64)).split(".")
    header = base64.urlsafe_b64encode(
        json.dumps({"alg": algorithm, "typ": "JWT"}).encode()
    ).decode()
    signed = f"{header.rstrip('=')}.{payload}"
    signature = jwt.algorithms.HMACAlgorithm(
        getattr(jwt.algorithms.HMACAlgorithm, algorithm.replace("HS", "SHA"))
    ).sign(signed.encode(), secret)
    return f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def weak() -> bytes:
    return pem(rsa.generate_private_key(public_exponent=65537, key_size=1024))  # noqa: S505


REFUSED: dict[str, tuple[str, str, Callable[[], str | bytes], str]] = {
    "an RSA key that is too short": ("RS256", "PUBLIC_KEY", weak, "1024 bits"),
    "another kind of key": (
        "RS256", "PUBLIC_KEY", lambda: pem(MAKE["ES256"]()), "another kind",
    ),
    "another curve": (
        "ES256", "PUBLIC_KEY", lambda: pem(ec.generate_private_key(ec.SECP384R1())),
        "another kind",
    ),
    "a private key": (
        "ES256", "PUBLIC_KEY", lambda: private_pem(MAKE["ES256"]()), "private key",
    ),
    "no key": ("RS256", "PUBLIC_KEY", lambda: "hello", "not a public key"),
    "nothing": ("RS256", "PUBLIC_KEY", lambda: "", "not a public key"),
    "no set": ("RS256", "JWKS", lambda: "[]", "not a JSON Web Key Set"),
    "a set of numbers": ("RS256", "JWKS", lambda: '{"keys": [1]}', "Web Key Set"),
    "an empty set": ("RS256", "JWKS", lambda: '{"keys": []}', "has no key for RS256"),
    "a set of other kinds": (
        "RS256", "JWKS", lambda: key_set(jwk("ES256", MAKE["ES256"]())), "has no key",
    ),
    "a symmetric key": (
        "RS256", "JWKS", lambda: key_set({"kty": "oct", "k": "AAAA"}), "symmetric",
    ),
    "a private key in a set": (
        "EdDSA", "JWKS",
        lambda: key_set(json.loads(TO_JWK["EdDSA"](MAKE["EdDSA"]()))), "private",
    ),
    "a set of keys for other things": (
        "RS256", "JWKS",
        lambda: key_set(
            jwk("RS256", MAKE["RS256"](), alg="PS256"),
            jwk("RS256", MAKE["RS256"](), key_ops=["encrypt"]),
        ),
        "has no key",
    ),
    "a key in DER": (
        "RS256", "PUBLIC_KEY", lambda: b"\x30\x82\xff", "not a public key",
    ),
    "half a key": (
        "RS256", "JWKS", lambda: key_set({"kty": "RSA", "kid": "a"}), "cannot be read",
    ),
    "a kid twice": (
        "ES256", "JWKS",
        lambda: key_set(*[jwk("ES256", MAKE["ES256"](), kid="a") for _ in "12"]),
        "twice",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_nothing_starts_with_bad_keys(
    database: Database, file: Path, case: str
) -> None:
    algorithm, setting, make, reason = REFUSED[case]
    made = make()
    file.write_bytes(made.encode() if isinstance(made, str) else made)
    name = f"JWT_{setting}_FILE"
    with pytest.raises(SettingsError, match=reason) as caught:
        Verifier(database, **{"JWT_ALGORITHM": algorithm, name: str(file)})
    assert caught.value.detail.startswith(f"PROMPTLOOPER_{name}")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"JWT_ALGORITHM": "RS256"}, "JWT_PUBLIC_KEY_FILE"),
        (
            {
                "JWT_ALGORITHM": "RS256",
                "JWT_PUBLIC_KEY_FILE": "a",
                "JWT_JWKS_FILE": "b",
            },
            "only one",
        ),
        ({"JWT_ALGORITHM": "RS256", "JWT_SECRET_KEY": "x" * 40}, "JWT_SECRET_KEY"),
        ({"JWT_PUBLIC_KEY_FILE": "a"}, "JWT_PUBLIC_KEY_FILE"),
        ({"JWT_ALGORITHM": "ES256", "JWT_JWKS_FILE": "missing"}, "cannot be read"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    database: Database, settings: dict[str, str], named: str
) -> None:
    with pytest.raises(SettingsError, match=named):
        Verifier(database, **settings)


@pytest.mark.parametrize(
    ("variable", "content"),
    [
        ("JWT_JWKS_FILE", "[" * 100_000),
        (
            "JWT_PUBLIC_KEY_FILE",
            (
                "-----BEGIN PUBLIC KEY-----\nMA8wCAYGKgMEBQYHAwMAAQI=\n"
                "-----END PUBLIC KEY-----\n"
            ),
        ),
    ],
    ids=["nested deeply", "of an unknown kind"],
)
def test_a_file_that_its_reader_gives_up_on_is_refused(
    database: Database, tmp_path: Path, variable: str, content: str
) -> None:
    file = tmp_path / "keys"
    file.write_text(content)
    settings = load(
        {
            "PROMPTLOOPER_DATABASE_URL": database.url,
            "PROMPTLOOPER_JWT_ALGORITHM": "RS256",
            f"PROMPTLOOPER_{variable}": str(file),
        }
    )
    with pytest.raises(SettingsError, match=variable):
        key_finder(settings)
