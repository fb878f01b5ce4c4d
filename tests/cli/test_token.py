import secrets
import time
from uuid import uuid4

import jwt
import pytest

from cli.console import Console

SECRET = secrets.token_hex(32)


@pytest.fixture
def signer(bare: Console) -> Console:
    return Console(
        directory=bare.directory, environ=bare.environment(JWT_SECRET_KEY=SECRET)
    )


def claims(token: bytes) -> dict[str, object]:
    decoded: dict[str, object] = jwt.decode(
        token.decode().strip(),
        SECRET,
        algorithms=["HS256"],
        audience="promptlooper-export",
        issuer="promptlooper",
    )
    return decoded


def test_just_the_token_is_printed(signer: Console) -> None:
    done = signer.run("token", "--subject", "ada")
    assert done.returncode == 0
    assert done.stderr == b""
    assert done.stdout.count(b"\n") == 1
    found = claims(done.stdout)
    assert found["sub"] == "ada"
    assert float(str(found["exp"])) - time.time() == pytest.approx(3600, abs=60)


def test_a_token_says_what_its_bearer_may(signer: Console) -> None:
    experiment = str(uuid4())
    arguments = ["--group", "a", "--group", "b", "--scope", "export:best"]
    arguments += ["--experiment", experiment, "--expires", "2d"]
    found = claims(signer.run("token", "--subject", "ada", *arguments).stdout)
    assert found["groups"] == ["a", "b"]
    assert found["scope"] == "export:best"
    assert found["experiments"] == [experiment]
    assert float(str(found["exp"])) - time.time() == pytest.approx(172_800, abs=60)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--subject", ""],
        ["--subject", "ada", "--expires", "soon"],
        ["--subject", "ada", "--expires", "0h"],
        ["--subject", "ada", "--expires", "367d"],
        ["--subject", "ada", "--expires", "99999d"],
        ["--subject", "ada", "--experiment", "seven"],
    ],
)
def test_a_token_that_would_open_nothing_is_a_usage_error(
    signer: Console, arguments: list[str]
) -> None:
    done = signer.run("token", *arguments)
    assert done.returncode == 2
    assert done.stdout == b""


def test_without_a_secret_there_is_no_token(bare: Console) -> None:
    done = bare.run("token", "--subject", "ada")
    assert done.returncode == 78
    assert b"PROMPTLOOPER_JWT_SECRET_KEY is not set" in done.stderr


def test_an_unknown_scope_is_a_usage_error(signer: Console) -> None:
    done = signer.run("token", "--subject", "ada", "--scope", "export:everything")
    assert done.returncode == 2
    assert b"export:best" in done.stderr
