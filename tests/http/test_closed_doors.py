"""What is asked of the service from outside without a right to it."""

import json
from itertools import product
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest

from builders import experiment, run
from cli.console import on_sqlite
from databases import Database
from webservice import Service, settings_for

pytestmark = on_sqlite

ORIGINS = (
    "null",
    "https://evil.example",
    "http://localhost",
    "http://localhost:3000",
    "https://localhost.evil.example",
    "http://127.0.0.1:8000",
    "https://evil-localhost",
    "https://xn--lcalhost-d4a.example",
    "file://",
    "chrome-extension://abcdef",
    "*",
    "https://localhost\t",
)


def load(database: Database, prompt: str = "") -> UUID:
    loaded = experiment(run({"accuracy": 1.0}, config={"prompt": prompt}))
    database.load(loaded)
    return loaded.id


@pytest.mark.parametrize("origin", ORIGINS)
def test_no_other_site_may_read_an_answer(database: Database, origin: str) -> None:
    service = Service(settings_for(database.url))
    path = f"/experiments/{load(database)}/export"
    asked = {"Origin": origin}
    preflight = {
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
        "Access-Control-Request-Private-Network": "true",
    }
    answers = [
        service.ask(path, headers=asked),
        service.ask("/experiments", headers=asked),
        service.client.get(path, headers=asked),
        service.client.get("/formats", headers=asked),
        service.client.get("/session", headers=asked),
        service.client.options(path, headers=asked | preflight),
        service.client.options("/formats", headers=asked | preflight),
    ]

    assert answers[0].status_code == 200
    for answer in answers:
        names = [name.lower() for name, _ in answer.headers]
        assert not [name for name in names if name.startswith("access-control")]


def spellings(identifier: UUID) -> set[str]:
    """Return texts that somebody could take for an id, or for a part of it."""
    plain, hyphens = identifier.hex, str(identifier)
    quoted = "".join(f"%{ord(letter):02x}" for letter in hyphens)
    overlong = "".join(f"%C0%{0x80 | ord(letter):02X}" for letter in hyphens)
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in plain)
    bases = {plain, hyphens, plain.upper(), hyphens.upper()}
    around = (
        "%00", "%0a", "%0d%0a", "%20", "%09", "%2e", "%2e%2e", "%2f", "%5c",
        "%3f", "%23", "%25", "%c2%a0", "%e2%80%8b", "%ef%bb%bf", "%ed%a0%80",
        "%ff", "+", "-", "_", ".", "..", ";", ";x=1", "'", "%22", "*", "(", ")",
        "$", "{", "}", "0x", "urn:uuid:", "{{7*7}}", "${7*7}", "' OR 1=1 --",
        "%2500", "%252e", "~", "@", ":", "!", "=", ",",
    )  # fmt: skip
    found = {f"{mark}{base}" for mark, base in product(around, bases)}
    found |= {f"{base}{mark}" for mark, base in product(around, bases)}
    found |= {f"{base[:8]}{mark}{base[8:]}" for mark, base in product(around, bases)}
    found |= {
        f"{{{hyphens}}}", f"({plain})", identifier.urn, quote(wide), overlong,
        str(int(identifier)), hyphens[:-1], hyphens + "0", plain[:31], plain * 2,
        plain[::-1], "0" * 32 + plain, hyphens.replace("-", ""), hyphens[:8],
        "-".join(plain), "a" * 10_000, "..%2f" * 500, "%", "%zz", "none", "null", "*",
    }  # fmt: skip
    # These two are the id in another spelling of the URL (RFC 3986, section 6.2.2).
    return found - bases - {quoted}


def test_one_id_has_no_other_spellings(database: Database) -> None:
    service = Service(settings_for(database.url))
    identifier = load(database)
    texts = spellings(identifier)
    assert len(texts) >= 500
    for text in (identifier.hex, str(identifier).upper()):
        assert service.ask(f"/experiments/{text}/export").status_code == 200

    seen = {
        text: service.ask(f"/experiments/{text}/export").status_code for text in texts
    }

    assert set(seen.values()) <= {404, 405, 422}, {
        text: status for text, status in seen.items() if status not in (404, 422)
    }


def test_the_size_of_an_answer_tells_nothing_of_a_guess(database: Database) -> None:
    """Ask as in the attacks on compression: does a right guess make it shorter?"""
    service = Service(settings_for(database.url))
    hidden = "canary-" + "0a1b2c3d" * 8
    path = f"/experiments/{load(database, hidden + 'x' * 3000)}/export?reproducible=1"
    guesses = [
        f"{hidden[:length]}{byte:02x}" for length in (8, 40) for byte in range(64)
    ]
    guesses += [hidden, hidden * 10]

    def size(guess: str) -> int:
        fields = {
            "Accept-Encoding": "gzip",
            "User-Agent": guess,
            "Referer": f"https://service.example/?q={guess}",
            "Cookie": f"seen={guess}",
            "X-Request-ID": uuid4().hex,
        }
        answer = service.ask(f"{path}&format=json", headers=fields)
        assert answer.headers["Content-Encoding"] == "gzip"
        return len(answer.data)

    assert len({size(guess) for guess in guesses}) == 1


def test_what_quotes_a_request_is_not_compressed(database: Database) -> None:
    service = Service(settings_for(database.url))
    path = f"/experiments/{load(database)}/export"
    fields = {"Accept-Encoding": "gzip, zstd"}
    for query in (f"?guess={'a' * 3000}", f"?format={'a' * 3000}"):
        answer = service.ask(path + query, headers=fields)
        assert answer.status_code == 422
        assert "Content-Encoding" not in answer.headers
        assert json.loads(answer.data)
