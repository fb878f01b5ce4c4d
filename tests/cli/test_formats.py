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
