"""The suite for authors fails a format for each promise that it breaks."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any, ClassVar

import pytest

import plugins
from promptlooper_export.format import as_format
from promptlooper_export.testing import FormatSuite, RoundTripSuite
from promptlooper_export.testing.suite import cases

SOUND = """
import json
def render(best):
    try:
        yield json.dumps(best.config, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise UnrepresentableError("half a pair", paths=("prompt",)) from error
"""

DEFECTS = {
    "yields_text": (
        "def render(best): yield 'text'",
        "render of mine yielded str, no bytes",
    ),
    "tells_in_numbers": (
        "def render(best): yield b'x'; yield Notice(code=1, message='')",
        "is not told in text",
    ),
    "counts": (
        (
            "from itertools import count\nN = count()\n"
            "def render(best): yield str(next(N)).encode()"
        ),
        "the second rendering differs from the first",
    ),
    "unordered": (
        "def render(best):\n    yield ' '.join({f'{n}' for n in range(50)}).encode()",
        "rendered in another process, the body is another one",
    ),
    "reads_the_environment": (
        "import os\ndef render(best): yield os.environ['PYTEST_CURRENT_TEST'].encode()",
        "test_another_process_gives_the_same_bytes: ",
    ),
    "mutates": (
        "def render(best): yield b'x'; best.scores.clear()",
        "the document was changed",
    ),
    "leaks_errors": (
        "def render(best): yield best.experiment_name.encode('ascii')",
        "test_a_document_is_rendered_as_promised: 'ascii' codec",
    ),
    "names_no_path": (
        (
            "def render(best):\n"
            "    if not best.config: raise UnrepresentableError('no', paths=())\n"
            "    yield b'x'"
        ),
        "the refusal names no paths but []",
    ),
    "refuses_everything": (
        "def render(best): raise UnrepresentableError('no', paths=('a',))",
        "the body is empty",
    ),
    "empty": (
        "def render(best): yield b''",
        "the body is empty",
    ),
    "holds_on": (
        (
            "def render(best):\n"
            "    try:\n        yield b'x'\n    finally:\n        yield b'y'"
        ),
        "a rendering cannot be ended early",
    ),
    "taken_name": (
        SOUND + 'FORMAT = declare("json", render)',
        "test_the_package_offers_it: another format is offered under the name json",
    ),
    "taken_type": (
        SOUND + 'FORMAT = declare("mine", render, media_types=("text/yaml",))',
        "Accept: text/yaml gets ",
    ),
    "stumbles_over_an_option": (
        (
            "from marshmallow import Schema, fields\n"
            "from marshmallow.validate import OneOf\n"
            "class Options(Schema):\n"
            "    size = fields.String(validate=OneOf(['a', 'b']), load_default='a')\n"
            "def render(best, size): yield {'a': b'x'}[size]\n"
            "FORMAT = declare('stumbles', render, options=Options)"
        ),
        "test_a_document_is_rendered_as_promised: 'b'",
    ),
    "reads_no_mapping": (
        SOUND + 'FORMAT = declare("mine", render, read=lambda body: 7)',
        "7 was read, not a mapping",
    ),
    "cannot_read_itself": (
        SOUND + 'FORMAT = declare("mine", render, read=lambda body: int(body))',
        "test_a_document_is_rendered_as_promised: invalid literal",
    ),
    "whole_runs": (
        (
            "from promptlooper_export.plugin import Runs\n"
            "def render(runs): yield b''.join(bytes(1000) for _ in runs.rows)\n"
            "FORMAT = declare('whole-runs', render, document=Runs)"
        ),
        "a piece is longer than 1 MiB",
    ),
}
"""Modules by their defect, each with what a failure must say."""


def failures(suite: FormatSuite) -> set[str]:
    """Run a suite as pytest would, and return each failure: its test and message."""
    failed = set()
    for name in dir(suite):
        if not name.startswith("test_"):
            continue
        test: Callable[..., None] = getattr(suite, name)
        every: Iterator[Mapping[str, Any]] = iter([{}])
        if "case" in signature(test).parameters:
            every = ({"case": case} for case in cases(as_format(suite.format)))
        for arguments in every:
            try:
                test(**arguments)
            except Exception as error:  # noqa: BLE001  what pytest catches
                failed.add(f"{name}: {error}")
    return failed


@pytest.fixture
def suite(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> FormatSuite:
    text: str = request.param
    if "FORMAT =" not in text:
        text = f'{text}\nFORMAT = declare("mine", render)\n'
    plugins.install(tmp_path, {"of_an_author": text})
    monkeypatch.syspath_prepend(tmp_path)

    class Suite(FormatSuite):
        format: ClassVar[object] = import_module("of_an_author").FORMAT

    return Suite()


@pytest.mark.parametrize("suite", [SOUND], indirect=True, ids=["sound"])
def test_a_sound_format_passes(suite: FormatSuite) -> None:
    assert failures(suite) == set()


@pytest.mark.parametrize(
    ("suite", "said"), DEFECTS.values(), ids=DEFECTS, indirect=["suite"]
)
def test_a_defect_is_found_and_named(suite: FormatSuite, said: str) -> None:
    assert said in "\n".join(failures(suite))


@pytest.mark.parametrize(
    ("read", "failed"),
    [("json.loads(body)", False), ("json.loads(body.lower())", True)],
)
def test_a_format_is_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: str, *, failed: bool
) -> None:
    reader = f"import json\ndef read(body): return {read}\n"
    text = f'{SOUND}{reader}FORMAT = declare("mine", render)\n'
    plugins.install(tmp_path, {"of_an_author": text})
    monkeypatch.syspath_prepend(tmp_path)
    module = import_module("of_an_author")

    class Suite(RoundTripSuite):
        format: ClassVar[object] = module.FORMAT

        def read_back(self, body: bytes) -> object:
            return module.read(body)

    assert ("read back is {" in "\n".join(failures(Suite()))) is failed


def test_the_suite_needs_no_pytest_to_be_imported() -> None:
    program = "import sys, promptlooper_export.testing; print('pytest' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True
    )
    assert done.stdout == b"False\n"
