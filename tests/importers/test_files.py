"""What holds for the files of every tool."""

from dataclasses import replace
from pathlib import Path

import pytest

from databases import Database
from importers.sources import DATA, read
from promptlooper_export.errors import SourceError
from promptlooper_export.records import RunRecord

FILES = [
    "promptfoo/results.json",
    "promptfoo/results.csv",
    "inspect/two_scorers.eval",
    "lm-eval/results_2026-11-23T16-04-29.json",
    "lm-eval/samples_mini_gen_2026-11-23T16-04-29.jsonl",
    "wandb/made_offline_run_0/run-made0000.wandb",
]

CUTS = [0.02, 0.35, 0.71, 0.999]
"""Where files end that were cut."""

FLIPS = 12
"""How many copies have one byte that is not as it was."""

on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def loaded(database: Database, source: Path) -> tuple[int, int, int]:
    found = (replace(record, runs=iter(runs)) for record, runs in read(source))
    written = database.load(*found)
    return written.experiments, written.runs, written.unchanged


@on_sqlite
@pytest.mark.parametrize("name", FILES)
def test_importing_twice_changes_nothing(database: Database, name: str) -> None:
    experiments, runs, _ = loaded(database, DATA / name)
    assert experiments >= 1
    assert loaded(database, DATA / name) == (0, 0, runs)


@pytest.mark.parametrize("where", CUTS)
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_cut_is_refused_in_one_line(
    tmp_path: Path, name: str, where: float
) -> None:
    whole = (DATA / name).read_bytes()
    copy = tmp_path / Path(name).name
    copy.write_bytes(whole[: int(len(whole) * where)])
    with pytest.raises(SourceError) as raised:
        read(copy)
    assert len(raised.value.detail.splitlines()) == 1
    assert raised.value.detail.startswith(str(copy))


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_is_refused_or_changes_nothing(
    tmp_path: Path, name: str
) -> None:
    whole = (DATA / name).read_bytes()
    copy = tmp_path / Path(name).name
    copy.write_bytes(whole)
    expected = runs(copy)
    for number in range(FLIPS):
        changed = bytearray(whole)
        # No text any more: JSON and CSV have no checksums to find other changes.
        changed[len(whole) * number // FLIPS] ^= 0x80
        copy.write_bytes(changed)
        try:
            found = runs(copy)
        except SourceError as error:
            assert error.detail.startswith(str(copy))  # noqa: PT017
        else:
            assert found == expected


def runs(source: Path) -> list[RunRecord]:
    return [run for _, runs in read(source) for run in runs]
