"""A real browser runs nothing that a report quotes."""

import re
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from builders import experiment, run
from cli.console import on_sqlite
from databases import Database
from webservice import Service, settings_for

VECTORS = """
<script>fetch('/PLACE')</script>
<script src=/PLACE></script>
<script type=module>import '/PLACE'</script>
</script><script>fetch('/PLACE')</script>
</style><script>fetch('/PLACE')</script>
</title><script>fetch('/PLACE')</script>
</textarea><script>fetch('/PLACE')</script>
--><script>fetch('/PLACE')</script><!--
]]><script>fetch('/PLACE')</script>
"><script>fetch('/PLACE')</script>
'><img src=/PLACE>
" onmouseover="fetch('/PLACE')" autofocus onfocus="fetch('/PLACE')
<img src=x onerror=fetch('/PLACE')>
<img src=/PLACE>
<svg onload=fetch('/PLACE')>
<svg><script>fetch('/PLACE')</script></svg>
<svg><use href=/PLACE#a></svg>
<body onload=fetch('/PLACE')>
<input autofocus onfocus=fetch('/PLACE')>
<details open ontoggle=fetch('/PLACE')>
<video src=/PLACE autoplay></video>
<audio src=/PLACE autoplay></audio>
<iframe src=/PLACE></iframe>
<iframe srcdoc="<script>fetch('/PLACE')</script>"></iframe>
<object data=/PLACE></object>
<embed src=/PLACE>
<link rel=stylesheet href=/PLACE>
<link rel=prefetch href=/PLACE>
<style>@import '/PLACE';</style>
<style>body{background:url(/PLACE)}</style>
<p style="background:url(/PLACE)">
<meta http-equiv=refresh content="0;url=/PLACE">
<base href=/PLACE/>
<form action=/PLACE><input type=submit autofocus></form>
<math><mtext><script>fetch('/PLACE')</script></mtext></math>
<template><script>fetch('/PLACE')</script></template>
<noscript><img src=/PLACE></noscript>
\x3cscript>fetch('/PLACE')\x3c/script>
&lt;script&gt;fetch('/PLACE')&lt;/script&gt;
${fetch('/PLACE')}
{{constructor.constructor("fetch('/PLACE')")()}}
""".strip().splitlines()


@contextmanager
def site(
    pages: Mapping[str, tuple[bytes, dict[str, str]]],
) -> Iterator[tuple[str, set[str]]]:
    """Serve pages; give the URL, and the paths that were asked for besides."""
    others: set[str] = set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body, fields = pages.get(self.path, (b"", {}))
            if self.path not in pages:
                others.add(self.path)
            self.send_response(200 if self.path in pages else 404)
            for name, value in fields.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", others
        finally:
            server.shutdown()
            thread.join()


def visit(url: str, folder: Path) -> str:
    """Open a page as a browser does, and return what became of it."""
    command = ["chromium-headless-shell", "--no-sandbox", "--disable-gpu"]
    command += [f"--user-data-dir={folder}", "--virtual-time-budget=2000"]
    done = subprocess.run(
        [*command, "--dump-dom", url], capture_output=True, check=True, timeout=60
    )
    return done.stdout.decode()


@on_sqlite
def test_a_browser_runs_and_loads_nothing_of_a_report(
    database: Database, tmp_path: Path
) -> None:
    marked = [row.replace("PLACE", f"v{i}") for i, row in enumerate(VECTORS)]
    every = "\n".join(marked)
    loaded = experiment(
        *(
            run(
                {f"s{text}": 0.5 + number / 100},
                config={f"k{text}": text, "prompt": text},
                name=text,
                error=text,
                tags=[text],
            )
            for number, text in enumerate(marked)
        ),
        name=every,
        description=every,
    )
    database.load(loaded)
    service = Service(settings_for(database.url))
    answer = service.ask(f"/experiments/{loaded.id}/export?format=html&top_n=50")
    assert answer.status_code == 200
    guarded = {
        name: value
        for name, value in answer.headers.items()
        if name.startswith(("Content-Type", "Content-Sec"))
    }
    bare = {"Content-Type": "text/html; charset=utf-8"}
    planted = f"<!doctype html><title>x</title>{every}".encode()
    pages = {
        "/guarded": (answer.data, guarded),
        # Its text alone must not run either, without the policy.
        "/alone": (answer.data, bare),
        "/planted": (planted, bare),
    }
    with site(pages) as (url, others):
        for page in ("/guarded", "/alone"):
            shown = visit(url + page, tmp_path / "profile")
            assert "<h1" in shown
            assert {path for path in others if re.match("/v[0-9]", path)} == set()
        visit(f"{url}/planted", tmp_path / "profile")
        # The vectors do work where nobody stops them.
        assert len({path for path in others if re.match("/v[0-9]", path)}) > 5
