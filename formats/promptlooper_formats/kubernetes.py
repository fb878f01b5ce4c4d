"""The best config as a Kubernetes ConfigMap or Secret.

Its data is the variables of a .env file, for `envFrom`; or, with `key`, one file that
holds the config as JSON, for a volume. A Secret's data is in base64, as the API server
keeps it: `kubectl diff` then compares what is there.
"""

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from hashlib import sha256

from marshmallow import Schema, fields
from marshmallow.validate import Regexp

from promptlooper_export.plugin import (
    JSON,
    Best,
    Format,
    Notice,
    UnrepresentableError,
    flatten,
)
from promptlooper_formats.shared.notices import redacted, refuse_surrogates
from promptlooper_formats.shared.text import header, warning, write_json
from promptlooper_formats.shared.variables import (
    LETTERS_LOST,
    PREFIX,
    Assignment,
    assignments,
    has_a_meaning,
    loses_letters,
)
from promptlooper_formats.shared.yaml_reading import read_documents
from promptlooper_formats.yaml import dumped

# RFC 1123, as https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
_LABEL = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_LONGEST_LABEL = 63
_LONGEST_KEY = 253

# https://kubernetes.io/docs/concepts/configuration/configmap/#motivation
_LARGEST = 1 << 20

# `kubectl apply` keeps the manifest as JSON in an annotation, and the API server takes
# no more bytes of annotations (TotalAnnotationSizeLimitB in apimachinery). The manifest
# is compared as a whole: that is more, by a few bytes, than the annotation holds.
_LARGEST_APPLIED = 1 << 18

_MARK = 8
"""Hexadecimal digits that keep names apart that were made to fit."""


class ManifestOptions(Schema):
    """The options of both formats."""

    # \Z and not $, which would accept a line break at the end.
    name = fields.String(
        load_default="",
        validate=Regexp(f"({_LABEL})?\\Z", error="Must be an RFC 1123 label."),
        metadata={"description": "metadata.name; else the experiment's, made to fit"},
    )
    namespace = fields.String(
        load_default="",
        validate=Regexp(f"({_LABEL})?\\Z", error="Must be an RFC 1123 label."),
        metadata={"description": "metadata.namespace; else there is none"},
    )
    key = fields.String(
        load_default="",
        validate=Regexp(
            "([-._a-zA-Z0-9]{1,253})?\\Z", error="Must be a key, such as config.json."
        ),
        metadata={"description": "One key that holds the config as JSON, for a volume"},
    )
    prefix = PREFIX


def _render(
    kind: str,
    encode: Callable[[str], str],
    best: Best,
    *,
    name: str = "",
    namespace: str = "",
    key: str = "",
    prefix: str = "",
) -> Iterator[bytes | Notice]:
    """Yield the header and the manifest.

    Refuses lone surrogates, two paths with one key, NUL in a variable, and more than
    the 1 MiB that the API server accepts.
    """
    refuse_surrogates(best.config, f"a {kind}")
    found = [] if key else assignments(best.config, prefix=prefix)
    data = _file(best, key) if key else _variables(found)
    _refuse_size(best, data, kind)
    fitted = name or _fitted(best)
    manifest: dict[str, JSON] = {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": _metadata(best, name=fitted, namespace=namespace),
        **({"type": "Opaque"} if kind == "Secret" else {}),
        "data": {key: encode(text) for key, text in data.items()},
    }
    lines = list(header(best))
    for notice in (
        *redacted(best),
        *_changed_name(best, fitted, is_chosen=bool(name)),
        *_too_large_to_apply(manifest),
        *_notices(found),
    ):
        yield notice
        lines.append(warning(notice))
    yield "".join(f"{line}\n" for line in lines).encode()
    yield dumped(manifest)


def _refuse_size(best: Best, data: Mapping[str, str], kind: str) -> None:
    # Before base64: the API server limits the decoded data.
    if sum(len(f"{key}{text}".encode()) for key, text in data.items()) > _LARGEST:
        path, _ = max(flatten(best.config), key=lambda leaf: len(str(leaf[1])))
        detail = (
            f"The config is larger than the 1 MiB of a {kind}, {path} being the "
            "longest value; choose format=json."
        )
        raise UnrepresentableError(detail, paths=(str(path),))


def _file(best: Best, key: str) -> dict[str, str]:
    return {key: f"{write_json(best.config, indent=2)}\n"}


def _variables(found: list[Assignment]) -> dict[str, str]:
    refused = {
        str(one.path): "no variable can hold NUL"
        if "\0" in one.text
        else f"the key {one.key[:40]}... has more than {_LONGEST_KEY} characters"
        for one in found
        if "\0" in one.text or len(one.key) > _LONGEST_KEY
    }
    if refused:
        reasons = "; ".join(f"{path}: {reason}" for path, reason in refused.items())
        detail = f"{reasons}; choose key=config.json, or format=json."
        raise UnrepresentableError(detail, paths=tuple(refused))
    return {one.key: one.text for one in found}


def _notices(found: list[Assignment]) -> Iterator[Notice]:
    for one in found:
        if has_a_meaning(one.key):
            yield Notice(
                code="key-with-a-meaning",
                message=(
                    "In a container, a variable of this name takes effect on programs; "
                    "prefix=APP_ helps."
                ),
                path=str(one.path),
            )
        if loses_letters(one.path):
            yield Notice(code="lost-letters", message=LETTERS_LOST, path=str(one.path))


def _fitted(best: Best) -> str:
    """Return the experiment's name as a label, with a mark if anything was changed.

    Two experiments may have names that become one label: the mark, a digest of the
    experiment's id, keeps the second manifest from replacing the first.
    """
    if re.fullmatch(_LABEL, best.experiment_name):
        return best.experiment_name
    mark = sha256(best.experiment_id.bytes).hexdigest()[:_MARK]
    kept = re.sub("[^a-z0-9]+", "-", best.experiment_name.lower()).strip("-")
    kept = kept[: _LONGEST_LABEL - _MARK - 1].rstrip("-")
    return f"{kept or 'experiment'}-{mark}"


def _changed_name(best: Best, name: str, *, is_chosen: bool) -> Iterator[Notice]:
    if not is_chosen and name != best.experiment_name:
        yield Notice(
            code="changed-name",
            message=(
                f"Kubernetes takes no object named {best.experiment_name!r}: its name "
                f"is {name!r}; choose another one with name=."
            ),
        )


def _too_large_to_apply(manifest: Mapping[str, JSON]) -> Iterator[Notice]:
    size = len(json.dumps(manifest, ensure_ascii=False, separators=(",", ":")).encode())
    if size > _LARGEST_APPLIED:
        yield Notice(
            code="too-large-to-apply",
            message=(
                f"The manifest has {size:,} bytes, and `kubectl apply` keeps at most "
                f"{_LARGEST_APPLIED:,} in an annotation: add --server-side."
            ),
        )


def _metadata(best: Best, *, name: str, namespace: str) -> dict[str, JSON]:
    return {
        "name": name,
        **({"namespace": namespace} if namespace else {}),
        "labels": {"app.kubernetes.io/managed-by": "promptlooper-export"},
        "annotations": {
            "promptlooper-export/experiment-id": str(best.experiment_id),
            "promptlooper-export/run-id": str(best.run_id),
            "promptlooper-export/config-hash": best.config_hash,
        },
    }


def _read(
    kind: str, decode: Callable[[str], str], data: bytes, *, key: str = "", **_: str
) -> Mapping[str, JSON]:
    """Return the text under each key; with `key`, the config that the file holds.

    Of several manifests, as helm and kustomize write them, only one may be of this
    kind. A Secret's `stringData` goes before its `data`, as on the API server. Raises
    ValueError for any other file.
    """
    manifest = _only_one(kind, read_documents(data))
    texts = {name: decode(text) for name, text in _texts(manifest, "data").items()}
    if kind == "Secret":
        texts |= _texts(manifest, "stringData")
    if not {"data", "stringData"} & manifest.keys():
        msg = "the manifest has no data"
        raise ValueError(msg)
    if not key:
        return dict(texts)
    found = json.loads(texts.get(key, "null"))
    if not isinstance(found, dict):
        msg = f"there is no config under {key!r}"
        raise ValueError(msg)
    return found


def _only_one(kind: str, documents: list[JSON]) -> dict[str, JSON]:
    manifests = [one for one in documents if isinstance(one, dict)]
    fitting = [one for one in manifests if one.get("kind") == kind]
    if len(fitting) != 1:
        msg = f"it holds {len(fitting)} manifests of this kind; keep the one to read"
        raise ValueError(msg)
    return fitting[0]


def _texts(manifest: Mapping[str, JSON], member: str) -> dict[str, str]:
    held = manifest.get(member) or {}
    if not isinstance(held, dict):
        msg = f"{member} is not a mapping"
        raise ValueError(msg)
    texts = {name: text for name, text in held.items() if isinstance(text, str)}
    for name in held.keys() - texts.keys():
        msg = f"{member}.{name} is not text; put it in quotes"
        raise ValueError(msg)
    return texts


def _as_is(text: str) -> str:
    return text


def _encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


def _decoded(text: str) -> str:
    # Without validate, characters outside the alphabet are skipped silently.
    return b64decode(text, validate=True).decode()


CONFIGMAP = Format(
    name="configmap",
    title="Kubernetes ConfigMap",
    document=Best,
    media_types=("application/vnd.promptlooper.configmap+yaml",),
    extension="yaml",
    render=partial(_render, "ConfigMap", _as_is),
    options=ManifestOptions,
    read=partial(_read, "ConfigMap", _as_is),
)
SECRET = Format(
    name="secret",
    title="Kubernetes Secret",
    document=Best,
    media_types=("application/vnd.promptlooper.secret+yaml",),
    extension="yaml",
    render=partial(_render, "Secret", _encoded),
    options=ManifestOptions,
    read=partial(_read, "Secret", _decoded),
    private=True,
)
