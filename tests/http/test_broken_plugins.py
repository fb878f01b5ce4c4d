"""What other people's packages do wrong fails for their own format, and no other."""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import plugins
from builders import experiment, run
from cli.console import on_sqlite
from databases import Database
from processes import exists, wait_until
from webservice import Service, problem, settings_for, without_clock

pytestmark = on_sqlite

BUILT_IN = ("json", "env", "yaml", "markdown")

RENDERERS = {
    "raises": "def render(best):\n    raise ValueError('for some reason')",
    "raises_late": "def render(best):\n    yield b'x'\n    raise ValueError",
    "returns_none": "def render(best):\n    return None",
    "returns_text": "def render(best):\n    return 'text'",
    "yields_text": "def render(best):\n    yield 'text'",
    "yields_numbers": "def render(best):\n    yield from (1, 2)",
    "not_iterable": "def render(best):\n    return 7",
    "exits": "import sys\ndef render(best):\n    sys.exit(0)\n    yield b''",
    "exits_at_once": "import os\ndef render(best):\n    os._exit(0)\n    yield b''",
    "interrupts": "def render(best):\n    raise KeyboardInterrupt",
    "kills_itself": (
        "import os\ndef render(best):\n    yield b'x'\n    os.kill(os.getpid(), 9)"
    ),
    "recurses": "def render(best):\n    yield from render(best)",
    "crashes": "import ctypes\ndef render(best):\n    ctypes.string_at(0)",
    "takes_all_memory": "def render(best):\n    yield bytes(4 << 30)",
    "gives_bad_notices": (
        "def render(best):\n    yield Notice(code=1, message=object())"
    ),
    "gives_endless_notices": (
        "def render(best):\n    while True: yield Notice(code='a', message='b')"
    ),
    "refuses_nonsense": (
        "def render(best):\n    raise UnrepresentableError(7, paths=(object(),))"
    ),
    "cannot_be_described": """
class Unspeakable(Exception):
    def __str__(self): raise RuntimeError
    __repr__ = __str__
def render(best):
    raise Unspeakable
""",
    "writes_junk": """
import os
def render(best):
    for descriptor in range(3, 20):
        try: os.write(descriptor, b'junk' * 100)
        except OSError: pass
    yield b'x'
""",
}
"""Renderers of formats that must end with the problem format-failed."""

ENDLESS = {
    "never_returns": "def render(best):\n    while True: pass",
    "sleeps": "import time\ndef render(best):\n    time.sleep(600)\n    yield b''",
    "never_ends": "def render(best):\n    while True: yield b''",
    "ignores_signals": """
import signal, time
def render(best):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    time.sleep(600)
    yield b''
""",
}
"""Renderers of formats that must end with the problem format-timeout."""

HARMLESS = {
    "prints": (
        "import os\ndef render(best):\n    print('a'); os.write(1, b'b'); yield b'ok'"
    ),
    "mutates": """
def render(best):
    best.config.clear(); best.scores.clear(); object.__setattr__(best, 'run_id', 0)
    yield b'ok'
""",
    "turns_everything_over": """
import locale, os, signal, sys, threading, time, warnings
def render(best):
    os.chdir('/'); os.environ['LANG'] = 'C'; sys.path.clear(); os.umask(0o777)
    signal.signal(signal.SIGTERM, signal.SIG_IGN); warnings.simplefilter('error')
    sys.setrecursionlimit(60); sys.modules['json'] = None
    threading.Thread(target=time.sleep, args=(600,)).start()
    yield b'ok'
""",
    "leaves_a_child": """
import subprocess
def render(best):
    child = subprocess.Popen(['sleep', '600'])
    yield str(child.pid).encode()
""",
    "gives_it_whole": "def render(best):\n    return b'ok'",
    "gives_huge_pieces": "def render(best):\n    yield bytes(40 << 20)",
}
"""Renderers that do what they should not, or seldom do, and yet give a body."""

MODULES = {
    name: f'{text}\nFORMAT = declare("{name.replace("_", "-")}", render)\n'
    for name, text in (RENDERERS | ENDLESS | HARMLESS).items()
}
MODULES["bad_options"] = """
from marshmallow import Schema, fields
def check(value):
    raise KeyError(value)
class Options(Schema):
    level = fields.String(load_default="1", validate=check)
def render(best, *, level):
    yield b"never"
FORMAT = declare("bad-options", render, options=Options)
"""
MODULES["typed_options"] = """
import datetime, decimal, enum, math, uuid
from marshmallow import Schema, fields
from marshmallow.validate import OneOf, Range
class Colour(enum.Enum):
    RED = 1
TENTH = decimal.Decimal("0.1")
DAY = datetime.date(2026, 1, 1)
class Options(Schema):
    whole = fields.Integer(validate=OneOf([1, 2]))
    exact = fields.Decimal(validate=OneOf([TENTH]), load_default=TENTH)
    day = fields.Date(validate=OneOf([DAY]))
    since = fields.Date(validate=Range(DAY))
    identifier = fields.UUID(validate=OneOf([uuid.UUID(int=1)]))
    colour = fields.Enum(Colour, load_default=Colour.RED)
    data = fields.Raw(validate=OneOf([b"x", object()]))
    size = fields.Float(validate=Range(0, math.inf), load_default=math.inf)
    made = fields.Integer(load_default=lambda: 7)
def render(best, **options):
    yield b"ok"
FORMAT = declare("typed-options", render, options=Options)
"""


class Planted(Service):
    """A service beside the planted packages, with one experiment."""

    def __init__(self, database: Database, folder: Path) -> None:
        super().__init__(
            settings_for(database.url, RENDER_TIMEOUT="2", SPOOL_DIR=str(folder))
        )
        loaded = experiment(run({"accuracy": 1.0}, config={"model": "small"}))
        database.load(loaded)
        self.path = f"/experiments/{loaded.id}/export?format="

    def bodies(self) -> list[bytes]:
        """Return what the built-in formats give, but for the moment in it."""
        answers = [self.ask(f"{self.path}{name}") for name in BUILT_IN]
        assert [answer.status_code for answer in answers] == [200] * len(BUILT_IN)
        return [without_clock(answer.data) for answer in answers]


@pytest.fixture
def planted(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Planted:
    plugins.install(tmp_path / "site", MODULES)
    monkeypatch.syspath_prepend(tmp_path / "site")
    return Planted(database, tmp_path)


@pytest.mark.parametrize("name", [row.replace("_", "-") for row in RENDERERS])
def test_a_format_that_fails_is_named_and_others_go_on(
    planted: Planted, name: str
) -> None:
    before = planted.bodies()
    document = problem(planted.ask(planted.path + name), 500, "format-failed")

    assert document["format"] == name
    assert repr(name) in document["detail"]
    assert planted.bodies() == before


def test_a_format_whose_options_fail_is_named(planted: Planted) -> None:
    refused = planted.ask(f"{planted.path}bad-options&level=2")

    assert problem(refused, 500, "format-failed")["format"] == "bad-options"


@pytest.mark.parametrize("value", ["nonsense", "9" * 400, "9" * 5000, "1e999", "NaN"])
@pytest.mark.parametrize(
    "option",
    ["whole", "exact", "day", "since", "identifier", "colour", "data", "size"],
)
def test_a_value_that_a_typed_option_refuses_is_named(
    planted: Planted, option: str, value: str
) -> None:
    refused = planted.ask(f"{planted.path}typed-options&{option}={value}")

    assert problem(refused, 422, "invalid-parameter")["parameter"] == option


def test_typed_options_are_described_in_plain_json(planted: Planted) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    described = [
        json.loads(planted.client.get(path).data, parse_constant=refuse)
        for path in ("/formats", "/openapi.json")
    ]
    [options] = [
        row["options"]
        for row in described[0]["formats"]
        if row["name"] == "typed-options"
    ]
    rows = {row["name"]: row for row in options}

    assert rows["whole"]["allowed"] == [1, 2]
    assert rows["exact"]["allowed"] == ["0.1"]
    assert rows["since"]["allowed"] == {"minimum": "2026-01-01", "maximum": None}
    assert "default" not in rows["made"]
    assert planted.client.get("/docs").status_code == 200


@pytest.mark.parametrize("name", [row.replace("_", "-") for row in ENDLESS])
def test_a_format_that_does_not_end_is_ended(planted: Planted, name: str) -> None:
    before = planted.bodies()
    document = problem(planted.ask(planted.path + name), 504, "format-timeout")

    assert document["format"] == name
    assert planted.bodies() == before


def test_nothing_that_a_renderer_does_stays(
    planted: Planted, capfd: pytest.CaptureFixture[str]
) -> None:
    before = planted.bodies(), os.getcwd(), dict(os.environ), list(sys.path)  # noqa: PTH109
    answers = {
        name: planted.ask(planted.path + name.replace("_", "-")) for name in HARMLESS
    }

    assert {name: row.status_code for name, row in answers.items()} == dict.fromkeys(
        HARMLESS, 200
    )
    for name in ("prints", "mutates", "turns_everything_over", "gives_it_whole"):
        assert answers[name].data == b"ok"
    assert answers["gives_huge_pieces"].data == bytes(40 << 20)
    left = int(answers["leaves_a_child"].data)
    wait_until(lambda: not exists(left))
    after = planted.bodies(), os.getcwd(), dict(os.environ), list(sys.path)  # noqa: PTH109
    assert after == before
    assert capfd.readouterr().out == ""


def test_a_slow_format_holds_nobody_up(planted: Planted) -> None:
    def ended(name: str) -> tuple[float, int]:
        answer = planted.ask(planted.path + name)
        return time.monotonic(), answer.status_code

    with ThreadPoolExecutor() as threads:
        slow = threads.submit(ended, "never-returns")
        quick = [threads.submit(ended, name) for name in ("gives-it-whole", "json")]

        assert [row.result()[1] for row in quick] == [200, 200]
        assert slow.result()[1] == 504
        assert max(row.result()[0] for row in quick) < slow.result()[0]
