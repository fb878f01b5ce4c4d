import json
import re
from time import monotonic
from uuid import UUID

import pytest
from ruamel.yaml import YAML

from builders import experiment, run
from cli.console import Console, on_sqlite
from databases import Database
from promptlooper_export.configs import JSON

CONFIG: JSON = {
    "model": {"name": "small", "temperature": 0.5, "stop": ["\n", "###"]},
    "prompt": 'Say "hi" for $5\nin two lines, it is fine',
    "seed": None,
    "stream": True,
}

READABLE = {
    "json": "best.json",
    "env": ".env.production",
    "yaml": "best.yml",
    "toml": "best.toml",
    "tfvars": "best.auto.tfvars.json",
    "configmap": "configmap.yaml",
    "secret": "secret.yaml",
    "github-output": "outputs.txt",
}


@pytest.fixture
def summaries(database: Database) -> str:
    record = experiment(
        run({"accuracy": 0.75}, config=CONFIG),
        run({"accuracy": 0.5}, config={"model": "large"}),
        name="summaries",
        id=UUID("aaaaaaaa-0000-4000-8000-000000000001"),
    )
    database.load(record)
    return str(record.id)


def export(console: Console, file: str, name: str, *more: str) -> None:
    done = console.run("export", "summaries", "-f", name, "-o", file, *more)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("name", "file"), READABLE.items())
@pytest.mark.usefixtures("summaries")
def test_what_was_exported_does_not_differ_from_the_winner(
    console: Console, name: str, file: str
) -> None:
    export(console, file, name)

    done = console.run("diff", file, "summaries")

    assert (done.returncode, done.stdout) == (0, b""), done


@on_sqlite
@pytest.mark.parametrize("name", ["env", "yaml", "json", "configmap", "toml"])
@pytest.mark.usefixtures("summaries")
def test_one_changed_leaf_is_named_and_nothing_else(
    console: Console, name: str
) -> None:
    file = console.directory / READABLE[name]
    export(console, file.name, name)
    file.write_text(file.read_text().replace("0.5", "0.75").replace(": 0.7500", ""))

    done = console.run("diff", file.name, "summaries")

    assert done.returncode == 3
    [line] = done.stdout.decode().splitlines()
    assert line.startswith("~ ")
    assert "temperature" in line.lower()
    assert "0.75" in line.partition(" -> ")[0]


@on_sqlite
@pytest.mark.usefixtures("summaries")
def test_a_new_winner_is_a_difference(console: Console, database: Database) -> None:
    export(console, "best.yaml", "yaml")
    database.load(
        experiment(id=UUID("aaaaaaaa-0000-4000-8000-000000000001"), name="summaries")
    )
    database.execute("UPDATE scores SET value = 0.9 WHERE value = 0.5")

    done = console.run("diff", "best.yaml", "summaries")

    assert done.returncode == 3
    assert done.stdout.decode().splitlines() == [
        '+ model: "large"',
        '- model.name: "small"',
        '- model.stop: ["\\n", "###"]',
        "- model.temperature: 0.5",
        *(
            line
            for line in done.stdout.decode().splitlines()
            if line.startswith(("- prompt: ", "- seed: null", "- stream: true"))
        ),
    ]
    assert b"7 differences" in done.stderr


@on_sqlite
@pytest.mark.usefixtures("summaries")
def test_other_variables_of_a_deployment_can_be_passed_over(console: Console) -> None:
    file = console.directory / ".env"
    export(console, file.name, "env")
    file.write_text(f"{file.read_text()}\n# ours\nexport DATABASE_URL='x'  # here\n")

    done = console.run("diff", ".env", "summaries")
    assert done.returncode == 3
    assert done.stdout == b'- DATABASE_URL: "x"\n'
    done = console.run("diff", "--only-exported", ".env", "summaries")
    assert (done.returncode, done.stdout) == (0, b"")
    done = console.run("diff", "--only-exported", "summaries", ".env")
    assert (done.returncode, done.stdout) == (0, b"")


@on_sqlite
@pytest.mark.usefixtures("summaries")
def test_files_of_different_formats_compare_by_what_both_can_say(
    console: Console,
) -> None:
    for name, file in READABLE.items():
        export(console, file, name)

    for one in READABLE.values():
        for other in ("best.json", "best.toml" if "toml" in one else "secret.yaml"):
            done = console.run("diff", one, other)
            assert (done.returncode, done.stdout) == (0, b""), (one, other, done)


@on_sqlite
def test_secrets_are_neither_compared_nor_shown(
    console: Console, database: Database
) -> None:
    secret = "sk-proj-0123456789abcdef0123456789"
    database.load(experiment(run({"a": 1}, config={"api_key": secret}), name="x"))
    file = console.directory / ".env"
    file.write_text("API_KEY=sk-proj-another0123456789abcdef\nOTHER_TOKEN=abc\n")

    done = console.run("diff", ".env", "x")

    assert done.returncode == 3
    assert done.stdout == b'- OTHER_TOKEN: "[redacted]"\n'
    assert b"not compared because they are secrets: API_KEY" in done.stderr
    done = console.run("diff", "--unredacted", "--json", ".env", "x")
    assert done.returncode == 3
    assert [row["path"] for row in json.loads(done.stdout)] == [
        "API_KEY",
        "OTHER_TOKEN",
    ]
    assert secret.encode() not in done.stdout + done.stderr
    assert b"another" not in done.stdout + done.stderr


@on_sqlite
def test_a_secret_that_is_missing_is_a_difference_and_its_form_is_none(
    console: Console, database: Database
) -> None:
    config: JSON = {"credentials": {"user": "u", "pin": "1"}, "api_key": "k", "a": 1}
    database.load(experiment(run({"a": 1}, config=config), name="x"))
    file = console.directory / "x.yaml"

    file.write_text("credentials: {user: other, pin: '2'}\napi_key: other\na: 1\n")
    done = console.run("diff", "x.yaml", "x")
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"credentials.user" in done.stderr

    file.write_text("a: [{password: hush}]\n")
    done = console.run("diff", "x.yaml", "x")
    assert done.returncode == 3
    assert done.stdout.decode().splitlines() == [
        '~ a: "[redacted]" -> 1',
        '+ api_key: "[redacted]"',
        '+ credentials.pin: "[redacted]"',
        '+ credentials.user: "[redacted]"',
    ]


@on_sqlite
@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        (".env", 'A="1', "line 1"),
        (".env", "A=1\n<<<<<<< ours\n", "line 2"),
        ("x.json", '{"a": 1', "delimiter"),
        ("x.json", '{"a": NaN}', "NaN"),
        ("x.json", '{"a": 1, "a": 2}', "twice"),
        ("x.yaml", "a: 1\na: 2\n", "line 2"),
        ("x.yaml", "a: [1\n", "line"),
        ("x.toml", "a = \n", "line 1"),
    ],
)
@pytest.mark.usefixtures("summaries")
def test_a_file_that_cannot_be_read_is_no_difference(
    console: Console, name: str, text: str, where: str
) -> None:
    (console.directory / name).write_text(text)

    done = console.run("diff", name, "summaries")

    assert (done.returncode, done.stdout) == (1, b"")
    assert where in done.stderr.decode()
    assert len(done.stderr.splitlines()) == 1


@on_sqlite
@pytest.mark.usefixtures("summaries")
def test_a_format_can_be_named(console: Console) -> None:
    export(console, "settings", "env", "-O", "dialect=compose", "-O", "prefix=APP_")
    known = ("--from", "env", "-O", "dialect=compose", "-O", "prefix=APP_")

    assert console.run("diff", "settings", "summaries").returncode == 2
    assert console.run("diff", *known, "settings", "summaries").returncode == 0
    stdin = (console.directory / "settings").read_bytes()
    assert console.run("diff", *known, "-", "summaries", stdin=stdin).returncode == 0


@on_sqlite
@pytest.mark.usefixtures("summaries")
def test_what_is_neither_a_file_nor_an_experiment_is_said(console: Console) -> None:
    done = console.run("diff", "missing.env", "summaries")
    assert done.returncode == 1
    assert b"missing.env" in done.stderr


@on_sqlite
@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"a": "="}, "a: =\n"),
        ({"a": "NO", "b": "on", "c": "12:30"}, "a: NO\nb: on\nc: 12:30\n"),
        ({"a": 1e-05, "b": 15, "c": 31}, "a: 1e-05\nb: 0o17\nc: 0x1F\n"),
        ({"a": "1_000", "yes": 17}, "a: 1_000\nyes: 017\n"),
        ({"a": "2024-05-01"}, "a: 2024-05-01"),
        ({"a": False, "b": 15, "c": 750}, "%YAML 1.1\n---\na: NO\nb: 017\nc: 12:30\n"),
        (
            {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "c": [1, 1]},
            "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: [&one 1, *one]\n",
        ),
        (
            {"a": {"x": 1}, "b": {"y": 2}, "c": {"x": 1, "y": 2}},
            "a: &a {x: 1}\nb: &b {y: 2}\nc: {<<: [*a, *b]}\n",
        ),
        ({"a": "5", "b": 5}, "a: !!str 5\nb: !!int '5'\n"),
    ],
    ids=lambda value: json.dumps(value)[:40],
)  # fmt: skip
def test_yaml_as_other_tools_write_it_is_no_drift(
    console: Console, database: Database, config: JSON, text: str
) -> None:
    database.load(experiment(run({"a": 1}, config=config), name="x"))
    (console.directory / "x.yaml").write_text(text)

    done = console.run("diff", "x.yaml", "x")

    assert (done.returncode, done.stdout) == (0, b""), done


@on_sqlite
@pytest.mark.parametrize("version", [(1, 1), (1, 2)], ids=str)
@pytest.mark.usefixtures("summaries")
def test_yaml_that_ruamel_rewrote_is_no_drift(
    console: Console, version: tuple[int, int]
) -> None:
    export(console, "best.yaml", "yaml", "-O", "only=config")
    file = console.directory / "best.yaml"
    ruamel = YAML()
    ruamel.version = version
    held = ruamel.load(file)
    ruamel.dump(held, file)

    done = console.run("diff", "best.yaml", "summaries")

    assert (done.returncode, done.stdout) == (0, b""), done


@on_sqlite
@pytest.mark.parametrize("option", [None, "only=config"])
@pytest.mark.parametrize("name", ["json", "yaml", "toml"])
@pytest.mark.usefixtures("summaries")
def test_the_whole_document_and_the_config_alone_compare_alike(
    console: Console, name: str, option: str | None
) -> None:
    more = ("-O", option) if option else ()
    export(console, f"best.{name}", name, *more)

    for options in ((), more):
        done = console.run("diff", f"best.{name}", "summaries", *options)
        assert (done.returncode, done.stdout) == (0, b""), done


@on_sqlite
def test_dates_of_toml_compare_as_text(console: Console, database: Database) -> None:
    config: JSON = {"day": "2024-05-01", "at": "2024-05-01T10:00:00Z", "t": "07:32:00"}
    database.load(experiment(run({"a": 1}, config=config), name="x"))
    file = console.directory / "x.toml"
    file.write_text("day = 2024-05-01\nat = 2024-05-01T10:00:00Z\nt = 07:32:00\n")
    done = console.run("diff", "x.toml", "x")
    assert (done.returncode, done.stdout) == (0, b""), done

    file.write_text("day = 2024-05-02\nat = 2024-05-01T10:00:00Z\nt = 07:32:00\n")
    done = console.run("diff", "x.toml", "x")
    assert done.returncode == 3
    assert done.stdout == b'~ day: "2024-05-02" -> "2024-05-01"\n'


@on_sqlite
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.json", f'{{"a": {"[" * 10_000}{"]" * 10_000}}}'),
        ("x.json", '{"a":' * 10_000 + "1" + "}" * 10_000),
        ("x.json", f'{{"a": {"[" * 300}{"]" * 300}}}'),
        ("x.yaml", f"a: {'[' * 10_000}{']' * 10_000}"),
        ("x.yaml", "".join(f"{' ' * depth}a:\n" for depth in range(1_000))),
        ("x.yaml", "{a: " * 10_000),
        ("x.yaml", "- " * 10_000),
        ("x.toml", f"a = {'[' * 10_000}{']' * 10_000}"),
        ("x.toml", f"a{'.a' * 10_000} = 1"),
        ("x.toml", f"[a{'.a' * 10_000}]\nb = 1"),
    ],
    ids=range(10),
)  # fmt: skip
@pytest.mark.usefixtures("summaries")
def test_a_file_of_too_many_levels_is_soon_refused_in_a_line(
    console: Console, name: str, text: str
) -> None:
    (console.directory / name).write_text(text)

    started = monotonic()
    done = console.run("diff", name, "summaries")

    assert (done.returncode, done.stdout) == (1, b"")
    assert name in done.stderr.decode()
    assert re.search("levels deep|maximum nesting", done.stderr.decode())
    assert len(done.stderr.splitlines()) == 1
    assert monotonic() - started < 5


@on_sqlite
@pytest.mark.usefixtures("summaries")
def test_aliases_that_repeat_without_end_are_refused_in_a_line(
    console: Console,
) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]"
        for level in range(1, 10)
    ]
    (console.directory / "x.yaml").write_text("\n".join(lines))
    done = console.run("diff", "x.yaml", "summaries")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"aliases repeat more than" in done.stderr

    (console.directory / "x.yaml").write_text("a: &a [*a]\n")
    done = console.run("diff", "x.yaml", "summaries")
    assert done.returncode == 1
    assert b"line 1: the alias *a contains itself" in done.stderr


@on_sqlite
@pytest.mark.usefixtures("summaries")
def test_one_manifest_among_others_is_read(console: Console) -> None:
    for name in ("configmap", "secret"):
        export(console, f"{name}.yaml", name)
    (console.directory / "all.yaml").write_text(
        "---\nkind: Service\n---\n"
        + (console.directory / "configmap.yaml").read_text()
        + "---\n"
    )
    done = console.run("diff", "all.yaml", "summaries")
    assert (done.returncode, done.stdout) == (0, b""), done

    file = console.directory / "secret.yaml"
    file.write_text(f"{file.read_text()}stringData:\n  SEED: '7'\n")
    done = console.run("diff", "secret.yaml", "summaries")
    assert (done.returncode, done.stdout) == (3, b'~ SEED: "7" -> ""\n'), done
