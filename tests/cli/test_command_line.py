import signal
import subprocess
import sys

import click
import pytest

from cli.console import COMMAND, Console
from promptlooper_export import __version__
from promptlooper_export.cli.main import COMMANDS, promptlooper_export
from promptlooper_export.settings import SETTINGS

HEAVY = {"flask", "werkzeug", "peewee", "psycopg", "marshmallow", "jwt", "gunicorn"}


def test_help_lists_every_command_and_every_setting(bare: Console) -> None:
    shown = bare.run("--help").stdout.decode()
    assert all(f"\n  {name} " in shown for name in COMMANDS)
    assert all(row.variable in shown for row in SETTINGS)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["exprt"]])
def test_nothing_heavy_is_imported_before_a_command_is_called(
    bare: Console, arguments: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", COMMAND, *arguments],
        capture_output=True,
        cwd=bare.directory,
        env=bare.environ,
        check=False,
    )
    imported = {
        line.rpartition("|")[2].strip().partition(".")[0]
        for line in done.stderr.decode().splitlines()
    }
    assert "click" in imported
    assert not imported & HEAVY


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_helps_itself_under_its_name_and_summary(name: str) -> None:
    context = click.Context(promptlooper_export)
    command = promptlooper_export.get_command(context, name)
    assert command is not None
    assert command.get_short_help_str(limit=200) == COMMANDS[name][1]
    assert command.name == name


def test_the_version_is_the_packages(bare: Console) -> None:
    assert bare.run("--version").stdout.decode().split()[-1] == __version__


def test_an_unknown_command_is_a_usage_error_that_suggests_the_closest(
    bare: Console,
) -> None:
    done = bare.run("exprot")
    assert done.returncode == 2
    assert "Did you mean 'export'?" in done.stderr.decode()
    assert done.stdout == b""


def test_an_unknown_command_like_no_other_is_a_usage_error(bare: Console) -> None:
    done = bare.run("zzz")
    assert done.returncode == 2
    assert "No such command 'zzz'" in done.stderr.decode()


def test_an_unknown_setting_is_refused_with_a_suggestion(bare: Console) -> None:
    done = bare.run("list", DATABSE_URL="sqlite:///x.db")
    assert done.returncode == 78
    assert done.stderr.decode() == (
        "promptlooper-export: PROMPTLOOPER_DATABSE_URL is not a setting of this "
        "service; did you mean PROMPTLOOPER_DATABASE_URL?\n"
    )


def test_what_kubernetes_sets_for_a_service_is_no_setting(bare: Console) -> None:
    for service in ("", "EXPORT_", "EXPORT_2_"):
        links = {
            "SERVICE_HOST": "10.96.3.7",
            "SERVICE_PORT": "8000",
            "SERVICE_PORT_HTTP": "8000",
            "PORT": "tcp://10.96.3.7:8000",
            "PORT_8000_TCP": "tcp://[fd00::7]:8000",
            "PORT_8000_TCP_PROTO": "tcp",
            "PORT_8000_TCP_PORT": "8000",
            "PORT_8000_TCP_ADDR": "fd00::7",
            "PORT_53_UDP": "udp://10.96.3.7:53",
        }
        named = {f"{service}{name}": value for name, value in links.items()}
        assert bare.run("config", stdin=b"", **named).returncode == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "8000"),
        ("EXPORT_PORT", "8000"),
        ("PORT_HTTP", "tcp://10.96.3.7:8000"),
        ("SERVICE_HOSTS", "10.96.3.7"),
    ],
)
def test_a_port_as_people_set_it_is_an_unknown_setting(
    bare: Console, name: str, value: str
) -> None:
    done = bare.run("config", stdin=b"", **{name: value})
    assert done.returncode == 78
    assert f"PROMPTLOOPER_{name} is not a setting" in done.stderr.decode()


def test_a_database_that_does_not_answer_is_one_line(bare: Console) -> None:
    done = bare.run("list", DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert done.returncode == 1
    assert done.stderr.startswith(b"promptlooper-export: ")
    assert done.stderr.count(b"\n") == 1


def test_a_message_cannot_steer_the_terminal(bare: Console) -> None:
    done = bare.run("import", "no\x1b[2J\nfile")
    assert done.returncode == 1
    assert b"\x1b" not in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_reader_that_leaves_early_is_no_news(bare: Console) -> None:
    with bare.start("formats") as running:
        assert running.stdout is not None
        running.stdout.close()
        _, errors = running.communicate(timeout=60)
    assert errors == b""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_a_signal_ends_a_command_quietly(
    console: Console, number: signal.Signals, code: int
) -> None:
    with console.start("import", "-") as running:
        assert running.stdin is not None
        # More than a pipe holds: once it is written, the command is reading.
        running.stdin.write(b"{" * 300_000)
        running.stdin.flush()
        running.send_signal(number)
        _, errors = running.communicate(timeout=60)
    assert running.returncode == code
    assert errors == b""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_produced(bare: Console, shell: str) -> None:
    bare.environ["_PROMPTLOOPER_EXPORT_COMPLETE"] = f"{shell}_source"
    done = bare.run()
    assert done.returncode == 0
    assert b"promptlooper-export" in done.stdout


def test_bash_completes_the_names_of_commands(bare: Console) -> None:
    script = (
        'eval "$(_PROMPTLOOPER_EXPORT_COMPLETE=bash_source promptlooper-export)"\n'
        "COMP_WORDS=(promptlooper-export in) COMP_CWORD=1\n"
        "_promptlooper_export_completion promptlooper-export\n"
        'echo "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        cwd=bare.directory,
        env=bare.environ,
        check=True,
    )
    assert done.stdout.decode().split() == ["index"]
