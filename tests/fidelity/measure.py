"""Render a corpus in a format and let every reader read it."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from fidelity.readers import READERS, Failure
from fidelity.subjects import Reader, Subject
from fidelity.verdicts import Tally, differences, leaves, unexcused, variables_differ
from formats.configs import Config
from formats.rendering import Rendered, best, render
from formats.variables import variables
from promptlooper_export.errors import UnrepresentableError
from promptlooper_export.registry import discover

FORMATS = discover().formats


def measure(subject: Subject, corpus: Mapping[str, Config]) -> dict[str, Tally]:
    """Return a tally for each reader of the subject."""
    rendered = dict(_rendered(subject, corpus))
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{place}.export" for place in range(len(rendered))]
        for path, file in zip(files, rendered.values(), strict=True):
            path.write_bytes(file.body)
        return {
            reader.name: _tally(
                subject,
                reader,
                corpus,
                zip(rendered.items(), READERS[reader.name](files), strict=True),
            )
            for reader in subject.readers
        }


def _rendered(
    subject: Subject, corpus: Mapping[str, Config]
) -> Iterator[tuple[str, Rendered]]:
    for name, config in corpus.items():
        try:
            yield (
                name,
                render(FORMATS[subject.format], best(config), **subject.options),
            )
        except UnrepresentableError as error:
            if not error.members["paths"]:
                raise


def _tally(
    subject: Subject,
    reader: Reader,
    corpus: Mapping[str, Config],
    found: Iterable[tuple[tuple[str, Rendered], object]],
) -> Tally:
    tally = Tally()
    for (name, file), value in found:
        taken = value if isinstance(value, Failure) else subject.take(value)
        if subject.variables:
            differ = variables_differ(variables(corpus[name]), taken)
        else:
            wanted = dict(leaves(corpus[name]))
            differ = differences(wanted, taken, doubles=reader.doubles)
        left = unexcused(
            differ, file.notices, excuses=reader.excuses, fatal=reader.fatal
        )
        if not differ:
            tally.identical += 1
        elif not left:
            tally.warned += 1
        else:
            tally.different.append(f"{name}: {left}")
    tally.refused = len(corpus) - tally.identical - tally.warned - len(tally.different)
    return tally
