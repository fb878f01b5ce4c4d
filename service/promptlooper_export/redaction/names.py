"""Decide which keys name a secret, however their words are joined."""

import re
from functools import lru_cache
from itertools import pairwise

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
