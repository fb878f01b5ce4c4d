import base64
import hashlib
import hmac
import json
import logging
import math
import secrets
import socket
import time
from datetime import UTC, datetime, timedelta, tzinfo
from uuid import UUID, uuid4

import jwt
import pytest
from hypothesis import assume, given, strategies
from hypothesis.strategies import DataObject
from werkzeug.test import EnvironBuilder, TestResponse

from promptlooper_export.auth.issuing import issue
from promptlooper_export.auth.verified import (
    LONGEST,
    MOST_TOKENS,
    Verified,
    VerifiedTokens,
)
from webservice import (
    SECRET,
    Service,
    bearer,
    problem,
    settings_for,
    without_instance,
)

PATH = "/experiments/no-id/export"
REMOVED = object()


def now() -> int:
    return int(datetime.now(UTC).timestamp())


def claims(**changes: object) -> dict[str, object]:
    good: dict[str, object] = {
        "iss": "promptlooper",
        "aud": "promptlooper-export",
        "sub": "alice",
        "type": "access",
        "jti": str(uuid4()),
        "iat": now(),
        "exp": now() + 3600,
    }
    return {
        name: value for name, value in (good | changes).items() if value is not REMOVED
    }


def segment(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def signed(payload: object, header: object = None, *, key: str = SECRET) -> str:
    """Sign by hand, since libraries refuse to make what an attacker sends."""
    head = {"alg": "HS256", "typ": "JWT"} if header is None else header
    signing_input = f"{segment(head)}.{segment(payload)}"
    digest = hmac.new(key.encode(), signing_input.encode(), hashlib.sha256).digest()
    signature = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return f"{signing_input}.{signature}"


def raw_claims(name: str, literal: str) -> str:
    """Return claims as JSON text with one value as it is written."""
    text = json.dumps(claims(**{name: "PLACE"}))
    return text.replace('"PLACE"', literal)


def header(**changes: object) -> dict[str, object]:
    return {"alg": "HS256", "typ": "JWT", **changes}


NO_NUMBERS: dict[str, object] = {
    "missing": REMOVED,
    "null": None,
    "empty": "",
    "boolean": True,
    "list": ["x"],
    "object": {"x": 1},
}
NO_TEXTS = {**NO_NUMBERS, "number": 7}
NO_MOMENTS = {**NO_NUMBERS, "text": str(2**31)}
WRONG_CLAIMS = [
    *((name, kind, value) for name in ("iss", "sub", "jti", "type")
      for kind, value in NO_TEXTS.items()),
    *((name, "other", "other") for name in ("iss", "aud", "type")),
    ("type", "refresh", "refresh"),
    ("type", "in capitals", "ACCESS"),
    *((name, kind, value) for name in ("exp", "iat")
      for kind, value in NO_MOMENTS.items()),
    *(("nbf", kind, value)
      for kind, value in NO_MOMENTS.items() if kind != "missing"),
    *((name, "too large", 2**53) for name in ("exp", "iat", "nbf")),
    *((name, "of the year 10000", 253_402_300_800) for name in ("exp", "iat", "nbf")),
    ("exp", "in milliseconds", 1000 * (now() + 3600)),
    *((name, "NaN", math.nan) for name in ("exp", "iat", "nbf")),
    *((name, "infinite", math.inf) for name in ("exp", "iat", "nbf")),
    ("exp", "past", 1_700_000_000),
    ("exp", "negative", -1),
    ("exp", "zero", 0),
    ("iat", "future", 4_000_000_000),
    ("nbf", "future", 4_000_000_000),
    ("aud", "missing", REMOVED),
    ("aud", "null", None),
    ("aud", "empty", ""),
    ("aud", "empty list", []),
    ("aud", "number", 7),
    ("aud", "object", {"promptlooper-export": 1}),
    ("aud", "others", ["a", "b"]),
    ("aud", "mixed list", ["promptlooper-export", 7]),
    ("aud", "prefix", "promptlooper-export-other"),
    ("sub", "NUL", "ali\0ce"),
    ("sub", "lone surrogate", "\ud800"),
    ("groups", "text", "admins"),
    ("groups", "null", None),
    ("groups", "numbers", [1]),
    ("groups", "empty name", [""]),
    ("groups", "NUL", ["a\0"]),
    ("scope", "list", ["export:best"]),
    ("scope", "null", None),
    ("scope", "number", 1),
    ("experiments", "text", str(UUID(int=1))),
    ("experiments", "null", None),
    ("experiments", "no ids", ["x"]),
    ("experiments", "numbers", [1]),
    ("experiments", "urn", [UUID(int=1).urn]),
]  # fmt: skip


KEY_IDS = (
    *("1", "", "a\0b", "../../dev/null", "/etc/passwd", "$(id)|;`id`"),
    *("' OR 1=1 --", "x' UNION SELECT 'secret' --", "http://127.0.0.1/key"),
)


def forged() -> dict[str, str]:
    """Return tokens that must open nothing."""
    good = claims()
    token = signed(good)
    head, payload, signature = token.split(".")
    other = jwt.encode(good, secrets.token_hex(64), algorithm="HS256")
    return {
        **{
            f"{name} {kind}": signed(claims(**{name: value}))
            for name, kind, value in WRONG_CLAIMS
        },
        **{
            f"alg {name!r}": f"{segment(header(alg=name))}.{payload}."
            for name in ("none", "None", "NONE", "nOnE", "", None, [], ["HS256"], 1)
        },
        **{
            f"alg {name!r} with the signature of HS256": signed(good, header(alg=name))
            for name in ("none", "hs256", "RS256", "ES256", "HS", None, ["HS256"])
        },
        "HS384": jwt.encode(good, SECRET, algorithm="HS384"),
        "HS512": jwt.encode(good, SECRET, algorithm="HS512"),
        "no alg": signed(good, {"typ": "JWT"}),
        "another secret": other,
        "an empty secret": signed(good, key=""),
        "no signature": f"{head}.{payload}.",
        "no dot": "token",
        "one dot": f"{head}.{payload}",
        "five segments": f"{token}.a.b",
        "padded": f"{token}=",
        "the payload of another": f"{head}.{segment(claims(sub='bob'))}.{signature}",
        "a changed signature": f"{head}.{payload}.{'A' * len(signature)}",
        "a cut signature": token[:-2],
        "crit unknown": signed(good, header(crit=["exp"])),
        "crit b64": signed(good, header(crit=["b64"], b64=True)),
        "crit empty": signed(good, header(crit=[])),
        "b64 false": signed(good, header(b64=False, crit=["b64"])),
        **{
            f"kid {kid!r:.20}": signed(good, header(kid=kid))
            for kid in (1, None, ["1"], "x" * 10_000)
        },
        **{
            f"kid {kid!r} and another secret": signed(good, header(kid=kid), key="")
            for kid in KEY_IDS
        },
        **{
            f"alg {name} with {length} zero bytes": f"{segment(header(alg=name))}."
            f"{payload}.{segment(chr(0) * length)}"
            for name, length in (
                ("ES256", 64), ("ES256", 0), ("ES256K", 64), ("EdDSA", 64),
                ("RS256", 256), ("PS256", 256), ("HS256", 32), ("HS256", 0),
            )
        },
        "JWE": ".".join(
            [segment({"alg": "dir", "enc": "A128GCM"}), "", *["AAAA"] * 3]
        ),
        "JWE of five parts": ".".join(
            [segment({"alg": "RSA-OAEP", "enc": "A256GCM"}), *["AAAA"] * 4]
        ),
        "JWE header": signed(good, header(enc="A128GCM", alg="dir")),
        "typ of another": signed(claims(type="id"), header(typ="JOSE")),
        "JSON serialization": json.dumps(
            {"payload": payload, "protected": head, "signature": signature}
        ),
        "signed twice": signed(token),
        "alg twice": ".".join(
            [segment('{"alg":"none","alg":"HS256"}'), payload, signature]
        ),
        "two tokens": f"{token}.{token}",
        "percent-encoded": token.replace(".", "%2E"),
        "base64 of the usual kind": token.replace("-", "+").replace("_", "/") + "==",
        "of 64 KB": f"{head}.{'A' * 65_536}.{signature}",
        "of brackets": f"{segment('[' * 6000)}.{payload}.{signature}",
        "header no object": signed(good, ["HS256"]),
        "header no JSON": signed(good, "{"),
        "claims no object": signed([1]),
        "claims text": signed('"text"'),
        "claims no JSON": signed("{"),
        "claims null": signed("null"),
        "claims empty": signed({}),
        "claims nested deeply": signed("[" * 5000),
        "exp of 5000 digits": signed(raw_claims("exp", "9" * 5000)),
        **{
            f"{name} of {digits} digits": signed(raw_claims(name, "9" * digits))
            for name in ("exp", "iat", "nbf")
            for digits in (17, 308, 309, 400, 4300, 4301)
        },
        "exp 1e400": signed(raw_claims("exp", "1e400")),
        "too long by the tiniest bit": oversize(),
        "with a space": token.replace(".", " .", 1),
        "with a newline": f"{token}\t",
        "quoted": f'"{token}"',
        "not ASCII": f"{head}.é.{signature}",
    }  # fmt: skip


def oversize() -> str:
    """Return a token that is good but for its length, the shortest such."""
    length = 1
    while len(token := signed(claims(pad="x" * length))) <= 8192:
        length += max(1, (8192 - len(token)) // 2)
    return token


FORGED = forged()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    missing = tmp_path_factory.mktemp("nothing") / "missing.db"
    return Service(settings_for(f"sqlite:///{missing}"))


def authorized(service: Service, field: str | None) -> TestResponse:
    headers = {} if field is None else {"Authorization": field}
    return service.client.get(PATH, headers=headers)


def is_accepted(response: TestResponse) -> bool:
    # The path holds no id, which is found out right after the token.
    return response.status_code == 422


@pytest.fixture(scope="module")
def without_token(service: Service) -> bytes:
    return without_instance(authorized(service, None).data)


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_token_opens_nothing_and_leaves_no_trace(
    service: Service, without_token: bytes, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    caplog.set_level(logging.INFO)
    response = authorized(service, f"Bearer {FORGED[name]}")
    problem(response, 401, "unauthorized")
    assert response.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert without_instance(response.data) == without_token
    assert "TokenRefused" in caplog.text
    for part in FORGED[name].split("."):
        assert len(part) < 12 or part not in caplog.text


def test_no_beginning_of_a_token_opens_anything(service: Service) -> None:
    token = signed(claims())
    for end in range(len(token)):
        response = authorized(service, f"Bearer {token[:end]}")
        assert response.status_code == 401, end
    assert is_accepted(authorized(service, f"Bearer {token}"))


@given(data=strategies.data())
def test_no_changed_bit_goes_unnoticed(service: Service, data: DataObject) -> None:
    token = signed(claims()).encode()
    place = data.draw(strategies.integers(0, len(token) - 1))
    bit = data.draw(strategies.integers(0, 7))
    changed = bytearray(token)
    changed[place] ^= 1 << bit
    # The last character has bits that belong to no byte of the signature.
    assume(place < len(token) - 1)
    field = f"Bearer {changed.decode('latin-1')}"
    assume("\n" not in field and "\r" not in field)  # no server lets them through
    assert authorized(service, field).status_code == 401


def test_a_header_that_names_a_key_leads_nowhere(service: Service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/key"
        chosen = {"kty": "oct", "k": segment(SECRET)}
        for name, value in {
            "jku": url,
            "x5u": url,
            "jwk": {**chosen, "x5u": url},
            "x5c": [url],
        }.items():
            # Signed by whom the header names, and by us.
            for key in (secrets.token_hex(32), SECRET):
                token = signed(claims(), header(**{name: value}), key=key)
                response = authorized(service, f"Bearer {token}")
                problem(response, 401, "unauthorized")
        named = signed(claims(), header(kid=url), key=secrets.token_hex(32))
        problem(authorized(service, f"Bearer {named}"), 401, "unauthorized")
        assert is_accepted(
            authorized(service, f"Bearer {signed(claims(), header(kid=url))}")
        )
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize(
    ("claim", "offset", "accepted"),
    [
        ("exp", -29, True),
        ("exp", -30, False),
        ("exp", -31, False),
        ("exp", 0, True),
        ("nbf", 29, True),
        ("nbf", 30, True),
        ("nbf", 31, False),
        ("iat", 29, True),
        ("iat", 30, True),
        ("iat", 31, False),
        ("iat", 300, False),
        ("exp", -300, False),
    ],
)
def test_the_leeway_ends_to_the_second(
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    claim: str,
    offset: int,
    accepted: bool,  # noqa: FBT001  a column of the table
) -> None:
    moment = now()

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Clock":
            return cls.fromtimestamp(moment, tz)

    monkeypatch.setattr("jwt.api_jwt.datetime", Clock)
    token = signed(claims(**{"iat": moment, claim: moment + offset}))
    response = authorized(service, f"Bearer {token}")
    assert (response.status_code == 422, response.status_code == 401) == (
        accepted,
        not accepted,
    )


def test_a_token_that_was_accepted_ends_when_it_says(service: Service) -> None:
    token = signed(claims(exp=now() - 28))
    assert is_accepted(authorized(service, f"Bearer {token}"))
    until = time.time() + 10
    while is_accepted(authorized(service, f"Bearer {token}")):
        assert time.time() < until
    assert authorized(service, f"Bearer {token}").status_code == 401


def test_a_token_that_one_application_accepted_opens_no_other(service: Service) -> None:
    field = f"Bearer {signed(claims())}"
    assert is_accepted(authorized(service, field))
    url = service.settings.database_url
    for changed in (
        {"JWT_SECRET_KEY": secrets.token_hex(32)},
        {"JWT_AUDIENCE": "another"},
        {"JWT_REQUIRED_CLAIMS": "exp tenant"},
    ):
        other = Service(settings_for(url, **changed))
        problem(authorized(other, field), 401, "unauthorized")


def test_the_tokens_that_are_remembered_are_few_and_short() -> None:
    tokens = VerifiedTokens(lambda _: SECRET, leeway=0)
    good = Verified(header={}, claims={}, key=SECRET)
    tokens.add("a" * LONGEST, good)
    assert tokens.claims("a" * LONGEST) == {}
    tokens.add("a" * (LONGEST + 1), good)
    assert tokens.claims("a" * (LONGEST + 1)) is None
    for number in range(MOST_TOKENS):
        tokens.add(str(number), good)
    assert tokens.claims("a" * LONGEST) is None
    assert tokens.claims("0") == {}


def test_a_token_without_a_subject_names_nobody(service: Service) -> None:
    other = Service(
        settings_for(service.settings.database_url, JWT_REQUIRED_CLAIMS="exp")
    )
    token = signed(claims(sub=REMOVED))
    problem(authorized(other, f"Bearer {token}"), 401, "unauthorized")


def test_there_are_enough_forged_tokens() -> None:
    assert len(FORGED) > 150


@pytest.mark.parametrize(
    "field",
    [
        "{token}",
        "Bearer",
        "Bearer ",
        "Bearer\t{token}",
        "Bearer \t{token}",
        " Bearer {token}",
        " ,Bearer {token}",
        "Bearer {token},",
        "Bearer {token} ",
        "Bearer {token},Bearer {token}",
        "Bearer {token}, Bearer {token}",
        "Basic YTpi, Bearer {token}",
        "Bearer {token}, Basic YTpi",
        "Basic YTpi",
        "Token {token}",
        "JWT {token}",
        "Bearer: {token}",
        "Bearer token={token}",
        "Bearer {token} {token}",
        "BearerX {token}",
    ],
)
def test_only_one_field_with_one_token_counts(service: Service, field: str) -> None:
    token = signed(claims())
    problem(authorized(service, field.format(token=token)), 401, "unauthorized")


def test_two_authorization_fields_are_refused(service: Service) -> None:
    field = ("Authorization", f"Bearer {signed(claims())}")
    problem(service.client.get(PATH, headers=[field, field]), 401, "unauthorized")


def test_a_token_anywhere_else_is_none(service: Service) -> None:
    token = signed(claims())
    elsewhere = [
        EnvironBuilder(PATH, query_string={"jwt": token}),
        EnvironBuilder(PATH, query_string={"access_token": token}),
        EnvironBuilder(PATH, query_string={"token": token}),
        EnvironBuilder(PATH, headers=[("Cookie", f"access_token_cookie={token}")]),
        EnvironBuilder(PATH, headers=[("X-Access-Token", token)]),
        EnvironBuilder(PATH, headers=[("Proxy-Authorization", f"Bearer {token}")]),
        EnvironBuilder(PATH, json={"access_token": token}),
        EnvironBuilder(PATH, data={"access_token": token}),
    ]
    for place in elsewhere:
        response = service.client.open(place)
        problem(response, 401, "unauthorized")
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert token not in response.get_data(as_text=True)


@pytest.mark.parametrize(
    "scheme", ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer ", "Bearer     "]
)
def test_the_scheme_is_read_in_any_case_and_before_any_number_of_spaces(
    service: Service, scheme: str
) -> None:
    assert is_accepted(authorized(service, f"{scheme} {signed(claims())}"))


@pytest.mark.parametrize("kid", [*KEY_IDS, "x" * 5000], ids=range(len(KEY_IDS) + 1))
def test_a_key_id_is_a_hint_that_a_secret_does_not_need(
    service: Service, kid: str
) -> None:
    token = signed(claims(), header(kid=kid))
    assert is_accepted(authorized(service, f"Bearer {token}"))


@pytest.mark.parametrize(
    "good",
    [
        {},
        {"aud": ["other", "promptlooper-export"]},
        {"exp": 4_000_000_000.5},
        {"nbf": 1_700_000_000},
        {"groups": ["a", "b"]},
        {"groups": []},
        {"scope": "export:best"},
        {"experiments": [str(UUID(int=1)).upper(), UUID(int=2).hex]},
        {"extra": {"anything": [1]}},
        {"sub": "Ünïcödé"},
    ],
)
def test_a_good_token_is_accepted(service: Service, good: dict[str, object]) -> None:
    assert is_accepted(authorized(service, f"Bearer {signed(claims(**good))}"))


def test_a_long_token_is_accepted(service: Service) -> None:
    token = oversize()
    fitting = signed(claims(pad="x" * 5800))
    assert len(token) > 8192 >= len(fitting)
    assert is_accepted(authorized(service, f"Bearer {fitting}"))


def test_clocks_may_differ_by_the_leeway_only(service: Service) -> None:
    for near in ({"exp": now() - 20}, {"nbf": now() + 29}, {"iat": now() + 29}):
        assert is_accepted(authorized(service, f"Bearer {signed(claims(**near))}"))
    for far in ({"exp": now() - 31}, {"nbf": now() + 40}, {"iat": now() + 40}):
        token = signed(claims(**far))
        problem(authorized(service, f"Bearer {token}"), 401, "unauthorized")


def test_the_required_claims_can_be_those_of_another_issuer(service: Service) -> None:
    settings = settings_for(
        service.settings.database_url, JWT_REQUIRED_CLAIMS="exp sub tenant"
    )
    other = Service(settings)
    theirs = claims(type=REMOVED, jti=REMOVED, iat=REMOVED, tenant="acme")
    assert is_accepted(authorized(other, f"Bearer {signed(theirs)}"))
    problem(authorized(other, f"Bearer {signed(claims())}"), 401, "unauthorized")
    problem(authorized(service, f"Bearer {signed(theirs)}"), 401, "unauthorized")


def test_the_log_says_why_and_never_holds_the_token(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    token = signed(claims(jti=REMOVED))
    response = authorized(service, f"Bearer {token}")
    refusals = [
        r.getMessage() for r in caplog.records if "TokenRefused" in r.getMessage()
    ]
    assert len(refusals) == 1
    assert "jti is missing" in refusals[0]
    assert response.headers["X-Request-ID"] in refusals[0]
    assert token.rpartition(".")[2] not in caplog.text


def test_the_log_says_that_moments_are_in_seconds(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    token = signed(claims(exp=1000 * (now() + 3600)))
    problem(authorized(service, f"Bearer {token}"), 401, "unauthorized")
    assert "exp" in caplog.text
    assert "in seconds since 1970" in caplog.text


def test_a_secret_with_the_line_break_of_a_file_is_named(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_for(service.settings.database_url, JWT_SECRET_KEY=f"{SECRET}\n")
    other = Service(settings)
    assert "PROMPTLOOPER_JWT_SECRET_KEY" in caplog.text
    assert "ends with a line break" in caplog.text
    assert SECRET not in caplog.text
    # It is part of the key all the same.
    assert is_accepted(authorized(other, bearer(settings)["Authorization"]))
    problem(authorized(other, f"Bearer {signed(claims())}"), 401, "unauthorized")


def test_an_issued_token_carries_what_it_was_asked_for(service: Service) -> None:
    token = issue(
        service.settings,
        subject="bob",
        groups=("a", "b"),
        scopes=("export:best", "export:admin"),
        experiments=(UUID(int=7),),
        expires=timedelta(minutes=5),
    )
    payload = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert payload["sub"] == "bob"
    assert payload["groups"] == ["a", "b"]
    assert payload["scope"] == "export:best export:admin"
    assert payload["experiments"] == [str(UUID(int=7))]
    assert payload["exp"] - payload["iat"] == 300
    assert is_accepted(authorized(service, f"Bearer {token}"))


def test_two_issued_tokens_differ(service: Service) -> None:
    assert bearer(service.settings) != bearer(service.settings)
