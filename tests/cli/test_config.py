import json

from cli.console import Console


def test_every_setting_is_shown_with_its_origin(bare: Console) -> None:
    shown = bare.run("config", WORKERS="7").stdout.decode()
    fields = {line.split()[0]: line.split()[1:] for line in shown.splitlines()}
    assert fields["PROMPTLOOPER_WORKERS"] == ["7", "environment"]
    assert fields["PROMPTLOOPER_THREADS"][-1] == "default"
    assert fields["PROMPTLOOPER_JWT_SECRET_KEY"] == ["(not", "set)", "default"]


def test_secrets_are_masked(bare: Console) -> None:
    done = bare.run(
        "config",
        JWT_SECRET_KEY="ab" * 32,
        DATABASE_URL="postgresql://me:hush@localhost/db",
    )
    assert done.stdout.count(b"(set, 64 bytes)") == 1
    assert b"abab" not in done.stdout
    assert b"hush" not in done.stdout


def test_a_bad_value_is_refused(bare: Console) -> None:
    done = bare.run("config", WORKERS="many")
    assert done.returncode == 78
    assert b"PROMPTLOOPER_WORKERS must be a whole number" in done.stderr


def test_the_settings_can_be_json(bare: Console) -> None:
    rows = json.loads(bare.run("config", "--json", WORKERS="3").stdout)
    assert {
        "variable": "PROMPTLOOPER_WORKERS",
        "value": "3",
        "from": "environment",
    } in rows
