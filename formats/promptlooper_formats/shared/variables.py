"""Variables: options for their names, and names that have a meaning to programs."""

from marshmallow import fields
from marshmallow.validate import Regexp

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

_FAMILIES = ("BASH", "COMP_", "LC_", "LD_", "ZSH_")


def has_a_meaning(name: str) -> bool:
    """Return whether a variable of this name is more than a value."""
    return name in EVALUATED or name in _OTHERS or name.startswith(_FAMILIES)
