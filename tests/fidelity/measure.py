"""Render a corpus in a format and let every reader read it."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from fidelity.readers import READERS
from fidelity.subjects import Reader, Subject, whole
from fidelity.verdicts import Tally, differences, unexcused, variables_differ
from formats.configs import Config
from formats.rendering import Rendered, best, render
from formats.variables import variables
from promptlooper_export.errors import UnrepresentableError
from promptlooper_export.registry import discover

FORMATS = discover().formats


def measure(subject: Subject, corpus: Mapping[str, Config]) -> dict[str, Tally]:
    """Return a tally for each reader of the subject."""
    rendered: dict[str, Rendered] = {}
    refused = 0
    for name, config in corpus.items():
        try:
            rendered[name] = render(
                FORMATS[subject.format], best(config), **subject.options
            )
        except UnrepresentableError as error:
            assert error.members["paths"], f"{name} is refused without a path"
            refused += 1
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for place, file in enumerate(rendered.values()):
            path = Path(folder) / f"{place}.{FORMATS[subject.format].extension}"
            path.write_bytes(file.body)
            files.append(path)
        return {
            reader.name: _tally(
                subject,
                reader,
                corpus,
                dict(zip(rendered, READERS[reader.name](files), strict=True)),
                rendered,
                refused,
            )
            for reader in subject.readers
        }


def _tally(  # noqa: PLR0913
    subject: Subject,
    reader: Reader,
    corpus: Mapping[str, Config],
    found: Mapping[str, object],
    rendered: Mapping[str, Rendered],
    refused: int,
) -> Tally:
    tally = Tally(refused=refused)
    for name, value in found.items():
        if subject.format == "env":
            differ = variables_differ(variables(corpus[name]), value)
        else:
            differ = differences(whole(corpus[name]), value, doubles=reader.doubles)
        left = unexcused(
            differ,
            rendered[name].notices,
            excuses=reader.excuses,
            fatal=reader.fatal,
        )
        if not differ:
            tally.identical += 1
        elif not left:
            tally.warned += 1
        else:
            tally.different.append(f"{name}: {left}")
    return tally
