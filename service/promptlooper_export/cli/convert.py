"""`promptlooper-export convert`."""

import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from pathlib import Path

import click

from promptlooper_export import settings
from promptlooper_export.cli.deployed import made_up, read_config
from promptlooper_export.cli.files import format_named_by
from promptlooper_export.cli.sources import WITHIN, imported, one_of
from promptlooper_export.cli.writing import (
    FORMAT,
    OPTIONS,
    OUTPUT,
    REPRODUCIBLE,
    STRICT,
    UNREDACTED,
    choose_format,
    limits_for,
    write_body,
)
from promptlooper_export.configs import JSON
from promptlooper_export.documents import Best
from promptlooper_export.errors import UsageError
from promptlooper_export.export import Limits, Selection, export, export_document
from promptlooper_export.importers.importer import UnknownSourceError, choose, read_best
from promptlooper_export.registry import (
    AnyFormat,
    Registry,
    discover,
    load_format_options,
)
from promptlooper_export.spool import Body, spool
from promptlooper_export.viewer import OPERATOR


@click.command()
@click.argument("source", metavar="FILE")
@FORMAT
@OUTPUT
@OPTIONS
@WITHIN
@REPRODUCIBLE
@UNREDACTED
@STRICT
def convert(
    *,
    source: str,
    format_name: str | None,
    output: str,
    pairs: list[tuple[str, str]],
    experiment: str | None,
    reproducible: bool,
    unredacted: bool,
    strict: bool,
) -> None:
    """Write an export in another format, without a database.

    To any format, FILE is an export as ndjson with header=1 or as parquet, or any other
    file that `import` accepts. To the formats of the best config, it may also be an
    export as json, yaml or toml. With only=config, such a file does not say which run
    it is from; comments that would say so are left out.
    """
    loaded = settings.load()
    registry = discover(sandbox_seconds=loaded.render_timeout)
    chosen = choose_format(registry, name=format_name, output=output)
    options = load_format_options(chosen, pairs)
    selection = Selection(reproducible=reproducible, redact=not unredacted)
    limits = limits_for(loaded)
    if (found := _document(source, registry)) is not None:
        _refuse_others(source, chosen)
        render = partial(
            export_document,
            format=chosen,
            options=options,
            redacted=selection.redact,
            limits=limits,
        )
        own, held = found
        if held.keys() >= _OF_A_RUN:
            body = render(_whole(source, held, own))
        else:
            body = _alone(source, (render(one) for one in made_up(held)), limits)
    else:
        with imported(source) as store:
            body = export(
                store,
                OPERATOR,
                one_of(store, source, experiment),
                chosen,
                options,
                selection=selection,
                limits=limits,
            )
    write_body(body, output, chosen, strict=strict)


_OF_A_RUN = {"run_id", "config_hash", "config"}
"""Members by which a whole document is told from a config alone."""


def _document(
    source: str, registry: Registry
) -> tuple[AnyFormat, Mapping[str, JSON]] | None:
    """Return the format of a json, yaml or toml file and what it holds.

    None for a file to import. Raises ComparisonError if it cannot be read, and OSError.
    """
    format = format_named_by(source, registry.formats)
    if format is None or format.read is None:
        return None
    if "only" not in format.options().load_fields:
        return None
    data = Path(source).read_bytes()
    held = read_config(format, data, {"only": "config"}, name=source)
    is_ours = held.keys() >= _OF_A_RUN or not _can_be_imported(source)
    return (format, held) if is_ours else None


def _can_be_imported(source: str) -> bool:
    try:
        choose(source, kind=None)
    except UnknownSourceError:
        return False
    return True


def _refuse_others(source: str, chosen: AnyFormat) -> None:
    """Raise UsageError if the target needs more than the best config."""
    if chosen.document is not Best:
        msg = (
            f"{source} holds only the best config; for {chosen.name!r}, convert an "
            "export as ndjson with header=1 or as parquet"
        )
        raise UsageError(msg)


def _whole(source: str, document: Mapping[str, JSON], own: AnyFormat) -> Best:
    """Return a whole document without the warnings that its own format added."""
    best = read_best(source, json.dumps(document).encode())
    told = set(own.stream(best))
    warnings = tuple(notice for notice in best.warnings if notice not in told)
    return replace(best, warnings=warnings)


def _alone(source: str, bodies: Iterable[Body], limits: Limits) -> Body:
    """Return a body without the comments that say which run the config is from.

    They are the lines that differ between two bodies of made-up runs. Raises UsageError
    if a line that differs is not a comment.
    """
    with ExitStack() as opened:
        one, other = map(opened.enter_context, bodies)
        pairs = [*zip_longest(one.file, other.file, fillvalue=b"")]
    if not all(a == b or a.startswith(b"#") for a, b in pairs):
        msg = (
            f"{source} holds the config alone, and the other format also says which "
            "run it is from; use -O only=config, or convert the whole document"
        )
        raise UsageError(msg)
    return spool(
        [*one.notices, *(a for a, b in pairs if a == b)],
        title=Path(source).stem,
        content=None,
        row_count=None,
        last_run=None,
        limit=limits.spool_bytes,
        space=limits.space,
    )
