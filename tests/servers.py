"""Real servers on real sockets: the service under gunicorn, and proxies before it."""

import os
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from webservice import SECRET

ROOT = Path(__file__).parents[1]
HOST = "127.0.0.1"
PROXIES = ("nginx", "haproxy", "caddy")

DEFAULT = {
    "nginx": "server { listen 80; location / { proxy_pass http://127.0.0.1:8000; } }",
    "haproxy": textwrap.dedent("""
        defaults
            mode http
            timeout connect 5s
            timeout client 30s
            timeout server 30s
        frontend public
            bind :80
            default_backend exports
        backend exports
            server service 127.0.0.1:8000
        """),
    "caddy": ":80 { \n reverse_proxy 127.0.0.1:8000 \n }\n",
}
"""The least that makes each proxy pass requests on: all else is as it comes."""

SHIPPED = {
    "nginx": (ROOT / "deploy" / "nginx.conf").read_text(),
    "haproxy": (ROOT / "deploy" / "haproxy.cfg").read_text(),
    "caddy": (ROOT / "deploy" / "Caddyfile").read_text(),
}
"""What users are told to begin with."""

_NGINX = """
    daemon off; pid {folder}/nginx.pid; error_log stderr; {user}
    events {{ }}
    http {{
        access_log off;
        client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
        fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
        scgi_temp_path {folder}/scgi;
        {site}
    }}
"""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running server."""

    port: int
    process: subprocess.Popen[bytes]
    output: IO[bytes]

    @property
    def log(self) -> str:
        """All that it has written so far."""
        self.output.flush()
        return Path(self.output.name).read_text(encoding="utf-8")

    def workers(self) -> list[int]:
        """Return the ids of its child processes."""
        parent = self.process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text()
        return [int(child) for child in children.split()]


def environment(url: str, secret: str = SECRET, **settings: str) -> dict[str, str]:
    """Return the whole environment of a service; keywords are further settings."""
    rows = {
        "DATABASE_URL": url,
        "JWT_SECRET_KEY": secret,
        "LOG_FORMAT": "json",
        **settings,
    }
    named = {f"PROMPTLOOPER_{name}": value for name, value in rows.items()}
    return {"PATH": os.environ["PATH"], **named}


@contextmanager
def gunicorn(
    environ: Mapping[str, str],
    app: str = "wsgi:app",
    folder: Path = ROOT,
    before: Sequence[str] = (),
) -> Iterator[Server]:
    """Run gunicorn on an inherited socket, so that the port is known and open.

    `before` is a command that runs it. It must end well.
    """
    with socket.create_server((HOST, 0), backlog=256) as listener:
        command = [*before, sys.executable, "-m", "gunicorn"]
        command += ["--bind", f"fd://{listener.fileno()}", app]
        port = listener.getsockname()[1]
        with _running(
            command, port, environ, folder=folder, inherited=[listener.fileno()]
        ) as server:
            yield server
    assert server.process.returncode == 0, server.log


@contextmanager
def proxy(name: str, config: str, upstream: int, folder: Path) -> Iterator[Server]:
    """Run a proxy with a configuration from port 80 to 8000, moved to other ports."""
    port = _free_port()
    moved = config.replace("127.0.0.1:8000", f"{HOST}:{upstream}")
    file = folder / "config"
    folder.mkdir(parents=True)
    command: list[str | Path]
    if name == "nginx":
        moved = moved.replace("listen 80;", f"listen {HOST}:{port};")
        user = "user root;" if os.geteuid() == 0 else ""
        moved = _NGINX.format(folder=folder, user=user, site=moved)
        command = ["nginx", "-c", file, "-p", folder, "-e", "stderr"]
    elif name == "varnish":
        # Started by root, it would become a user who cannot read the folder.
        command = ["varnishd", "-F", "-n", folder / "state", "-f", file]
        command += ["-a", f"{HOST}:{port}", "-s", "malloc,16m", "-j", "none"]
    elif name == "haproxy":
        moved = moved.replace("bind :80", f"bind {HOST}:{port}")
        command = ["haproxy", "-db", "-f", file]
    else:
        moved = moved.replace(":80 {", f"http://:{port} {{")
        command = ["caddy", "run", "--adapter", "caddyfile", "--config", file]
    file.write_text(moved)
    environ = {
        "PATH": f"{os.environ['PATH']}:/usr/sbin",  # where Debian keeps servers
        "HOME": str(folder),
        "CADDY_ADMIN": f"unix/{folder}/admin.sock",
    }
    with _running(command, port, environ, folder=folder) as server:
        _wait_until_open(server)
        yield server


@contextmanager
def _running(
    command: Sequence[str | Path],
    port: int,
    environ: Mapping[str, str],
    *,
    folder: Path,
    inherited: Sequence[int] = (),
) -> Iterator[Server]:
    """Run a server until the block ends, then ask it to end, too."""
    with ExitStack() as stack:
        output = stack.enter_context(tempfile.NamedTemporaryFile())
        process = stack.enter_context(
            subprocess.Popen(
                command,
                cwd=folder,
                env=environ,
                pass_fds=inherited,
                stdout=output,
                stderr=output,
            )
        )
        server = Server(port=port, process=process, output=output)
        try:
            yield server
        finally:
            process.terminate()
            try:
                process.wait(60)
            finally:
                process.kill()


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait_until_open(server: Server) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        try:
            socket.create_connection((HOST, server.port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(server.log)
