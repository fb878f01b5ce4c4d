"""The secret that signs tokens, and whether somebody could guess it.

Whoever has one token can try secrets offline, so one that people make up is as good as
none. We count the bits that a guesser would have to try: zxcvbn finds words, dates,
keyboard rows, repetitions and sequences. A word counts nothing, however long the
sentence, a pattern what zxcvbn says, and every other character one of its alphabet. The
secret is read in several ways, and the way with the fewest bits counts.

A random secret of 32 bytes has more than twice the bits that are required, in whatever
way it is written, and one of 16 bytes nearly always has enough.
"""

import base64
import hashlib
import math
import re
import string
from collections.abc import Callable, Iterator
from functools import lru_cache

from promptlooper_export.errors import SettingsError
from promptlooper_export.settings import PREFIX, SYMMETRIC, Settings

MINIMUM_BYTES = 32  # RFC 7518, section 3.2: at least as long as the HS256 output

MINIMUM_BITS = 70
"""What must remain to be guessed."""

INTERLEAVED_BITS = 40
"""What must remain of every second character: few guessers try to interleave."""

PUBLISHED = {
    # fastapi.tiangolo.com/tutorial/security/oauth2-jwt
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    # flask.palletsprojects.com/en/stable/config and quickstart
    "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    # docs.python.org/3/library/secrets.html
    "f9bf78b9a18ce6d46a0cd2b0b86df9da",
    # hasura.io/docs, JWT with HS256
    "3EK6FD+o0+c7tzBNVfjpMkNDi2yARAAKzQlk8O2IKoxQu4nF7EdAh8s3TwpHwrdWT6R",
    # docker/.env.example of langgenius/dify
    "sk-9f73s3ljTXVcMT3Blb3ljTqtsKiGHXVcMT3BlbkFJLK7U",
    # The JWT tutorials for Spring Boot copy it from each other.
    "404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970",
    # RFC 7515, appendix A.1
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    # RFC 7520, section 3.5
    "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg",
    # Hexadecimal digits in their order, and the keys of FIPS 197, appendix C
    "0123456789abcdef" * 2,
    "0123456789abcdef" * 4,
    "fedcba9876543210" * 2,
    "fedcba9876543210" * 4,
    "00112233445566778899aabbccddeeff",
    "00112233445566778899aabbccddeeff" * 2,
    "000102030405060708090a0b0c0d0e0f",
    "000102030405060708090a0b0c0d0e0f1011121314151617",
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
    # The digits of pi and of e
    "31415926535897932384626433832795",
    "3.14159265358979323846264338327950288",
    "27182818284590452353602874713526",
}
"""Secrets without a pattern that are printed where everybody reads them."""

# Words of examples and of our own field that zxcvbn's lists of English lack.
_WORDS = (
    "access", "amet", "auth", "base64", "bit", "bits", "bytes", "chars", "config",
    "dev", "django", "dolor", "env", "environ", "example", "export", "fastapi",
    "flask", "hash", "hex", "hmac", "hs256", "insecure", "ipsum", "jwt", "key",
    "localhost", "looper", "lorem", "openssl", "phrase", "placeholder", "postgres",
    "prod", "prompt", "promptlooper", "rand", "random", "redis", "refresh",
    "secret", "sign", "signing", "sit", "staging", "string", "token", "todo",
    "urandom", "uuid",
    # What others call it
    "chave", "chiave", "clave", "contrasena", "geheim", "geheimer", "geheimnis",
    "passe", "passwort", "schluessel", "secreto", "segreto", "segredo", "senha",
    "wachtwoord",
)  # fmt: skip

_HASHES = ("md5", "sha1", "sha256", "sha512")
_HASHED = (
    *("", "123456", "admin", "changeme", "foo", "hello", "password", "test"),
    *_WORDS,
)

_PIECES = re.compile(
    r"[A-Z]?[a-z0-9]*[a-z][a-z0-9]*|[A-Z0-9]+(?![a-z])|[A-Z0-9]|[^A-Za-z0-9]+"
)
_AT_ONCE = 32  # zxcvbn takes quadratic time
_SHORTEST_WORD = 3  # shorter ones are in every random text
_HEXADECIMAL = set(string.hexdigits.lower())
_SEPARATOR = 2.0  # bits: people choose one of a few


def signing_key(settings: Settings) -> str:
    """Return the secret that signs tokens.

    Raises SettingsError if it is missing, shorter than 32 bytes, published or easy to
    guess.
    """
    variable = f"{PREFIX}JWT_SECRET_KEY"
    remedy = (
        'set one with: export PROMPTLOOPER_JWT_SECRET_KEY="$(openssl rand -hex 32)"'
    )
    secret = settings.jwt_secret_key or ""
    if settings.jwt_algorithm not in SYMMETRIC:
        msg = (
            f"{PREFIX}JWT_ALGORITHM is {settings.jwt_algorithm}: get tokens from the "
            "issuer who has the private key"
        )
        raise SettingsError(msg)
    # Environment variables need not be UTF-8; Python keeps such bytes as surrogates.
    size = len(secret.encode("utf-8", "surrogateescape"))
    if not secret:
        msg = f"{variable} is not set; {remedy}"
    elif size < MINIMUM_BYTES:
        msg = f"{variable} has {size} bytes, needs {MINIMUM_BYTES}; {remedy}"
    elif is_published(secret):
        msg = f"{variable} is printed in public documentation; {remedy}"
    elif is_guessable(secret):
        msg = f"{variable} can be guessed: words, patterns, repetitions; {remedy}"
    else:
        return secret
    raise SettingsError(msg)


def surrounding_space(secret: str) -> str | None:
    """Say which white space a secret begins or ends with; None if there is none."""
    if secret == secret.strip():
        return None
    found = "ends with a line break"
    if not secret.endswith("\n"):
        found = "begins or ends with white space"
    return f"{found}, which is part of the key; remove it unless the issuer has it too"


@lru_cache(maxsize=1)  # hashes all the words, and a program may issue many tokens
def is_published(secret: str) -> bool:
    """Return whether a secret is in public documents, or the hash of a usual word."""
    plain = secret.strip().casefold()
    if any(plain == known.casefold() for known in PUBLISHED):
        return True
    return any(
        plain == hashlib.new(name, word.encode(), usedforsecurity=False).hexdigest()
        for name in _HASHES
        for word in _HASHED
    )


@lru_cache(maxsize=1)  # takes some 30 ms, and a program may issue many tokens
def is_guessable(secret: str) -> bool:
    """Return whether too few bits remain to be guessed in one reading."""
    # Tools write hexadecimal digits. People who do so end up with some of them, or with
    # what is published.
    if set(secret.casefold()) == _HEXADECIMAL:
        return False
    # Two texts interleaved, such as aAbBcC or a1b2c3.
    halves = _chunks([secret[::2], secret[1::2]])
    return _is_short_of(INTERLEAVED_BITS, halves) or any(
        _is_short_of(MINIMUM_BITS, chunks) for chunks in _readings(secret)
    )


def _is_short_of(least: float, chunks: list[str]) -> bool:
    return _bits(chunks, _bits_of_a_character("".join(chunks))) < least


def _readings(secret: str) -> Iterator[list[str]]:
    """Yield the ways in which a secret can be read, each as texts to measure."""
    yield _chunks([secret])
    for text in (secret, *_decoded(secret)):
        yield _chunks(_PIECES.findall(text))
    yield _chunks(_PIECES.findall(secret.casefold()))


def _decoded(secret: str) -> Iterator[str]:
    """Yield the text that a secret encodes, in hexadecimal digits or base64."""
    decoders: tuple[Callable[[str], bytes], ...] = (bytes.fromhex, _from_base64)
    for decode in decoders:
        try:
            text = decode(secret).decode("ascii")
        except ValueError:
            continue
        if text.isprintable():
            yield text


def _from_base64(text: str) -> bytes:
    """Decode either alphabet, with or without padding. Raises ValueError."""
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)


def _chunks(texts: list[str]) -> list[str]:
    """Cut long texts, and leave out those that come again."""
    cut = (
        text[start : start + _AT_ONCE]
        for text in texts
        for start in range(0, len(text), _AT_ONCE)
    )
    return list(dict.fromkeys(cut))


def _bits(chunks: list[str], each: float) -> float:
    """Count the bits to guess, each free character as `each`; enough is enough."""
    from zxcvbn import zxcvbn  # 28 ms, and only a secret needs it

    bits = 0.0
    for chunk in chunks:
        for match in zxcvbn(chunk, user_inputs=list(_WORDS))["sequence"]:
            kind: str = match["pattern"]  # the type stubs lack "bruteforce"
            token = match["token"]
            if kind == "bruteforce":
                bits += sum(_SEPARATOR if _separates(one) else each for one in token)
            # Words follow from each other; zxcvbn takes them for independent.
            elif kind != "dictionary" or (
                len(token) < _SHORTEST_WORD and token != chunk
            ):
                bits += math.log2(match["guesses"])
        if bits >= MINIMUM_BITS:
            break
    return bits


def _separates(character: str) -> bool:
    """Return whether a character is one that people put between words."""
    return character.isascii() and not character.isalnum()


def _bits_of_a_character(text: str) -> float:
    """Return the bits of a character that is drawn from the text's own alphabet."""
    characters = {one for one in text if not _separates(one)}
    for digits in (string.digits, string.digits + "abcdef", string.digits + "ABCDEF"):
        if characters <= set(digits):
            return math.log2(len(digits))
    classes = (string.ascii_lowercase, string.ascii_uppercase, string.digits)
    size = sum(len(one) for one in classes if characters & set(one))
    # Raw bytes and other scripts; which script, nobody has to guess.
    if any(not one.isascii() for one in characters):
        size += 128
    return math.log2(size)
