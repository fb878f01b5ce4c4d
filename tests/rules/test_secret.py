"""Which secrets may sign tokens."""

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings, strategies

from promptlooper_export.auth.keys import key_finder
from promptlooper_export.auth.secret import MINIMUM_BYTES
from promptlooper_export.errors import SettingsError
from promptlooper_export.settings import load

LIST = Path(__file__).parents[1] / "data" / "weak-secrets.txt"
WEAK = [
    line
    for line in LIST.read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("# ")
]
ENCODINGS: Mapping[str, Callable[[bytes], str]] = {
    "hexadecimal digits": bytes.hex,
    "capital digits": lambda raw: raw.hex().upper(),
    "base64": lambda raw: base64.b64encode(raw).decode(),
    "base64 for URLs": lambda raw: base64.urlsafe_b64encode(raw).rstrip(b"=").decode(),
    "base32": lambda raw: base64.b32encode(raw).decode(),
    "two UUIDs": lambda raw: f"{UUID(bytes=raw[:16])}{UUID(bytes=raw[16:])}",
    "raw": lambda raw: raw.decode("utf-8", "surrogateescape"),
}


def check(secret: str) -> None:
    """Start with a secret, as far as keys go. Raises SettingsError."""
    key_finder(load({"PROMPTLOOPER_JWT_SECRET_KEY": secret}))


@pytest.mark.parametrize("secret", WEAK)
def test_a_secret_that_people_make_up_or_copy_is_refused(secret: str) -> None:
    assert len(secret.encode()) >= MINIMUM_BYTES  # or it would be too short

    with pytest.raises(SettingsError) as refused:
        check(secret)

    assert "PROMPTLOOPER_JWT_SECRET_KEY" in refused.value.detail
    assert "openssl rand -hex 32" in refused.value.detail
    assert secret not in refused.value.detail.replace("$(openssl rand -hex 32)", "")


@pytest.mark.parametrize("secret", [" ", "\t", "\N{NO-BREAK SPACE}", "\0", "\udcff"])
def test_no_repeated_character_is_a_secret(secret: str) -> None:
    with pytest.raises(SettingsError):
        check(secret * 40)


@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(max_examples=20, deadline=None)
@given(seed=strategies.binary())
def test_a_random_secret_of_32_bytes_always_passes(encoding: str, seed: bytes) -> None:
    # What hypothesis draws is not random: it would find the weak ones.
    raw = hashlib.blake2b(seed, key=b"test", digest_size=32).digest()

    check(ENCODINGS[encoding](raw))


def test_a_random_tail_makes_words_a_secret() -> None:
    check(f"promptlooper-production-{secrets.token_hex(16)}")


def test_an_endless_pattern_is_refused_at_once() -> None:
    with pytest.raises(SettingsError, match="can be guessed"):
        check("ab" * 60_000)


def test_a_secret_that_is_long_and_mixed_is_accepted() -> None:
    check("ci-7d1f0b3c9a5e2468d0f1e2b3a495867-Kx")
