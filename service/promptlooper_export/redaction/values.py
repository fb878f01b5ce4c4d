"""What a value says of itself: that it is a secret, or that it is none."""

import re

from promptlooper_export.deadline import check_deadline
from promptlooper_export.redaction.names import SECRETS, Strength, words_of

REDACTED = "[redacted]"

_REFERENCE = re.compile(
    r"""\$\{[^}]*\} | \$[A-Z_][A-Z0-9_]* | \$\(.*\) | \$?\{\{.*\}\} | %[A-Z_][A-Z0-9_]*%
    | \{[A-Za-z_.]+\} | \[redacted[^\]]*\]
    | env:[A-Z_][A-Z0-9_]* | file:\.{0,2}/.* | @/.* | /run/secrets/.*
    | os\.environ\b.* | os\.getenv\b.* | process\.env\b.* | getenv\b.* | ENV\[.*
    | op://.* | arn:aws:.* | (?:gcp-)?projects/.*/secrets/.* | vault:.*[/\#].*
    | (?:aws-)?(?:sm|ssm|kms|asm|keyvault|sops|awssm|gcpsm|azkv|keychain|keyring|bw)
      ://?.*
    | secretref:.* | secretKeyRef | !(?:Ref|Sub|GetAtt|ImportValue|secret|env|vault)\ .*
    | ref\+.*""",
    re.VERBOSE | re.DOTALL,
)

# The default within a reference: `${NAME:-default}`, `{{ name or "default" }}`.
_SHELL_DEFAULT = re.compile(
    r"(\$\{[\w.\[\]]++(?: :?[-=] | : (?![-=?+]) ))([^{}]++)(?=\})", re.VERBOSE
)
_TEMPLATE = re.compile(r"\{\{[^{}]*+\}\}")
_TEMPLATE_DEFAULT = re.compile(
    r"""((?:\bor\b|\|\|?|\?\?|\bdefault\b|\belse\b)\s*+\(?(?:default)?\s*+\(?\s*+
    (?:default_value=|value=)?\\*+["'])([^"'\\]++)""",
    re.VERBOSE,
)

_MASK = re.compile(
    r"(?:[A-Za-z]{1,8}[_-])?(?:[*\u2022\u2026]{3,}|\.{3,}|\u2026)\w{0,4}|[*x.\u2022_-]+",
    re.IGNORECASE,
)
_FORM = re.compile(
    r"<\|[\w :.-]{1,40}\|> | \[/?[A-Z_]{1,20}\] | </?[a-z]{1,3}> | <0x[0-9A-F]{2}>",
    re.VERBOSE,
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Values that say whether, which kind or which type, but hold no secret.
_FLAGS = _words("""
    absent all allow allowed always any anonymous auto automatic default deny denied
    disable disabled empty enable enabled encrypted expired false fixed generated
    hidden hide inherit inherited invalid manual masked maybe missing n na nil no none
    not-set notset null off omitted on optional prompt public random redacted removed
    required rotate rotated set skip some tbd todo true undefined unknown unset unused
    valid y yes
    any array bool boolean bytes char float int integer json list number object
    optional[str] secretstr str string text uuid varchar
""") | {"not set", "not configured", "not provided", "n/a"}
# The same, for names of which a value often is a kind of access or a consent.
_KINDS = _words("""
    accept accepted api-key api_key apikey aws aws4 azure basic bearer cert certificate
    consent cookie custom declined digest essential functional gcp github google
    granted header hmac iam include jwt kerberos ldap lax managed mtls necessary
    negotiate ntlm oauth oauth1 oauth2 oidc omit password pending pkce query reject
    rejected revoked same-origin saml scram secret self-signed session sso strict
    token x-api-key
""")
_OF_KINDS = _words(
    "auth authorization cookie cookies credential credentials jwt bearer"
)

# Words of which placeholders are made: <your key here>.
_PLACEHOLDERS = SECRETS | _words("""
    a access account add an anthropic api app auth aws azure bot change changeme client
    code cohere connection database db dummy enter env environment example fake fill
    from gemini github gitlab google goes groq here hf hidden huggingface id in insert
    jwt key keys me mistral my name here openai of openrouter or organization own paste
    placeholder private project provide put real redacted removed replace sample
    see service set slack some string stripe the this to todo token tokens url user
    username value var variable with your yours
""")
_REPLACE_ME = _words("""
    changeme dummy enter example fake fill here insert paste placeholder provide put
    redacted replace sample todo your yours
""")
_FUNCTION_WORDS = _words("""
    a about after all an and any are as ask at be before but by can do does enter for
    from get go have how i if in into is it its like must never no not of on only or
    our out please see should shown so than that the their them then there they this to
    use was we what when which who will with you your
    das der die ist nie bitte nicht und el la es de le les est une un ne pas
""")

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_DIGEST = re.compile(
    r"(?:sha\d+[:-]|md5:)?(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{56}|[0-9a-f]{64}|"
    r"[0-9a-f]{96}|[0-9a-f]{128})",
    re.IGNORECASE,
)
_PIECE = re.compile(r"[A-Za-z0-9]{8,}")
_CHANGE = re.compile(r"(?<=[A-Za-z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])")
_CHOICES = re.compile(r"\s*[/|,]\s*")
_SCHEME = re.compile(r"[A-Za-z][\w-]{1,30}[ \t]+")
_WEB = re.compile(r"https?://[^\s@]+")
_CODE = re.compile(
    r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*[(\[].* | (?:self|this|config|settings|cfg|conf"
    r"|args|opts|options|env|params|request|ctx|context|secrets|var|local|data|app|state)"
    r"(?:\.[A-Za-z_]\w*)+",
    re.VERBOSE | re.DOTALL,
)


def is_reference(text: str) -> bool:
    """Return whether a text only says where a secret is, or that it was left out."""
    text = text.strip()
    return (
        _REFERENCE.fullmatch(text) is not None
        or _MASK.fullmatch(text) is not None
        or _is_placeholder(text)
    )


def _is_placeholder(text: str) -> bool:
    """Return whether a text stands where a secret is to be filled in."""
    bracketed = (text[:1] in "<[{" and text[-1:] in ">]}") or text[:1] == "$"
    if not text or (_WITH_DIGIT.search(text) and not bracketed):
        return False
    words = words_of(text)
    if not words or not _PLACEHOLDERS.issuperset(words):
        return False
    return bracketed or not _REPLACE_ME.isdisjoint(words)


_WITH_DIGIT = re.compile(r"[0-9]")


def is_random(text: str) -> bool:
    """Return whether a text looks as if a machine made it up, and is no identifier."""
    if _UUID.fullmatch(text) or _DIGEST.fullmatch(text) or any(map(str.isspace, text)):
        return False
    return any(_is_mixed(piece) for piece in _PIECE.findall(text[:_LOOKED_AT]))


_LOOKED_AT = 4096
_CHANGES = 3
_LONG = 20


def _is_mixed(piece: str) -> bool:
    changes = len(_CHANGE.findall(piece))
    if changes >= _CHANGES:
        return True
    has_both = piece.lower() != piece and piece.upper() != piece
    return len(piece) >= _LONG and (changes > 0 or has_both)


def is_long_random(text: str) -> bool:
    """Return whether a text is as long and mixed as a signature or an issued key."""
    return len(text) >= _LONG and (
        is_random(text) or (_DIGEST.fullmatch(text) is not None)
    )


def is_prose(text: str) -> bool:
    """Return whether a text is made of sentences; a passphrase has few small words."""
    words = text.split(maxsplit=_MOST_WORDS)[:_MOST_WORDS]
    if len(words) < _FEW:
        return False
    bare = [word.strip(".,;:!?\"'()").lower() for word in words]
    small = sum(word in _FUNCTION_WORDS for word in bare)
    ends = text.rstrip()[-1:] in ".!?:"
    if any(is_random(word) for word in words):
        return False
    return small >= _FEW or (small == 1 and ends and len(words) > _FEW)


_MOST_WORDS = 40
_FEW = 2


def stays(text: str, sure: Strength, name: str) -> bool:
    """Return whether a text under the name of a secret is none."""
    text = text.strip()
    if not text or sure == "none":
        return True
    if sure == "weak":
        is_key = words_of(name)[-1:] == ["key"]
        is_made_up = is_random(text) or (is_key and is_long_random(text))
        return not is_made_up or is_reference(text)
    # Authorization: Bearer $TOKEN
    scheme = _SCHEME.match(text)
    return (
        is_reference(text[scheme.end() :] if scheme else text)
        or is_prose(text)
        or _FORM.fullmatch(text) is not None
        or _is_flag(text.lower(), name)
        or (_WEB.fullmatch(text) is not None and not is_random(text))
        or (sure == "doubtful" and is_plain(text))
    )


def _is_flag(text: str, name: str) -> bool:
    if text in _FLAGS or _FLAGS.issuperset(_CHOICES.split(text)):
        return True
    return text in _KINDS and not _OF_KINDS.isdisjoint(words_of(name))


def is_plain(text: str) -> bool:
    """Return whether a text is a word, a sign or several words."""
    bare = text.strip("<>[]{}|/ \t\n\u2581\u0120#*'\"")
    return (
        not any(map(str.isalnum, bare))
        or len(bare) <= _FEW
        or (bare.isalpha() and len(bare) <= _LONGEST_WORD)
        or any(map(str.isspace, bare))
    )


_LONGEST_WORD = 10


def is_code(text: str) -> bool:
    """Return whether a text without quotes is an expression of a program."""
    return _CODE.fullmatch(text) is not None


def without_defaults(text: str) -> str:
    """Return a reference without what stands in it for a missing secret."""
    if "${" in text:
        text = _SHELL_DEFAULT.sub(_default, text)
    if "{{" in text:
        text = _TEMPLATE.sub(
            lambda found: _TEMPLATE_DEFAULT.sub(_default, found[0]), text
        )
    return text


def _default(match: re.Match[str]) -> str:
    check_deadline()
    default = match[2].strip("\\\"'")
    if stays(default, "strong", "") or is_reference(default):
        return match[0]
    return match[1] + REDACTED


def hide(text: str, sure: Strength, name: str) -> str:
    """Return what to show of a text under a name; the same text if it is no secret."""
    if _REFERENCE.fullmatch(text.strip()):
        return text if sure == "none" else without_defaults(text)
    return text if stays(text, sure, name) else REDACTED
