from cli.console import Console, on_sqlite

TABLE = b"id,param.temperature,accuracy\nfirst,0.50,0.25\nsecond,1,0.75\n"


@on_sqlite
def test_a_table_is_imported_by_the_columns_that_are_named(console: Console) -> None:
    (console.directory / "august.csv").write_bytes(TABLE)
    mapping = ("--score", "accuracy", "--config", "param.*", "--name", "id")
    done = console.run("import", "august.csv", *mapping)
    assert done.stderr == b"imported 1 experiment, 2 runs\n"
    best = console.run("export", "august", "-f", "env")
    assert b"TEMPERATURE=1\n" in best.stdout


@on_sqlite
def test_a_table_is_read_from_standard_input(console: Console) -> None:
    mapping = ("--score", "accuracy", "--config", "param.*")
    done = console.run("import", "-", *mapping, stdin=TABLE)
    assert done.stderr == b"imported 1 experiment, 2 runs\n"
