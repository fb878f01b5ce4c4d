import sys
from pathlib import Path

import pytest

from cli.console import run_here
from promptlooper_export.errors import SourceError, UsageError
from promptlooper_export.importers.importer import choose
from promptlooper_export.importers.interchange import read

ENTRY_POINTS = """
[promptlooper_export.importers]
notebook = strangers_importers:NOTEBOOK
spreadsheet = strangers_importers:SPREADSHEET
"""

MODULE = """
from promptlooper_export.importers.importer import Importer

def read(source):
    yield from ()

NOTEBOOK = Importer(
    title="Notebook", recognises=lambda source: source.endswith(".ipynb"), read=read
)

SPREADSHEET = Importer(
    title="Spreadsheet",
    recognises=lambda source: source.endswith((".ods", ".ipynb")),
    read=read,
    read_columns=lambda source, mapping: read(source),
)
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an import path with a third party's importer."""
    metadata = tmp_path / "strangers-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Name: strangers\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    (tmp_path / "strangers_importers.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "strangers_importers", raising=False)
    return tmp_path


@pytest.mark.usefixtures("site")
def test_a_strangers_importer_is_chosen_by_what_it_recognises() -> None:
    assert choose("results.ipynb", kind=None).title == "Notebook"
    assert choose("results.ndjson", kind=None).read is read


@pytest.mark.usefixtures("site")
def test_a_named_kind_goes_before_what_is_recognised() -> None:
    assert choose("results.ndjson", kind="notebook").title == "Notebook"


@pytest.mark.usefixtures("site")
def test_an_unknown_kind_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(UsageError, match=r"known are: .*, notebook, "):
        choose("results.ndjson", kind="slides")


@pytest.mark.usefixtures("site")
def test_a_mapping_of_columns_goes_to_an_importer_that_takes_one() -> None:
    chosen = choose("results.ipynb", kind=None, is_mapped=True)
    assert chosen.title == "Spreadsheet"


@pytest.mark.usefixtures("site")
def test_a_mapping_of_columns_that_are_known_is_refused() -> None:
    with pytest.raises(UsageError, match="Notebook: its columns are known"):
        choose("results.ipynb", kind="notebook", is_mapped=True)


@pytest.mark.usefixtures("site")
def test_a_source_that_holds_no_experiment_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results.ipynb").touch()
    done = run_here("show", str(tmp_path / "results.ipynb"))
    assert done.exit_code == 1
    assert done.stderr.endswith("results.ipynb: holds no experiment\n")


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("import nowhere", "the importer notebook cannot be loaded"),
        ("", "the importer notebook cannot be loaded"),
        ("NOTEBOOK = 1", "strangers_importers:NOTEBOOK is not an Importer"),
    ],
)
def test_a_broken_importer_is_named(site: Path, module: str, reason: str) -> None:
    (site / "strangers_importers.py").write_text(module)
    with pytest.raises(SourceError, match=reason):
        choose("results.ipynb", kind="notebook")
