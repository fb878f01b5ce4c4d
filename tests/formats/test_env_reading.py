"""How a .env file is read that people have edited."""

from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from fidelity.readers import READERS
from promptlooper_formats.env import ENV

# Lines with one variable A, as people write them.
LINES = (
    "A=", "A= ", "A=x", "A=x ", "export A=x", "A=x=y", "A==", 'A=""', "A=''",
    "A=#c", "A= #c", "A= # c", "A=x#y", "A=x #y", "A=x # it's \"so\"",
    "A='x' # c", 'A="x" # it\'s', "A='x'#c", "A='x'y", "A='x'\"y\"", "A='x' y",
    "A=x y", "A=it's", 'A=say "hi"', "A='a # b'", 'A="a # b"', "A=\"it's\"",
    "A='a\nb'", 'A="a\nb"', 'A="a\\nb"', "A='a\\nb'", "A=a\\nb", 'A="a\\rb"',
    'A="a\\tb"', "A=a\\ b", "A=a\\", 'A="a\\\\"', 'A="a\\"b"', "A='a\\'b'",
    'A="a\\\nb"', 'A="a\\qb"', 'A="a\\$b"', 'A="a\\`b"',
    "A=$B", "A=${B}", 'A="$B"', "A='$B'", "A=`x`", "A='`x`'", 'A="`x`"', "A=~",
    "A=x;y", "A=a&b", "A=x*", "A=x\r", "A='x'\r", "# A=y\nA=x", "\nA=x\n\n",
    "A=1\nA=2", "  A=x", "A='x", 'A="x', "A=\"x\n\nB='y", "A", "export A", "A: x",
)  # fmt: skip

# Of each dialect; systemd takes comments behind a text for a part of it.
READ_BY: Mapping[str, Collection[str]] = {
    "posix": ("bash", "dash", "busybox sh", "zsh"),
    "python": ("python-dotenv",),
    "node": ("npm dotenv", "node --env-file"),
    "docker": ("Docker Compose, raw",),
    "compose": ("Docker Compose",),
}


def read(data: bytes, dialect: str = "portable") -> Mapping[str, object]:
    assert ENV.read is not None
    return ENV.read(data, dialect=dialect)


def readable(line: str, dialect: str) -> Mapping[str, object] | None:
    try:
        return read(f"{line}\n".encode(), dialect)
    except ValueError:
        return None


@pytest.mark.parametrize("dialect", READ_BY)
def test_an_edited_line_is_read_as_the_readers_do_or_named(
    dialect: str, tmp_path: Path
) -> None:
    lines = [line for line in LINES if readable(line, dialect) is not None]
    files = [tmp_path / str(place) for place in range(len(lines))]
    for file, line in zip(files, lines, strict=True):
        file.write_text(f"{line}\n", encoding="utf-8", newline="")

    assert len(lines) > len(LINES) / 3
    for reader in READ_BY[dialect]:
        found = dict(zip(lines, READERS[reader](files), strict=True))
        assert found == {line: readable(line, dialect) for line in lines}


def test_the_portable_dialect_reads_what_most_readers_make_of_a_line() -> None:
    text = (
        "\ufeff# deployed\r\n\r\nexport A = x # why\r\nB='one\r\ntwo'\n\tC=\"$5\" # c\n"
        "D=it's\nE= # nothing\nF=a#b\nG.H-I=\n  # end\nJ=last"
    )

    assert read(text.encode()) == {
        "A": "x",
        "B": "one\r\ntwo",
        "C": "$5",
        "D": "it's",
        "E": "",
        "F": "a#b",
        "G.H-I": "",
        "J": "last",
    }


@pytest.mark.parametrize("dialect", ["portable", *READ_BY])
@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"A=1\n\nB\n", 3),
        (b"A=1\n=2\n", 2),
        (b"A=1\nB: 2\n", 2),
        (b"A=1\nB=2\nC=\xff\n", 3),
        (b"A=1\n3D=2\n", 2),
    ],
)
def test_a_line_that_is_no_assignment_is_named(
    data: bytes, line: int, dialect: str
) -> None:
    with pytest.raises(ValueError, match=f"^line {line}: "):
        read(data, dialect)


@pytest.mark.parametrize("dialect", ["portable", "posix", "python", "node", "compose"])
@pytest.mark.parametrize("cut", ["B='x", 'B="x', 'B="x\n\nC=1\n'])
def test_a_file_that_was_cut_within_quotes_is_refused_where_they_open(
    cut: str, dialect: str
) -> None:
    with pytest.raises(ValueError, match=r"^line 3: the quote is not closed$"):
        read(f"A='\n'\n{cut}".encode(), dialect)


@pytest.mark.parametrize(
    ("dialect", "line"),
    [
        ("posix", "A=$HOME/x"),
        ("posix", 'A="$HOME/x"'),
        ("posix", "A=two words"),
        ("posix", "A=C:\\temp"),
        ("posix", "A=x\r"),
        ("compose", "A=$HOME/x"),
        ("compose", 'A="$HOME/x"'),
        ("node", 'A="a\\rb"'),
        ("docker", "A = x"),
        ("docker", "export A=x"),
    ],
)
def test_what_a_dialects_readers_would_expand_or_split_is_never_taken_as_it_stands(
    dialect: str, line: str
) -> None:
    assert readable(line, dialect) is None
    assert readable(line, "portable") is not None
