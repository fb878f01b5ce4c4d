"""What a secret is: by the name of its key, or by the shape of its text.

The shapes of keys are as their issuers document them. Possessive quantifiers keep every
pattern linear on hostile text.
"""

import re
from functools import lru_cache
from itertools import pairwise

REDACTED = "[redacted]"

_LONG = r"[\w-]{16,}+"
_LONGER = r"[A-Za-z0-9]{20,}+"

# How a key begins, and the pattern of the rest.
_ISSUED = (
    ("sk-", r"(?=[a-zA-Z_-]{0,100}+[0-9])[\w-]{16,}+"),  # OpenAI, Anthropic, OpenRouter
    ("pk-lf-", _LONG),  # Langfuse
    ("AKIA", r"[A-Z0-9]{16}"),  # AWS
    ("ASIA", r"[A-Z0-9]{16}"),
    ("AIza", r"[\w-]{35}"),  # Google
    ("ya29.", _LONG),
    ("GOCSPX-", _LONG),
    ("ghp_", _LONGER),  # GitHub
    ("gho_", _LONGER),
    ("ghu_", _LONGER),
    ("ghs_", _LONGER),
    ("ghr_", _LONGER),
    ("github_pat_", _LONG),
    ("glpat-", _LONG),  # GitLab
    ("gldt-", _LONG),
    ("glrt-", _LONG),
    ("xox", r"[abeoprs]-[\w-]{10,}+"),  # Slack
    ("xapp-", _LONG),
    ("sk_live_", _LONG),  # Stripe
    ("sk_test_", _LONG),
    ("rk_live_", _LONG),
    ("whsec_", _LONG),
    ("SK", r"[0-9a-f]{32}"),  # Twilio
    ("SG.", r"[\w-]{16,}+\.[\w-]{16,}+"),  # SendGrid
    ("key-", r"[0-9a-f]{32}"),  # Mailgun
    ("npm_", _LONGER),
    ("pypi-", r"[\w-]{30,}+"),
    ("hf_", _LONGER),  # Hugging Face
    ("r8_", _LONGER),  # Replicate
    ("gsk_", _LONGER),  # Groq
    ("xai-", _LONGER),
    ("pplx-", _LONGER),  # Perplexity
    ("tvly-", _LONG),  # Tavily
    ("fw_", _LONGER),  # Fireworks
    ("nvapi-", _LONG),
    ("pcsk_", _LONG),  # Pinecone
    ("lsv2_", r"(?:pt|sk)_\w{20,}+"),  # LangSmith
    ("dapi", r"[0-9a-f]{32}"),  # Databricks
    ("dop_v1_", r"[0-9a-f]{32,}+"),  # DigitalOcean
    ("doo_v1_", r"[0-9a-f]{32,}+"),
    ("shpat_", r"[0-9a-fA-F]{32}"),  # Shopify
    ("shpss_", r"[0-9a-fA-F]{32}"),
    ("hvs.", _LONG),  # Vault
    ("NRAK-", r"[A-Z0-9]{20,}+"),  # New Relic
    ("glc_", r"[\w+/=]{20,}+"),  # Grafana
    ("sntrys_", r"[\w+/=-]{20,}+"),  # Sentry
    ("lin_api_", _LONG),  # Linear
    ("secret_", r"[A-Za-z0-9]{40,}+"),  # Notion
    ("ATATT3", r"[\w=-]{20,}+"),  # Atlassian
    ("AGE-SECRET-KEY-1", r"[A-Z0-9]{50,}+"),
)
_TELEGRAM = r"(?<![0-9])[0-9]{8,10}:AA[\w-]{32,}+"
# A JWT: RFC 7519. It begins somewhere in a run of base64url, which is read once from
# its start: reading it again from each `eyJ` in it would take quadratic time.
_JWT = r"(?<![\w-])[\w-]++\.eyJ[\w-]{8,}+\.[\w-]*+"
_JWT_START = re.compile(r"(?<![A-Za-z0-9])eyJ[\w-]{8,}+\.")
_PRIVATE_KEY = (
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[^-]|-(?!----))*+(?:-----END [A-Z0-9 ]{0,40}-----)?"
)

# Plain text that every such secret contains, which is faster to search for, and the
# pattern of the secret. `re` compiles and caches a pattern on first use.
_KNOWN = (
    *((start, f"(?<![A-Za-z0-9]){re.escape(start)}{rest}") for start, rest in _ISSUED),
    (":AA", _TELEGRAM),
    ("PRIVATE KEY", _PRIVATE_KEY),
)

_VALUE = r"""[^\s"'`&;,<>(){}\[\]\\]"""

_PHRASE = r"(?:pass(?:word|wd|phrase)|pwd)"
_NAMED = rf"""
    (?: (?:access|account|api|auth|private|secret|shared|sharedaccess)[_-]?key
    | credential | {_PHRASE} | secret | token )
"""

# Words in lower case, one of which must occur, and the pattern. Its group 1 is the text
# before the secret, which stays.
_LED_TO = (
    # The user-info of a URL: RFC 3986, section 3.2.1.
    (("@",), r"""(:// [^\s/?\#:@"']{0,200}+ :) [^\s/?\#@"']{1,1000}+ (?=@)"""),
    (("@",), r"(://) [0-9a-f]{20,100}+ (?=@)"),
    (
        ("=",),
        r"""(
            [?&] (?: [\w.-]{0,40}(?:key|token|secret|password|signature|credential)
            | sig | code ) =
        ) [^\s&\#"'<>]{6,}+""",
    ),
    (("slack.com/",), r"(hooks\.slack\.com/(?:services|workflows)/) [\w/-]++"),
    (("/webhooks/",), r"(discord(?:app)?\.com/api/webhooks/) [\w/-]++"),
    (("webhook.",), r"(webhook\.office\.com/) [\w/@-]++"),
    (
        ("authorization",),
        rf"""(
            \bauthorization["']?\s*+[:=]\s*+["']?(?:(?:bearer|basic|token)\s++)?
        ) {_VALUE}{{6,}}+""",
    ),
    (("bearer",), rf"(\bbearer\s++) (?=[^\s0-9]{{0,100}}+[0-9]) {_VALUE}{{16,}}+"),
    (("pass", "pwd"), rf"""(\b{_PHRASE}["']?\s*+=\s*+["']?) {_VALUE}{{6,}}+"""),
    # Requires a letter and a digit, since in prose a plain word follows the colon.
    (
        ("key", "credential", "pass", "pwd", "secret", "token"),
        rf"""({_NAMED} ["']?\s*+[:=]\s*+["']?)
        (?=[^\s0-9]{{0,100}}+[0-9]) (?=[^\sa-z]{{0,100}}+[a-z]) {_VALUE}{{8,}}+""",
    ),
)

_REFERENCE = re.compile(
    r"""\$\{.*\} | \$[A-Z_][A-Z0-9_]* | \{\{.*\}\} | %[A-Z_][A-Z0-9_]*%
    | (?:env|file):.* | os\.environ\b.* | op://.* | arn:aws:.* | projects/.*/secrets/.*
    | <.*> | [*x.\u2022]+ | \[redacted.*\]""",
    re.VERBOSE | re.DOTALL,
)


_SHORTEST = 10  # such as pwd=secret


def is_reference(text: str) -> bool:
    """Return whether a text only says where a secret is, or that it was left out."""
    return _REFERENCE.fullmatch(text) is not None


def redact_text(text: str) -> str:
    """Return a text without its secrets; the same object if there are none."""
    if len(text) < _SHORTEST:
        return text
    for start, pattern in _KNOWN:
        if start in text:
            text = re.sub(pattern, REDACTED, text)
    if "eyJ" in text:
        text = re.sub(_JWT, _from_header, text)
    lower = text.lower()
    for words, pattern in _LED_TO:
        if any(word in lower for word in words):
            text = re.sub(pattern, _after, text, flags=re.IGNORECASE | re.VERBOSE)
    return text


def _from_header(match: re.Match[str]) -> str:
    start = _JWT_START.search(match[0])
    return match[0][: start.start()] + REDACTED if start else match[0]


def _after(match: re.Match[str]) -> str:
    secret = match[0].removeprefix(match[1])
    return match[0] if is_reference(secret) else match[1] + REDACTED


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words that name a secret anywhere in a key.
_SECRETS = _words("""
    accesskey accesstoken apikey apikeys apitoken authkey authorization authtoken
    bearer clientsecret connectionstring cookie cookies credential credentials
    idtoken jwt passphrase passwd password passwords pem privatekey pwd refreshtoken
    secret secretkey secrets sessiontoken
""")

# Words that make a following `key` or `pass` a secret.
_OF_KEYS = _words("""
    access account admin anthropic api app application auth azure client cohere
    consumer decryption deepseek deploy encryption gemini google groq hf hmac
    huggingface langsmith license master mistral openai openrouter pinecone private
    replicate secret serpapi service session shared signing ssh storage stripe
    subscription tavily together wandb webhook
""")
_OF_PASSES = _words("""
    admin database db email login mail mysql pg postgres redis root smtp user
""")

# If a key ends in one of these words, its value describes a secret but is not one.
_ABOUT = _words("""
    age algorithm arn audience count description enabled env expires expiry field
    file format header hint issuer length limit manager max min mode name names note
    path policy provider ref required rotation scheme source ttl type uri url usage
    var variable version
""")

# Words that make a following `token` a piece of text or a position, not a secret.
_OF_TOKENS_IN_TEXT = _words("""
    audio bos cls completion decoder delimiter end eos eot first forced image input
    last mask max min n new next num output pad page per prefix prompt reasoning sep
    separator special start stop suffix text think thinking total unk video
""")


@lru_cache(maxsize=4096)
def names_secret(key: str) -> bool:
    """Return whether the value under this key is a secret, whatever its shape."""
    words = [word.lower() for word in _WORD.findall(key)]
    if not words or words[-1] in _ABOUT:
        return False
    if not _SECRETS.isdisjoint(words) or words in (["auth"], ["basic", "auth"]):
        return True
    before = words[-2] if len(words) > 1 else None
    match words[-1]:
        case "token":
            return before not in _OF_TOKENS_IN_TEXT
        case "pass":
            return before in _OF_PASSES
    return any(
        (first in _OF_KEYS and second in ("key", "keys"))
        or (first, second) == ("connection", "string")
        for first, second in pairwise(words)
    )
