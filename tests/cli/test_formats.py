import json

from cli.console import Console
from cli.strangers import beside_strangers


def test_every_format_has_a_line_with_what_it_renders(bare: Console) -> None:
    done = bare.run("formats")
    lines = [line.split() for line in done.stdout.decode().splitlines()]
    assert lines[0][:3] == ["NAME", "DOCUMENT", "EXTENSION"]
    assert ["json", "best", ".json", "application/json"] in lines
    assert done.stderr == b""


def test_a_strangers_format_is_listed(bare: Console) -> None:
    shown = beside_strangers(bare).run("formats").stdout.decode()
    assert "noticed" in shown
    assert "broken" not in shown


def test_a_broken_format_is_listed_with_its_reason(bare: Console) -> None:
    done = beside_strangers(bare).run("formats", "--broken")
    heading, row = done.stdout.decode().splitlines()
    assert heading.split() == ["NAME", "PACKAGE", "REASON"]
    assert row.split()[:2] == ["broken", "strangers"]
    assert "No module named 'nowhere'" in row
    assert done.returncode == 0


def test_no_broken_format_is_said_so(bare: Console) -> None:
    done = bare.run("formats", "--broken")
    assert done.stdout == b""
    assert done.stderr == b"all formats work\n"


def test_a_name_lists_the_options_with_their_values(bare: Console) -> None:
    done = bare.run("formats", "csv")
    lines = done.stdout.decode().splitlines()
    assert lines[0].split() == ["OPTION", "VALUES", "DEFAULT", "MEANING"]
    assert [line.split()[0] for line in lines[1:]] == [
        "raw",
        "delimiter",
        "bom",
        "decimal",
    ]
    assert done.stderr == b"csv: CSV, runs\n"


def test_a_format_without_options_is_said_to_have_none(bare: Console) -> None:
    done = bare.run("formats", "report-json")
    assert done.stdout == b""
    assert b"no options" in done.stderr


def test_a_misspelt_name_is_answered_with_the_closest(bare: Console) -> None:
    done = bare.run("formats", "yml")
    assert done.returncode == 2
    assert b"did you mean 'yaml'?" in done.stderr


def test_the_list_and_the_options_can_be_json(bare: Console) -> None:
    rows = json.loads(bare.run("formats", "--json").stdout)
    assert {
        "name": "json",
        "document": "best",
        "extension": ".json",
        "media_types": "application/json",
        "install": "",
    } in rows

    env = json.loads(bare.run("formats", "env", "--json").stdout)
    dialect = next(row for row in env["options"] if row["name"] == "dialect")
    assert "docker" in dialect["allowed"]
    assert json.loads(bare.run("formats", "--broken", "--json").stdout) == []
