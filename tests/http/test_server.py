"""The service as gunicorn serves it, over a real socket."""

import subprocess
import sys
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from builders import experiment, run
from databases import Database
from servers import ROOT, environment, gunicorn
from webservice import SECRET, bearer, settings_for


def ask(
    port: int, path: str, *headers: tuple[str, str], method: str = "GET"
) -> tuple[HTTPResponse, bytes]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return response, response.read()


def test_gunicorn_serves_what_the_contract_says(database: Database) -> None:
    loaded = experiment(run({"accuracy": 1.0}, config={"prompt": "x" * (3 << 20)}))
    database.load(loaded)
    path = f"/experiments/{loaded.id}/export"
    token = bearer(settings_for(database.url))["Authorization"]
    authorization = ("Authorization", token)
    with gunicorn(environment(database.url)) as server:
        port = server.port
        live, body = ask(port, "/health/live")
        assert (live.status, body) == (200, b'{"status":"live"}\n')
        assert ask(port, "/health/ready")[0].status == 200

        found, body = ask(port, path, authorization)
        assert found.status == 200
        assert found.headers["Content-Length"] == str(len(body))
        assert len(body) > 3 << 20
        assert "Transfer-Encoding" not in found.headers

        head, body = ask(port, path, authorization, method="HEAD")
        assert (head.status, body) == (200, b"")
        assert head.headers["Content-Type"] == found.headers["Content-Type"]

        accepts = ("Accept", "image/png"), ("Accept", "text/plain")
        joined, _ = ask(port, path, authorization, *accepts)
        assert joined.headers["Content-Type"] == "text/plain; charset=utf-8"

        assert ask(port, path)[0].status == 401
        assert ask(port, path, authorization, authorization)[0].status == 401
        spelled = ("authorization", token.replace("Bearer", "bearer"))
        assert ask(port, path, spelled)[0].status == 200
        assert ask(port, "/experiments/%00/export", authorization)[0].status == 422
        assert ask(port, path, authorization, method="POST")[0].status == 405
        assert ask(port, f"{path}?format=env", authorization)[0].status == 200
        assert "Traceback" not in server.log


def test_a_token_of_8_kib_reaches_the_service(tmp_path: Path) -> None:
    settings = settings_for(f"sqlite:///{tmp_path / 'missing.db'}")

    def field(size: int) -> str:
        """Return the field with a token of that many bytes, up to 2 fewer."""
        shortest = len(bearer(settings, subject="x")["Authorization"])
        padding = "x" * ((len("Bearer ") + size - shortest) * 3 // 4 + 1)
        return bearer(settings, subject=padding)["Authorization"]

    with gunicorn(environment(settings.database_url)) as server:
        for size, status in ((8170, 422), (8192, 422), (8300, 431)):
            sent = field(size)
            assert 0 <= len("Bearer ") + size - len(sent) <= 2
            path = "/experiments/no-id/export"
            answer, _ = ask(server.port, path, ("Authorization", sent))
            assert answer.status == status, size


@pytest.mark.parametrize(
    ("arguments", "code"), [([], 78), (["--config", "/dev/null"], 3)]
)
def test_sync_workers_are_refused(
    tmp_path: Path, arguments: list[str], code: int
) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "gunicorn", "--bind=127.0.0.1:0"),
            *("--worker-class=sync", *arguments, "wsgi:app"),
        ],
        cwd=ROOT,
        env=environment(f"sqlite:///{tmp_path / 'missing.db'}"),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert done.returncode == code
    assert "gunicorn's sync workers serve one client at a time" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        {"PROMPTLOOPER_JWT_SECRET_KEY": ""},
        {"PROMPTLOOPER_JWT_SECRET_KEY": "secret" * 10},
        {"PROMPTLOOPER_JWT_SECRET": SECRET},
        {"PROMPTLOOPER_THREADS": "many"},
        {"PROMPTLOOPER_DATABASE_URL": "mysql://nowhere"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_wrong_settings_end_gunicorn_with_one_line(
    tmp_path: Path, wrong: dict[str, str]
) -> None:
    database = Database(kind="sqlite", url=f"sqlite:///{tmp_path / 'missing.db'}")
    done = subprocess.run(
        [sys.executable, "-m", "gunicorn", "--bind=127.0.0.1:0", "wsgi:app"],
        cwd=ROOT,
        env=environment(database.url) | wrong,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert done.returncode == 78
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert next(iter(wrong)) in done.stderr
