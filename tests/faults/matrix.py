"""Every way to lose a part of an export, on every way that it takes to its reader."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from urllib.parse import urlencode

from faults import formats
from faults.injector import Injector, close, injector, reset
from faults.receiving import VERSIONS, judge
from promptlooper_export.proof import Verdict
from served import Served, served
from servers import DEFAULT, PROXIES, SHIPPED, gunicorn, proxy

CODINGS = ("identity", "gzip")
FORMATS = ("json", "env", "yaml", "markdown", "sized")
LARGE = 16 << 20
"""More than the kernel keeps for a server that has died."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """A way from the service to a client, with an injector on both sides of a proxy."""

    name: str
    port: int
    near_service: Injector
    near_client: Injector


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the verifier said; `good` is whether nothing was lost."""

    route: str
    version: str
    fault: str
    good: bool
    verdict: Verdict

    @property
    def right(self) -> bool:
        """Whether the verifier told the truth."""
        return self.verdict.complete is self.good


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A running service with one experiment, and the ways to it."""

    service: Served
    folder: Path
    routes: Sequence[Route]

    def ask(
        self,
        route: Route,
        version: str,
        fault: str = "none",
        coding: str = "identity",
        **query: str | int,
    ) -> Outcome:
        """Ask for an export; `fault` is what is about to happen to it."""
        verdict = judge(
            route.port,
            f"{self.service.path}?{urlencode(query)}",
            {**self.service.fields, "Accept-Encoding": coding},
            version,
        )
        return Outcome(
            route=route.name,
            version=version,
            fault=fault,
            good=fault == "none",
            verdict=verdict,
        )

    def signal(self, number: signal.Signals) -> None:
        """Signal the only worker; gunicorn starts another one when it dies."""
        for worker in self.service.server.workers():
            os.kill(worker, number)

    def kill(self, _: socket) -> bool:
        """Kill the worker; what it has sent so far still arrives."""
        self.signal(signal.SIGKILL)
        return False


@contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    """Serve an experiment from a folder of its own, directly and behind each proxy."""
    site = folder / "site"
    formats.install(site)
    with ExitStack() as stack:
        service = stack.enter_context(
            served(folder, prompt="Be brief. " * 200, site=str(site), WORKERS="1")
        )
        yield Bench(
            service=service,
            folder=folder,
            routes=routes(stack, service.server.port, folder),
        )


def routes(stack: ExitStack, port: int, folder: Path) -> list[Route]:
    """Open the direct way, and one through each proxy in each configuration."""
    direct = stack.enter_context(injector(port))
    found = [
        Route(name="direct", port=direct.port, near_service=direct, near_client=direct)
    ]
    for name in PROXIES:
        for kind, configs in (("default", DEFAULT), ("shipped", SHIPPED)):
            inner = stack.enter_context(injector(port))
            between = stack.enter_context(
                proxy(name, configs[name], inner.port, folder / f"{name}-{kind}")
            )
            outer = stack.enter_context(injector(between.port))
            found.append(
                Route(
                    name=f"{name} {kind}",
                    port=outer.port,
                    near_service=inner,
                    near_client=outer,
                )
            )
    return found


def good_answers(bench: Bench) -> Iterator[Outcome]:
    """Ask for each format on each way, and lose nothing."""
    for route in bench.routes:
        for version in VERSIONS:
            for coding in CODINGS:
                for name in FORMATS:
                    yield bench.ask(route, version, coding=coding, format=name)


def cuts(bench: Bench, *, pieces: int | None) -> Iterator[Outcome]:
    """Cut answers at every tenth byte, or at the ends of so many pieces.

    The last cut comes after the last byte, where it takes nothing away.
    """
    for route in bench.routes:
        for side in ("service", "client"):
            at: Injector = getattr(route, f"near_{side}")
            if side == "service" and route.near_service is route.near_client:
                continue
            for version in VERSIONS:
                for coding in CODINGS:
                    yield from _cuts(bench, route, version, coding, side, at, pieces)


def _cuts(
    bench: Bench,
    route: Route,
    version: str,
    coding: str,
    side: str,
    at: Injector,
    pieces: int | None,
) -> Iterator[Outcome]:
    whole = bench.ask(route, version, coding=coding, format="sized")
    yield whole
    total = at.passed
    step = 10 if pieces is None else total // pieces
    for number, after in enumerate([*range(0, total, step), total - 1, total]):
        kind, strike = (("closed", close), ("reset", reset))[number % 2]
        fault = f"{kind} near the {side}" if after < total else "none"
        with at.armed(strike, after):
            yield bench.ask(route, version, fault, coding=coding, format="sized")


def failures(bench: Bench) -> Iterator[Outcome]:
    """Let a format raise, and kill the worker while it renders and while it sends."""
    for route in bench.routes:
        for version in VERSIONS:
            yield bench.ask(route, version, "format raises", format="raising")
            yield _killed_while_rendering(bench, route, version)
            with route.near_service.armed(bench.kill, 1 << 20):
                yield bench.ask(
                    route, version, "killed sending", format="sized", size=LARGE
                )


def _killed_while_rendering(bench: Bench, route: Route, version: str) -> Outcome:
    marker = bench.folder / "rendering"
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(
            bench.ask,
            route,
            version,
            "killed rendering",
            format="waiting",
            marker=str(marker),
        )
        while not asked.done():  # Caddy asks again, where it may
            time.sleep(0.01)
            if marker.exists():
                bench.signal(signal.SIGSTOP)
                marker.unlink()
                bench.signal(signal.SIGKILL)
        return asked.result()


def streams(folder: Path) -> Iterator[Outcome]:
    """Ask for streams without a length: nothing is lost, and nothing proves it."""
    environ = {"PATH": os.environ["PATH"]}
    here = Path(__file__).parent
    with ExitStack() as stack:
        server = stack.enter_context(gunicorn(environ, "stream:app", here))
        for route in routes(stack, server.port, folder):
            for version in VERSIONS:
                yield Outcome(
                    route=route.name,
                    version=version,
                    fault="no length",
                    good=False,
                    verdict=judge(route.port, "/", {}, version),
                )
