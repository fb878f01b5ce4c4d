"""`promptlooper-export diff`."""

import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import click

from promptlooper_export import settings
from promptlooper_export.cli.deployed import (
    STDIN,
    Deployed,
    config_said_in,
    is_flat,
    load_deployed,
    poorer,
    read_config,
    write_changes,
)
from promptlooper_export.cli.terminal import counted, note, printable
from promptlooper_export.cli.writing import (
    FROM,
    OPTIONS,
    limits_for,
)
from promptlooper_export.comparison import Change, changes
from promptlooper_export.configs import JSON
from promptlooper_export.errors import DifferenceError
from promptlooper_export.export import Selection, export
from promptlooper_export.redaction import REDACTED
from promptlooper_export.registry import Registry, discover
from promptlooper_export.store.snapshot import Store, open_store
from promptlooper_export.viewer import OPERATOR


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@FROM
@OPTIONS
@click.option(
    "--only-exported",
    is_flag=True,
    help="Ignore what only the file has, such as other variables of a deployment.",
)
@click.option("--json", "as_json", is_flag=True, help="Write the differences as JSON.")
@click.option(
    "--unredacted",
    is_flag=True,
    help="Compare secrets as well; their values are never printed.",
)
def diff(
    *,
    a: str,
    b: str,
    kind: str | None,
    pairs: list[tuple[str, str]],
    only_exported: bool,
    as_json: bool,
    unredacted: bool,
) -> None:
    """Show how two configs differ.

    A and B are each a file, - for standard input, or an experiment, of which the best
    config is compared: give its id, the beginning of its id, or its name. The exit code
    is 0 if nothing differs, else 3.

    The comparison uses only what the formats of both can express: a .env file is
    compared by variable, for example.
    """
    loaded = settings.load()
    registry = discover(sandbox_seconds=loaded.render_timeout)
    one, other = (
        load_deployed(source, registry, kind=kind, pairs=pairs)
        if _is_file(source)
        else source
        for source in (a, b)
    )
    old, new = _configs(one, other, registry, loaded, redact=not unredacted)
    found = list(changes(old, new))
    hidden = _hidden(found)
    if hidden:
        note(f"not compared because they are secrets: {_paths(hidden)}")
    left = [change for change in found if change not in hidden]
    if only_exported:
        extra = "removed" if isinstance(one, Deployed) else "added"
        left = [change for change in left if change.kind != extra]
    write_changes(left, as_json=as_json)
    if left:
        raise DifferenceError(counted(len(left), "difference"))
    note("no differences")


def _is_file(source: str) -> bool:
    # A file goes before an experiment of the same name.
    path = Path(source)
    return source == STDIN or (path.exists() and not path.is_dir())


def _paths(found: list[Change]) -> str:
    return ", ".join(printable(change.path) for change in found)


def _configs(
    one: Deployed | str,
    other: Deployed | str,
    registry: Registry,
    loaded: settings.Settings,
    *,
    redact: bool,
) -> tuple[Mapping[str, JSON], Mapping[str, JSON]]:
    """Return both configs in a form that both formats can express."""
    if isinstance(one, Deployed) and isinstance(other, Deployed):
        target = poorer(one, other)
        return _said_in(one, target), _said_in(other, target)
    target = next(
        (source for source in (one, other) if isinstance(source, Deployed)),
        # Two experiments are compared as JSON, which can express any config.
        Deployed(name="", data=b"", format=registry.formats["json"], options={}),
    )
    with closing(open_store(loaded.database_url)) as store:

        def config(source: Deployed | str) -> Mapping[str, JSON]:
            if isinstance(source, Deployed):
                return source.config()
            return _winner(store, source, target, loaded, redact=redact)

        return config(one), config(other)


def _said_in(deployed: Deployed, target: Deployed) -> Mapping[str, JSON]:
    if deployed is target:
        return deployed.config()
    # Formats of variables all express the same, so nothing needs converting.
    if deployed.format == target.format or is_flat(deployed):
        return deployed.config()
    return config_said_in(deployed.config(), target.format, target.options)


def _winner(
    store: Store,
    reference: str,
    target: Deployed,
    loaded: settings.Settings,
    *,
    redact: bool,
) -> Mapping[str, JSON]:
    """Return the best config of an experiment, as far as the format can express it."""
    with store.snapshot(OPERATOR) as snapshot:
        experiment = snapshot.find(reference)
    body = export(
        store,
        OPERATOR,
        experiment,
        target.format,
        target.options,
        selection=Selection(redact=redact),
        limits=limits_for(loaded),
    )
    with body:
        data = body.file.read()
    return read_config(target.format, data, target.options, name=reference)


def _hidden(found: list[Change]) -> list[Change]:
    """Return the changes that exist only because a secret was redacted in the export.

    A mark may replace a whole object. If the other side has nothing in its place, that
    is an ordinary difference.
    """
    marks = [change.path for change in found if REDACTED in (change.old, change.new)]
    below = {
        mark: [change.path for change in found if _is_below(change.path, mark)]
        for mark in marks
    }
    hidden = {path for paths in below.values() for path in paths}
    hidden |= {mark for mark, paths in below.items() if paths}
    return [
        change
        for change in found
        if change.path in hidden
        or (change.kind == "changed" and REDACTED in json.dumps(change.new))
        or (change.kind == "changed" and REDACTED in json.dumps(change.old))
    ]


def _is_below(path: str, mark: str) -> bool:
    return path.startswith((f"{mark}.", f"{mark}_"))
