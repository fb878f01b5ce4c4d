"""The best config as YAML that readers of 1.1 and 1.2 read alike."""

import re
from collections.abc import Iterator, Mapping

import yaml
from yaml.representer import SafeRepresenter

from promptlooper_export.plugin import (
    JSON,
    Best,
    Format,
    Notice,
    Path,
    UnrepresentableError,
    check_deadline,
)
from promptlooper_formats.shared.best_document import (
    BestOptions,
    config_in,
    members,
    refuse_unencodable,
)
from promptlooper_formats.shared.notices import big_integers, scalars
from promptlooper_formats.shared.text import header, warning
from promptlooper_formats.shared.yaml_reading import read_yaml

try:
    from yaml import CSafeDumper as BaseDumper
except ImportError:  # PyYAML without libyaml is right as well, and 7 times slower
    from yaml import SafeDumper as BaseDumper  # type: ignore[assignment]

# Begins with a letter and has no indicator: only _TRAPS are read as anything else.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*([ ./-][A-Za-z0-9_]+)*")
_LONGEST_PLAIN = 120
_DEEPEST = 100
_NEVER_WRAPPED = 2**31 - 1  # the widest that libyaml can be told

# Read as another type by some version of the language or some reader: booleans of YAML
# 1.1 are y, n, yes, no, on and off as well, those of 1.2 only true and false.
_TRAPS = frozenset(
    (
        "y", "n", "yes", "no", "on", "off", "true", "false",
        "null", "none", "undefined", "nan", "inf", "infinity",
    )
)  # fmt: skip

# Some reader changes these in a block scalar, where nothing can be escaped.
_NOT_IN_A_BLOCK = re.compile(r"\A[ \t\n]|[ \t]$|^\t|[\xa0\ufeff]", re.MULTILINE)


class Dumper(BaseDumper):
    """Quotes text unless every reader takes it for text without quotes."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  PyYAML's signature
        """Write equal values out in full each time; this is called for each value."""
        check_deadline()
        # PyYAML writes an alias if two values happen to be one object in memory.
        return True


def _represent_text(dumper: SafeRepresenter, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=_style(text))


def _style(text: str) -> str | None:
    if (
        len(text) < _LONGEST_PLAIN
        and _PLAIN.fullmatch(text)
        and text.lower() not in _TRAPS
    ):
        return None
    if (
        "\n" in text
        and not _NOT_IN_A_BLOCK.search(text)
        and text.replace("\n", "").replace("\t", "").isprintable()
    ):
        return "|"
    # The only style with escapes, so it holds any text.
    return '"'


Dumper.add_representer(str, _represent_text)


def render(best: Best, *, only: str | None = None) -> Iterator[bytes | Notice]:
    """Yield the header and the document, or only the config, as one mapping.

    Refuses text with a lone surrogate, and a config too deeply nested for PyYAML.
    """
    refuse_unencodable(best, only, "YAML")
    notices = (
        *big_integers(best.config),
        *_deep(best.config, only),
        *_merges(best.config),
    )
    yield from notices
    lines = (*header(best), *map(warning, notices))
    yield "".join(f"{line}\n" for line in lines).encode()
    yield dumped(members(best, only, notices))


def _deep(config: Mapping[str, JSON], only: str | None) -> Iterator[Notice]:
    # The document around it is a level of its own.
    deepest = _DEEPEST if only == "config" else _DEEPEST - 1
    for path, _ in scalars(config):
        if len(path) >= deepest:
            yield Notice(
                code="nested-deeply",
                message=f"js-yaml refuses more than {_DEEPEST} levels of nesting.",
                path=str(path),
            )


def _merges(config: Mapping[str, JSON]) -> Iterator[Notice]:
    found = {
        str(Path(path[: place + 1])): None
        for path, _ in scalars(config)
        for place, key in enumerate(path)
        if key == "<<"
    }
    for path in found:
        yield Notice(
            code="merge-key",
            message=(
                "Ruby's psych and Bun merge what is under the key << into the mapping "
                "around it, even if the key is quoted; rename the key."
            ),
            path=path,
        )


def dumped(value: Mapping[str, JSON]) -> bytes:
    """Write a mapping; raises UnrepresentableError for one nested too deeply."""
    try:
        text: bytes = yaml.dump(
            dict(value),
            Dumper=Dumper,
            width=_NEVER_WRAPPED,
            allow_unicode=True,
            sort_keys=False,
            default_flow_style=False,
            encoding="utf-8",
        )
    except RecursionError as error:
        detail = "The config is nested too deeply for YAML; choose format=json."
        raise UnrepresentableError(detail, paths=()) from error
    return text


def read(data: bytes, *, only: str | None = None) -> Mapping[str, JSON]:
    """Return the config of a whole document, or of a file that is the config alone.

    With `only=config`, the file is the config alone, whatever it holds.

    Raises ValueError, saying where, unless the file is YAML, a mapping and JSON values.
    """
    return config_in(read_yaml(data), only)


YAML = Format(
    name="yaml",
    title="YAML",
    document=Best,
    media_types=(
        "application/yaml",
        "text/yaml",
        "application/x-yaml",
        "text/x-yaml",
        "text/vnd.yaml",
    ),
    extension="yaml",
    options=BestOptions,
    render=render,
    read=read,
)
