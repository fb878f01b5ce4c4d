"""Which names say that a value is a secret, as tables of words."""

import re
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from typing import Literal

from promptlooper_export.deadline import in_time

Strength = Literal["none", "weak", "doubtful", "strong"]
"""How sure a name is of its value.

`strong`: a secret, unless the value says otherwise. `doubtful`: the same, but a plain
word is none. `weak`: a secret only if the value looks like one.
"""

_LONGEST = 120
"""The last characters of a name that are looked at; the end says what a value is."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_A-Za-z][^\W\d_]*")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words that name a secret, if a name ends in one of them.
SECRETS = _words("""
    accesskey accesstoken apikey apikeys apitoken authkey authorization authtoken
    bearer clientsecret connectionstring cookie cookies credential credentials creds
    idtoken jwt passcode passphrase passwd password passwords pem privatekey pwd
    refreshtoken secret secretkey secrets sessiontoken
    contrasena contraseña geheimnis hasło kennwort motdepasse parola passwort senha
    wachtwoord пароль 密码 密碼 パスワード
""")

# Names that hold their words together.
_FUSED = {
    "dbpassword": "password", "dbpass": "password", "dbpasswd": "password",
    "pgpassword": "password", "mysqlpwd": "password", "userpassword": "password",
    "rootpassword": "password", "adminpassword": "password", "xapikey": "apikey",
    "secretaccesskey": "secretkey", "storepass": "password", "keypass": "password",
    "sharedaccesskey": "secretkey", "accountkey": "secretkey", "sshpass": "password",
    "sharedsecret": "secret", "bottoken": "token", "webhooksecret": "secret",
    "encryptionkey": "secretkey", "signingkey": "secretkey", "userpass": "password",
    "requirepass": "password", "masterauth": "password", "authpass": "password",
    "bindpw": "password", "rootpw": "password", "passwrd": "password",
    "pgpass": "password",
}  # fmt: skip

# Words that make a following `key` a secret, or a following `token` one for certain;
# a secret's name may also end in them: `password_db`.
SERVICES = _words("""
    access account admin ai21 airtable algolia amplitude anthropic anyscale api app
    application asana assemblyai auth authentication aws azure bearer bitbucket bot
    braintrust braze brave cerebras circleci client cloud cloudflare cohere consumer
    contentful csrf datadog db database decryption deepgram deepinfra deepseek deploy
    device digitalocean discord docker dockerhub dropbox elastic elevenlabs encryption
    exa fastly figma firebase firecrawl fireworks gcp gemini gh ghcr gitea github
    gitlab google grafana groq helicone heroku hf hmac honeycomb hub hubspot
    huggingface id integration intercom jenkins jina jira jwt kaggle kubernetes
    langfuse langsmith license linear llm log login mail mailchimp mailgun management
    master mistral mongodb mongo mqtt mysql netlify newrelic ngrok notion novita npm
    nvidia oauth oauth2 octoai okta openai openrouter pagerduty passkey
    perplexity personal pinecone postgres posthog postman private prod publish pulumi
    pypi qdrant quay rabbitmq redis refresh registry replicate root runner saml
    sambanova search secret security sendgrid sentry serp serpapi serper server
    service session shared sharedaccess shopify signature signing slack smtp snowflake
    sonar sourcegraph splunk square ssh stability storage stripe subscription supabase
    sync tavily telegram terraform together totp travis twilio twitter typeform unsplash
    upload user vault vercel verification voyage wandb watsonx weaviate
    webhook webhooks weights write xai xoxb youtube zapier zendesk zilliz
""")
_OF_KEYS = SERVICES - _words("""
    bearer csrf db device hub id log mail personal prod refresh registry runner search
    server sync upload user verification write database publish
""")
_OF_PASSES = _words("""
    admin app auth database db email ftp ldap login mail mysql pg postgres proxy redis
    root sftp smtp sql sudo user vpn wifi
""")
# Words between which a `key` is something to look up.
_OF_LOOKUPS = _words("""
    answer array attribute bucket cache column composite config context data dataset
    dedup dict dictionary document entity event feature field file filter foreign group
    grouping hash header idempotency index input item join json label lookup map
    mapping message metadata metric model musical object order output param parameter
    partition path piano primary prompt property public range record redis response
    result root row s3 score scorer section set shard sort span state store
    tag task template text translation unique value variable
""")

# If a name ends in one of these words, its value describes a secret but is not one.
ABOUT = _words("""
    age algorithm arn attempts audience backend budget class classification count
    counts description dir directory docs documentation enabled endpoint env error
    example expires expiry explanation field fields file filename format guide header
    help hint id ids index instruction instructions issuer kind label length level
    limit links location manager max message method min minimum missing mode model
    name names note notes number path pattern placeholder policies policy position
    prefix price prompt prompts provider question rate ratio reader ref reference regex
    region required requirement requirements rotation rule rules schema scheme score
    scope scopes section size source store strategy strength style suffix template
    text title topic ttl type types uri url urls usage validator var variable version
    weight wrapper
""")

# Words after which nothing of a secret's name matters: what is old, new, of production.
_VARIANTS = _words("""
    again b64 backup base64 confirm confirmation current default dev development
    encoded encrypted live local main new next old override plain plaintext prev
    previous primary prod production qa raw repeat sandbox secondary stage staging
    temp temporary test testing uat val value values
""")

# Words that make what follows a question about a secret, or an act.
_ASKING = _words("""
    accept accepts allow allowed allows ask asks avoid block can change changed changes
    check chocolate contains count create current detect detects disable does empty
    delete enable enabled exposes fetch find forget forgot forgotten generate get guess
    has have hide hides
    include includes invalid is leak leaked leaks lost mask masks max mention mentions
    min missing needs no num open print prompt protect redact redacts remember
    require required requires reset reveal reveals rotate secure should show shows
    set skip state strong trade update use uses valid validate verify wants weak with
    without wrong
""")

# Words that make a name one of a figure.
_OF_FIGURES = _words("""
    average avg bias cost count eur latency limit logprob loss max mean median min ms
    number penalty per percent price prob probability quota rate ratio score seconds
    share sum throughput total usd weight
""")

# Words that make a following `token` a piece of text or a position, not a secret.
_OF_TEXT = _words("""
    added additional after answer argument assistant audio average bad batch before
    begin beginning blank block boi bos bullet byte call chain char character chat
    choice chunk class closing cls column completion content context continuation
    control cost cursor decision decoder delimiter document domain draft each eoi
    emoji empty end eod eom eop eos eot eou every expected extra false fast filler
    fim final first forced forbidden generated generic gold good grammar header im
    image initial initializer inner input inst instruction json judge keyword label
    language last left line list mask max merge middle min million modality model n
    negative neutral new newline next ngram no normal null num number obs
    observation of opening option out output pad page paragraph parser passage patch
    per pickup placeholder point pos position positive prefix previous prompt
    quality question rare reasoning reference reject relation reserved response
    right role row sample score segment sentence sep separator sequence skip slow
    space speaker special speech split stage start stop stopping style subword
    suffix summary switch syntax tab table target task text think thinking thought
    tool top topic total translation trigger true turn type unk unknown unused
    verdict video vision visual vocab vocabulary word words wrong yes
""")


_SAYS_MORE = _ASKING | _OF_FIGURES


def words_of(name: str) -> list[str]:
    """Return the words of a name in lower case, whatever way it joins them."""
    return [word.lower() for word in _WORD.findall(name[-_LONGEST:])]


_kept: set[str] = set()


def keep_names(names: Iterable[str]) -> None:
    """Take these names, in any case, for innocent ones, and no others as before."""
    _kept.clear()
    _kept.update(map(str.casefold, names))
    _strength.cache_clear()


def strength(name: str) -> Strength:
    """Return how sure a name is that its value is a secret."""
    # What is remembered is bounded, too: a name may be any text.
    return _strength(name[-_LONGEST:])


@lru_cache(maxsize=8192)
def _strength(name: str) -> Strength:
    words = [] if name.casefold() in _kept else words_of(name)
    words = [_FUSED.get(word, word) for word in words]
    while len(words) > 1 and (words[-1] in _VARIANTS or words[-1].isdigit()):
        words.pop()
    if not words:
        return "none"
    if words[-3:] == ["access", "key", "id"] or words == ["set", "cookie"]:
        return "strong"
    if words[-1] in ABOUT:
        is_near = words[-1] in ("header", "id") and _has_secret(words)
        return "weak" if is_near else "none"
    found = _of_end(words)
    if found in ("strong", "doubtful") and _SAYS_MORE.intersection(words[:-1]):
        return "weak"
    if found != "none":
        return found
    return _of_middle(words)


def _of_end(words: list[str]) -> Strength:
    """Judge by the last word, and the one before it."""
    last, before = words[-1], words[-2] if len(words) > 1 else None
    if last in SECRETS or last == "auth" or "".join(words) in SECRETS:
        return "strong"
    if last == "token":
        return _of_token(before)
    if last in ("key", "keys"):
        return _of_key(before)
    return "strong" if before in _AFTER.get(last, ()) else "none"


_AFTER = {
    "tokens": _words("access api auth bot deploy personal refresh service session"),
    "pass": _OF_PASSES,
    "pw": _OF_PASSES,
    "string": _words("connection"),
}


def _of_token(before: str | None) -> Strength:
    if before is None or (before in SERVICES and before not in _OF_TEXT):
        return "strong"
    return "weak" if before in _OF_TEXT or before.isdigit() else "doubtful"


def _of_key(before: str | None) -> Strength:
    if before is None or before in _OF_LOOKUPS:
        return "none"
    if before.endswith("api"):  # x-rapidapi-key
        return "strong"
    return "strong" if before in SECRETS | _OF_KEYS else "weak"


def _of_middle(words: list[str]) -> Strength:
    """Judge a name that goes on after the word for a secret."""
    for place in range(len(words) - 1, 0, -1):
        if _of_end(words[:place]) in ("strong", "doubtful"):
            after = set(words[place:])
            asking = _SAYS_MORE.intersection(words[:place])
            return "strong" if after <= SERVICES and not asking else "weak"
    return "none"


def _has_secret(words: list[str]) -> bool:
    return any(_of_end(words[:place]) == "strong" for place in range(1, len(words)))


def may_be_names(texts: Collection[str]) -> Iterator[str]:
    """Yield the texts that may be names of secrets; the others certainly are none.

    This is quicker than the strength of texts that nobody has seen before.
    """
    ends = [text[-_LONGEST:].lower() for text in in_time(texts)]
    letters = [end.translate(_WITHOUT_LETTERS) for end in ends]
    together = "\n".join(letters)
    marks = [mark for mark in MARKS if mark in together]
    for text, end, of_text in in_time(zip(texts, ends, letters, strict=True)):
        if not end.isascii() or any(mark in of_text for mark in marks):
            yield text


def names_secret(name: str) -> bool:
    """Return whether a value under this name is a secret unless it says otherwise."""
    return strength(name) in ("strong", "doubtful")


MARKS = (
    "key", "pass", "pwd", "token", "secret", "cred", "auth", "bearer", "jwt", "cookie",
    "pem", "connection", "code", "kennwort", "senha", "geheimnis", "parola",
    "contrase", "wachtwoord", "has\u0142o", "\u043f\u0430\u0440\u043e\u043b",
    "\u5bc6", "\u30d1\u30b9\u30ef\u30fc\u30c9", "pw",
)  # fmt: skip
"""Parts of words in lower case, one of which is in every name that is a secret's.

They are there once the words of the name are joined.
"""

_WITHOUT_LETTERS = {code: None for code in range(128) if not chr(code).isalpha()}
