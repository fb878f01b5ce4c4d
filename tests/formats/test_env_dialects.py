"""What a dialect's readers read of its files, and what it refuses to write."""

import re
import shutil
from collections.abc import Collection, Mapping
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidelity.readers import READERS
from fidelity.verdicts import holds
from formats.configs import Config, values
from formats.rendering import BestFields, Rendered, best, render
from formats.variables import variables
from promptlooper_export.documents import Notice
from promptlooper_export.errors import UnrepresentableError
from promptlooper_formats.env import ENV

SHELLS = ("bash", "dash", "busybox sh", "zsh")

DIALECTS: Mapping[str, Collection[str]] = {
    "portable": (
        *SHELLS, "systemd", "python-dotenv", "npm dotenv", "node --env-file",
        "Docker Compose",
    ),
    "posix": (*SHELLS, "systemd"),
    "python": ("python-dotenv",),
    "node": ("npm dotenv", "node --env-file"),
    "docker": ("Docker Compose, raw",),
    "compose": ("Docker Compose",),
}  # fmt: skip
"""Who reads each; docker run itself reads as Docker Compose does with `format: raw`."""

# Warnings that speak of other readers than those above.
OF_OTHERS: Mapping[str, Collection[str]] = {
    dialect: () if dialect == "portable" else ("expansion",) for dialect in DIALECTS
}

# What quotes, escapes, comments, expansions and assignments are made of.
PIECES = (
    "a", " ", "\t", "'", '"', "`", "\\", "$", "${", "}", "$(", ")", "\n", "\r", "#",
    " #", "=", "\\n", "\\r", "\nX=2", "!", "~", "*", ";", "&", "|", "<", "\x0b",
    "\x7f", "\x85", "\xa0", "\u2028", "\ufeff", "\U0001f600",
)  # fmt: skip

INJECTION = 'it\'s "so"\nINJECTED=1'


def written(config: Config, **options: object) -> Rendered | None:
    """Return the file, None where it is refused."""
    try:
        return render(ENV, best(config), **options)
    except UnrepresentableError:
        return None


def read(body: bytes, **options: str) -> Mapping[str, object]:
    assert ENV.read is not None
    return ENV.read(body, **options)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_two_pieces_side_by_side_are_read_back_identically(
    dialect: str, tmp_path: Path
) -> None:
    pairs = {f"K{n}": "".join(two) for n, two in enumerate(product(PIECES, repeat=2))}
    held: Config = {
        name: text
        for name, text in pairs.items()
        if (one := written({name: text}, dialect=dialect))
        and set(one.codes).issubset(OF_OTHERS[dialect])
    }
    file = tmp_path / "best.env"
    file.write_bytes(render(ENV, best(held), dialect=dialect).body)

    # To be refused or warned of is the exception.
    assert len(held) > len(pairs) / 2
    assert read(file.read_bytes(), dialect=dialect) == held
    for reader in DIALECTS[dialect]:
        assert READERS[reader]([file]) == [held], reader


@pytest.mark.parametrize("dialect", ["posix", "python", "compose"])
def test_a_dialect_of_quotes_and_escapes_holds_every_two_pieces(dialect: str) -> None:
    for two in product(PIECES, repeat=2):
        assert written({"k": "".join(two)}, dialect=dialect)


@given(
    st.dictionaries(st.sampled_from(["a", "prompt", "top-k", "3d", "é"]), values),
    st.sampled_from([*DIALECTS]),
    st.sampled_from(["", "APP_"]),
)
def test_what_is_written_is_read_back(
    config: Config, dialect: str, prefix: str
) -> None:
    file = written(config, dialect=dialect, prefix=prefix)
    wanted = variables({"app": config} if prefix and config else config)

    if file is not None:
        found = read(file.body, dialect=dialect, prefix=prefix)
        assert found.keys() == wanted.keys()
        for name, (_, value) in wanted.items():
            assert holds(str(found[name]), value)


@pytest.mark.parametrize("dialect", ["posix", "python", "compose"])
def test_a_later_line_that_looks_like_an_assignment_is_safe_where_quotes_hold_it(
    dialect: str, tmp_path: Path
) -> None:
    config: Config = {"k": INJECTION, "z": "after"}
    file = tmp_path / "best.env"
    file.write_bytes(render(ENV, best(config), dialect=dialect).body)

    assert written(config) is None
    for reader in DIALECTS[dialect]:
        assert READERS[reader]([file]) == [{"K": INJECTION, "Z": "after"}], reader


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        ("node", "a\rb"),
        ("node", "'\"`"),
        ("node", "two\nlines\\"),
        ("docker", "a\nb"),
        ("docker", "a\rb"),
        ("docker", "x" * 65_534),
        *((dialect, "\0") for dialect in DIALECTS),
        *((dialect, "\ud800") for dialect in DIALECTS),
    ],
)
def test_what_a_dialect_has_no_form_for_is_refused_by_path(
    dialect: str, text: str
) -> None:
    with pytest.raises(UnrepresentableError) as refusal:
        render(ENV, best({"a": {"b": text}, "fine": 1}), dialect=dialect)

    assert refusal.value.members["paths"] == ["a.b"]


@pytest.mark.parametrize(
    "fields",
    [
        {"experiment_name": "n" * 66_000},
        {"warnings": (Notice(code="redacted", message="m", path="p" * 66_000),)},
    ],
)
def test_a_comment_longer_than_docker_reads_is_refused_in_its_dialect_alone(
    fields: BestFields,
) -> None:
    with pytest.raises(UnrepresentableError, match="another dialect"):
        render(ENV, best({"k": 1}, **fields), dialect="docker")

    assert render(ENV, best({"k": 1}, **fields)).text.endswith("\nK=1\n")


@pytest.mark.parametrize("config", [{"k": "costs $5"}, {"k": "a\rb"}, {"path": "/x"}])
def test_strict_refuses_by_path_what_is_only_warned_of_otherwise(
    config: Config,
) -> None:
    assert render(ENV, best(config)).notices

    with pytest.raises(UnrepresentableError, match="dialect") as refusal:
        render(ENV, best({**config, "fine": 1}), strict=True)

    assert refusal.value.members["paths"] == [*config]


def test_strict_changes_nothing_of_a_file_without_warnings() -> None:
    config: Config = {"model": "gpt-4", "prompt": "Don't\npanic."}

    plain = render(ENV, best(config))

    assert render(ENV, best(config), strict=True).body == plain.body
    assert render(ENV, best(config), dialect="portable", prefix="").body == plain.body


def test_a_prefix_takes_names_out_of_the_way_of_the_shell() -> None:
    file = render(ENV, best({"path": "/x", "3d": 1, "": 2}), prefix="APP_")

    assert file.notices == ()
    assert file.text.splitlines()[4:] == ["APP_=2", "APP_3D=1", "APP_PATH=/x"]


def shell_names() -> list[str]:
    """Return every name that stands in the programs of bash and zsh.

    What a shell lists lacks the variables that are special only once they are set.
    """
    return sorted(
        {
            name.decode()
            for shell in ("bash", "zsh")
            for name in re.findall(
                rb"(?<=\0)[A-Z_][A-Z0-9_]{2,40}(?=\0)",
                Path(str(shutil.which(shell))).read_bytes(),
            )
        }
    )


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("text", ["text", "0"])
def test_a_name_that_a_shell_knows_is_read_back_or_was_warned_of(
    text: str, shell: str, tmp_path: Path
) -> None:
    files = {
        name: (tmp_path / name, file)
        for name in shell_names()
        if (file := written({name: text, "zz": "after"}, dialect="posix"))
    }
    for path, file in files.values():
        path.write_bytes(file.body)

    found = READERS[shell]([path for path, _ in files.values()])

    wanted = [{name: text, "ZZ": "after"} for name in files]
    assert [
        name
        for (name, (_, file)), one, other in zip(
            files.items(), found, wanted, strict=True
        )
        if one != other and file.codes != ["key-with-a-meaning"]
    ] == []
    assert len(files) > 60


@pytest.mark.parametrize("shell", ["bash", "zsh"])
@pytest.mark.parametrize("dialect", ["portable", "posix"])
@pytest.mark.parametrize("by_name", [False, True])
def test_no_name_makes_a_shell_run_what_it_is_set_to(
    by_name: bool,  # noqa: FBT001
    dialect: str,
    shell: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # zsh looks into the subscripts of what exists only.
    command = (
        "path[$(touch canary; echo 1)]" if shell == "zsh" else "a[$(touch canary)]"
    )
    monkeypatch.chdir(tmp_path)
    files = []
    for name in shell_names():
        text = "A" if by_name else command
        if file := written({"a": command, name: text}, dialect=dialect):
            files.append(tmp_path / name)
            files[-1].write_bytes(file.body)

    found = READERS[shell](files)

    # Most were read, so that the others could have been run.
    assert sum(isinstance(one, dict) and one.get("A") == command for one in found) > 60
    assert not (tmp_path / "canary").exists()
