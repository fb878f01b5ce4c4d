"""Variables: how a config becomes variables, and which names have a meaning."""

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

from marshmallow import fields
from marshmallow.validate import Regexp

from promptlooper_export.plugin import JSON, Path, UnrepresentableError, flatten

PREFIX = fields.String(
    load_default="",
    validate=Regexp(
        "([A-Z_][A-Z0-9_]*)?\\Z",
        error="Must be upper-case letters, digits and underscores, such as APP_.",
    ),
    metadata={"description": "What every name begins with, such as APP_"},
)
"""The option of formats whose names are those of variables."""


def switch(description: str) -> fields.Boolean:
    """Return an option that is off unless it is 1 or true."""
    return fields.Boolean(
        load_default=False,
        truthy={"1", "true"},
        falsy={"0", "false"},
        metadata={"description": description},
    )


# What is assigned to these is evaluated as arithmetic, and arithmetic runs the commands
# in a subscript: bash(1) for the first four, zshparam(1) for all.
EVALUATED = frozenset(
    (
        "HISTCMD", "OPTIND", "RANDOM", "SRANDOM",
        "BAUD", "COLUMNS", "DIRSTACKSIZE", "EGID", "ERRNO", "EUID", "FUNCNEST", "GID",
        "HISTSIZE", "KEYTIMEOUT", "LINENO", "LINES", "LISTMAX", "LOGCHECK", "MAILCHECK",
        "PERIOD", "PPID", "REPORTMEMORY", "REPORTTIME", "SAVEHIST", "SECONDS", "SHLVL",
        "TMOUT", "TRY_BLOCK_ERROR", "TRY_BLOCK_INTERRUPT", "TTYIDLE", "UID",
        "ZLE_RPROMPT_INDENT",
    )
)  # fmt: skip

# Shells refuse or compute the first rows; the others change what programs do. zsh as
# root becomes the user that USERNAME names.
_OTHERS = frozenset(
    (
        "DIRSTACK", "EPOCHREALTIME", "EPOCHSECONDS", "FUNCNAME", "GROUPS", "PIPESTATUS",
        "SHELLOPTS", "_",
        "ARGC", "ARGV0", "HISTCHARS", "KEYBOARD_HACK",
        "CDPATH", "EDITOR", "ENV", "GLOBIGNORE", "HOME", "IFS", "LANG", "LANGUAGE",
        "LESSOPEN", "LOGNAME", "NODE_OPTIONS", "OLDPWD", "OPTARG", "OPTERR", "PAGER",
        "PATH", "PERL5LIB", "PERL5OPT", "POSIXLY_CORRECT", "PROMPT_COMMAND", "PS0",
        "PS1", "PS2", "PS3", "PS4", "PWD", "PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP",
        "RUBYOPT", "SHELL", "TEMP", "TERM", "TMP", "TMPDIR", "TZ", "USER", "USERNAME",
        "VISUAL", "WATCH",
    )
)  # fmt: skip

# Programs send their traffic elsewhere, or trust other certificates. Many read these in
# lower case as well; the names of our variables are in upper case.
_NETWORK = frozenset(
    (
        # curl(1), "Environment"; requests, "Proxies"; Go's httpproxy
        "ALL_PROXY", "FTP_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
        # SSL_CTX_load_verify_locations(3), config(5ssl)
        "SSL_CERT_DIR", "SSL_CERT_FILE", "OPENSSL_CONF", "SSLKEYLOGFILE",
        # curl(1), "Environment"; the page "SSL Cert Verification" of requests
        "CURL_CA_BUNDLE", "CURL_HOME", "REQUESTS_CA_BUNDLE",
        # kubectl, "Organizing Cluster Access Using kubeconfig Files"
        "KUBECONFIG",
        # java(1), "Using the JDK_JAVA_OPTIONS Launcher Environment Variable"; JVM TI
        "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS",
        # node(1), "Environment"; NODE_ENV is read by npm, Express and bundlers
        "NODE_DEBUG", "NODE_ENV", "NODE_EXTRA_CA_CERTS", "NODE_PATH",
        "NODE_TLS_REJECT_UNAUTHORIZED", "NODE_V8_COVERAGE",
    )
)  # fmt: skip

_FAMILIES = (
    "BASH", "COMP_", "LC_", "LD_", "ZSH_",
    "DYLD_",  # dyld(1), the LD_ of macOS
    "COMPOSE_",  # Docker Compose, "Pre-defined environment variables", also in .env
    "DOCKER_",  # docker(1), "Environment variables"
    "GIT_",  # git(1), "Environment Variables": GIT_SSH_COMMAND is run
    "KUBERNETES_",  # where clients in a pod find the API server
    "PYTHON",  # python(1), "Environment variables"
)  # fmt: skip


def has_a_meaning(name: str) -> bool:
    """Return whether a variable of this name is more than a value."""
    return (
        name in EVALUATED
        or name in _OTHERS
        or name in _NETWORK
        or name.startswith(_FAMILIES)
    )


LETTERS_LOST = (
    "A variable's name has only A-Z, 0-9 and _, so other letters of this key became _; "
    "rename the key, or choose format=json."
)
"""What to say if a key `loses_letters`."""


def loses_letters(path: Path) -> bool:
    """Return whether a variable's name lacks letters, digits or accents of its path."""
    return any(
        not character.isascii() and unicodedata.category(character)[0] in "LMN"
        for key in path
        for character in key.upper()
    )


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """A variable, its text, and the path in the config that it comes from."""

    key: str
    text: str
    path: Path


def assignments(config: Mapping[str, JSON], *, prefix: str) -> list[Assignment]:
    """Return a variable for each leaf of a config, by name.

    Raises UnrepresentableError if several leaves would share one name.
    """
    groups: dict[str, list[Assignment]] = {}
    for path, value in flatten(config):
        one = Assignment(key=_key(path, prefix), text=_text(value), path=path)
        groups.setdefault(one.key, []).append(one)
    collisions = {
        key: tuple(str(one.path) for one in group)
        for key, group in sorted(groups.items())
        if len(group) > 1
    }
    if collisions:
        found = "; ".join(
            f"{' and '.join(p)} become {k}" for k, p in collisions.items()
        )
        detail = f"Several paths share one variable: {found}. Choose format=json."
        raise UnrepresentableError(detail, paths=tuple(chain(*collisions.values())))
    return [groups[key][0] for key in sorted(groups)]


def _key(path: Path, prefix: str) -> str:
    key = prefix + re.sub(r"[^A-Z0-9_]", "_", "_".join(path).upper())
    # POSIX has no names that are empty or begin with a digit.
    return f"_{key}" if not key or key[0].isdigit() else key


def _text(value: JSON) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    text = json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | dict):
        # The same JSON without the two characters that no quotes hold for all readers.
        text = text.replace("\\\\", "\\u005c").replace("'", "\\u0027")
    return text
