"""The image and the manifest of the documentation, as far as files tell."""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Any

import kubernetes_validate
import pytest
import yaml

from cli.console import run_here
from promptlooper_export.settings import SETTINGS, load
from servers import ROOT
from webservice import SECRET, Service

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
INSTRUCTIONS = DOCKERFILE.replace("\\\n", "").splitlines()
LIVE = b"GET /health/live HTTP/1.1\r\n"


def instruction(name: str) -> list[str]:
    """Return the words of the image's last instruction of this name."""
    found = [line for line in INSTRUCTIONS if line.startswith(f"{name} ")]
    words: list[str] = json.loads(found[-1][found[-1].index("[") :])
    return words


@pytest.mark.parametrize(
    ("family", "address", "settings"),
    [
        (socket.AF_INET, ("127.0.0.1", 0), {"BIND": "127.0.0.1:{port}"}),
        (socket.AF_INET, ("127.0.0.1", 0), {"BIND": "0.0.0.0:{port}"}),
        (socket.AF_INET6, ("::1", 0), {"BIND": "[::]:{port}"}),
        (socket.AF_UNIX, "bind", {"BIND": "unix:{folder}/bind"}),
        (
            socket.AF_INET,
            ("127.0.0.1", 0),
            {"BIND": "unix:/nowhere", "ADMIN_BIND": "127.0.0.1:{port}"},
        ),
        (
            socket.AF_INET,
            ("127.0.0.1", 0),
            {"BIND": "127.0.0.1:{port}", "ADMIN_BIND": ""},
        ),
    ],
)
@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_health_check_asks_where_the_service_listens(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    family: socket.AddressFamily,
    address: Any,  # noqa: ANN401  of whatever form the family has
    settings: dict[str, str],
    status: int,
    code: int,
) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    with socket.socket(family) as listener:
        listener.bind(address)
        listener.listen()
        port = 0 if family == socket.AF_UNIX else listener.getsockname()[1]
        asked: list[bytes] = []

        def answer() -> None:
            with listener.accept()[0] as client:
                asked.append(client.recv(4096))
                client.sendall(b"HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n" % status)

        thread = Thread(target=answer)
        thread.start()
        done = subprocess.run(
            [sys.executable, *instruction("HEALTHCHECK")[1:]],
            env={
                f"PROMPTLOOPER_{name}": bind.format(port=port, folder=tmp_path)
                for name, bind in settings.items()
            },
            check=False,
            timeout=30,
        )
        thread.join()
    assert done.returncode == code
    assert asked[0].startswith(LIVE)


def test_the_image_serves_by_default_and_runs_any_other_command() -> None:
    assert instruction("ENTRYPOINT") == ["promptlooper-export"]
    for command in (instruction("CMD"), ["doctor"], ["migrate"]):
        assert run_here(*command, "--help").exit_code == 0


def test_the_base_of_the_image_cannot_change() -> None:
    [base] = re.findall(r"^ARG PYTHON_IMAGE=(.*)$", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(r"python:[\w.-]+@sha256:[0-9a-f]{64}", base)
    bases = [line for line in INSTRUCTIONS if line.startswith("FROM ")]
    assert all(line.startswith("FROM ${PYTHON_IMAGE}") for line in bases)


def test_kubernetes_takes_the_manifest_and_the_service_its_settings() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^```yaml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    manifest = yaml.safe_load(block)
    kubernetes_validate.validate(manifest, "1.30", strict=True)
    pod = manifest["spec"]["template"]["spec"]
    [container] = pod["containers"]
    needed = {
        "PROMPTLOOPER_DATABASE_URL": "sqlite:///missing.db",
        "PROMPTLOOPER_JWT_SECRET_KEY": SECRET,
    }
    variables = {row["name"]: row["value"] for row in container["env"]}
    service = Service(load(needed | variables))
    named = set(re.findall(r"PROMPTLOOPER_\w+", block))
    assert named <= {setting.variable for setting in SETTINGS}
    path = container["livenessProbe"]["httpGet"]["path"]
    assert service.client.get(path).status_code == 200
    path = container["readinessProbe"]["httpGet"]["path"]
    assert service.client.get(path).status_code == 503  # there is no database
    assert f"EXPOSE {container['ports'][0]['containerPort']}" in INSTRUCTIONS
