"""Two corpora by kind: documents in which a secret hides, and innocent ones.

`python -m secrets_by_kind` prints how many of them are redacted wrongly.
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import default_settings

import secrets_corpus as corpus
from formats.configs import Config
from formats.rendering import best
from promptlooper_export.configs import JSON
from promptlooper_export.documents import Best
from promptlooper_export.redaction import redact

DATA = Path(__file__).parent / "data"

# Made up, and put together here so that scanners of source code find none.
_PART = re.compile(r"[^\W_]{5,}|w0rd")
_SECRETS = {
    "%S%": (corpus.PHRASE, "Tr0ub4" + "dor3horse", corpus.some(32)),
    "%URL%": ("p/a#s?s" + "@w0rd", "12/3" + "4@x#yz", "a@b" + ":c/d9"),
    "%WEB%": ("p/a#s?s" + "@w0rd", "pa#x" + "9z", "a@b" + ":c/d9"),
    "%LONG%": (corpus.some(40), corpus.some(32, "0a1b2c3d4e5f6789")),
}
_HEX = {f"HEX{count}": corpus.some(count, "0a1b2c3d4e5f6789") for count in (32, 40, 64)}


@dataclass(frozen=True)
class Case:
    """A config, and the secrets in it that no output may have."""

    kind: str
    config: Config
    secrets: tuple[str, ...] = ()


def hidden() -> Iterator[Case]:
    """Yield every document with a secret, with each made-up secret in it."""
    for kind, line in _lines("secrets_hidden.txt", "secrets_hidden_held_out.txt"):
        mark = next(mark for mark in _SECRETS if mark in line)
        for secret in _SECRETS[mark]:
            yield Case(kind, json.loads(line.replace(mark, secret)), (secret,))
    for secret in corpus.SHAPES.values():
        yield Case("shapes of issuers", {"note": f"see {secret}"}, (secret,))
        yield Case("shapes of issuers", {"list": [[secret]]}, (secret,))


def kept() -> Iterator[Case]:
    """Yield every document in which nothing is secret."""
    for kind, line in _lines("secrets_kept.txt", "secrets_kept_held_out.txt"):
        text = line
        for mark, digest in _HEX.items():
            text = text.replace(mark, digest)
        yield Case(kind, json.loads(text))


def _lines(*names: str) -> Iterator[tuple[str, str]]:
    kind = ""
    for name in names:
        for line in (DATA / name).read_text(encoding="utf-8").splitlines():
            if line.startswith("["):
                kind = line.strip("[]")
            elif line.startswith("{"):
                yield kind, line


def redacted(case: Case) -> Mapping[str, JSON]:
    """Return the config as an export has it."""
    document = redact(best(case.config))
    assert isinstance(document, Best)
    return document.config


def leaks(case: Case) -> bool:
    """Return whether a secret is in the output, in any of its spellings."""
    text = json.dumps(redacted(case), ensure_ascii=False)
    return any(
        part in text
        for secret in case.secrets
        for part in (secret, *(_PART.findall(secret) if "\n" not in secret else ()))
    )


def is_altered(case: Case) -> bool:
    """Return whether an innocent document is another one afterwards."""
    return json.dumps(redacted(case)) != json.dumps(case.config)


def second_opinion(documents: Iterable[Mapping[str, JSON]]) -> list[str]:
    """Return the lines of documents in which detect-secrets finds a secret."""
    lines = [
        line
        for document in documents
        for line in json.dumps(document, indent=1, ensure_ascii=False).split("\n")
    ]
    found = SecretsCollection()
    with NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        file.write("\n".join(lines))
        file.flush()
        with default_settings():
            found.scan_file(file.name)
    return [f"{one.type}: {lines[one.line_number - 1]}" for _, one in found]


def main() -> int:
    """Print the figures and every wrong case; return the exit code."""
    secret, innocent = [*hidden()], [*kept()]
    leaking = [case for case in secret if leaks(case)]
    altered = [case for case in innocent if is_altered(case)]
    print(f"{'kind':44} {'cases':>6} {'wrong':>6}")  # noqa: T201
    for cases, wrong in ((secret, leaking), (innocent, altered)):
        counts = Counter(case.kind for case in wrong)
        for kind, count in Counter(case.kind for case in cases).items():
            print(f"{kind:44} {count:6} {counts[kind]:6}")  # noqa: T201
    print(f"leaks: {len(leaking)} of {len(secret)}")  # noqa: T201
    print(f"false alarms: {len(altered)} of {len(innocent)}")  # noqa: T201
    doubts = second_opinion(map(redacted, secret))
    print(f"second opinion, of detect-secrets: {len(doubts)}")  # noqa: T201
    for doubt in doubts:
        print(doubt)  # noqa: T201
    for case in leaking + altered:
        shown = json.dumps(case.config, ensure_ascii=False)
        print(case.kind, shown, json.dumps(redacted(case)), sep="\n   ")  # noqa: T201
    return 1 if leaking or len(altered) * 100 > len(innocent) else 0


if __name__ == "__main__":
    sys.exit(main())
