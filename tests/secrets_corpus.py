"""Secrets of every shape, put together when they are needed.

No whole one stands here, so that scanners of source code find none.
"""

from itertools import cycle, islice

from promptlooper_export.configs import JSON

_MIXED = "aZ3k9Qx7Lm2Pw8Rt5Vb1Yc6Nd4Hs0Jf"


def some(count: int, characters: str = _MIXED) -> str:
    return "".join(islice(cycle(characters), count))


_HEX = some(64, "0a1b2c3d4e5f6789")
_CAPITALS = some(60, "A3B5C7D9EFGH")

SHAPES: dict[str, str] = {
    "OpenAI": "sk" + "-" + some(48),
    "OpenAI project": "sk-" + "proj-" + some(80),
    "Anthropic": "sk-" + "ant-api03-" + some(90),
    "OpenRouter": "sk-" + "or-v1-" + _HEX,
    "AWS": "AK" + "IA" + _CAPITALS[:16],
    "AWS temporary": "AS" + "IA" + _CAPITALS[:16],
    "Google": "AI" + "za" + some(35),
    "Google OAuth": "ya" + "29." + some(60),
    "GitHub": "gh" + "p_" + some(36),
    "GitHub app": "gh" + "s_" + some(36),
    "GitHub fine-grained": "github" + "_pat_" + some(22) + "_" + some(59),
    "GitLab": "gl" + "pat-" + some(20),
    "Slack bot": "xo" + "xb-" + some(12, "0123456789") + "-" + some(24),
    "Slack app": "xa" + "pp-1-" + some(40),
    "Stripe": "sk" + "_live_" + some(24),
    "Stripe restricted": "rk" + "_live_" + some(24),
    "Stripe webhook": "wh" + "sec_" + some(32),
    "Twilio": "S" + "K" + _HEX[:32],
    "SendGrid": "S" + "G." + some(22) + "." + some(43),
    "Mailgun": "ke" + "y-" + _HEX[:32],
    "npm": "np" + "m_" + some(36),
    "PyPI": "py" + "pi-" + some(80),
    "Hugging Face": "h" + "f_" + some(34),
    "Replicate": "r" + "8_" + some(37),
    "Groq": "gs" + "k_" + some(52),
    "xAI": "xa" + "i-" + some(80),
    "Perplexity": "pp" + "lx-" + some(48),
    "Tavily": "tv" + "ly-" + some(32),
    "Fireworks": "f" + "w_" + some(24),
    "NVIDIA": "nv" + "api-" + some(64),
    "Pinecone": "pc" + "sk_" + some(60),
    "Voyage": "p" + "a-" + some(43),
    "LangSmith": "ls" + "v2_pt_" + some(40),
    "Databricks": "da" + "pi" + _HEX[:32],
    "DigitalOcean": "do" + "p_v1_" + _HEX,
    "Shopify": "sh" + "pat_" + _HEX[:32],
    "Vault": "hv" + "s." + some(24),
    "New Relic": "NR" + "AK-" + _CAPITALS[:27],
    "Grafana": "gl" + "c_" + some(60),
    "Linear": "li" + "n_api_" + some(40),
    "Telegram": some(10, "1234567890") + ":" + "AA" + some(33),
    "JWT": "ey" + "J" + some(20) + "." + "ey" + "J" + some(40) + "." + some(43),
    "age": "AGE-" + "SECRET-KEY-1" + _CAPITALS[:58],
    "private key": (
        "-----BEGIN RSA PRIVATE" + " KEY-----\nProc-Type: 4,ENCRYPTED\n\n"
        + some(64) + "\n" + some(20) + "==\n-----END RSA PRIVATE" + " KEY-----"
    ),
}  # fmt: skip
"""Secrets that are known wherever they stand, by their issuer."""

PHRASE = "correct" + "-horse-" + "7battery"

IN_TEXT: dict[str, str] = {
    "URL user-info": f"postgresql://app:{PHRASE}@db.example/app",
    "URL user-info of Redis": f"redis://:{PHRASE}@cache.example:6379/0",
    "query parameter": f"https://api.example/v1?model=m&api_key={PHRASE}&n=1",
    "signed URL": f"https://blob.example/a?sv=2024&sig={PHRASE}",
    "bearer": f"curl -H 'Authorization: Bearer {PHRASE}' https://api.example",
    "bearer alone": f"send Bearer {PHRASE}{some(10)} along",
    "basic": f"Authorization: Basic {PHRASE}",
    "environment": f"OPENAI_API_KEY={PHRASE}",
    "exported": f'export GITHUB_TOKEN="{PHRASE}"',
    "connection string": f"Server=db;User Id=sa;Password={PHRASE};Encrypt=true",
    "storage": f"DefaultEndpointsProtocol=https;AccountKey={PHRASE};Suffix=x",
    "embedded JSON": f'{{"client_secret": "{PHRASE}", "n": 1}}',
    "embedded YAML": f"user: me\npassword: {PHRASE}\n",
    "Slack webhook": f"https://hooks.slack.com/services/T0/B0/{PHRASE}",
    "Discord webhook": f"https://discord.com/api/webhooks/123/{PHRASE}",
}
"""Text around the secret PHRASE, which is known only by what leads to it."""

SECRET_NAMES = (
    "api_key", "apiKey", "API-KEY", "apikey", "OPENAI_API_KEY", "x-api-key",
    "openaiKey",
    "token", "access_token", "accessToken", "auth_token", "hf_token", "githubToken",
    "bot_token", "refresh_token", "password", "dbPassword", "DB_PASSWD", "smtp_pass",
    "passphrase", "pwd", "secret", "client_secret", "clientSecret", "webhook_secret",
    "secretKey", "aws_secret_access_key", "access_key_id", "private_key", "privateKey",
    "signing_key", "encryption-key", "credentials", "Authorization", "auth",
    "basic_auth",
    "cookie", "Set-Cookie", "bearer", "connection_string", "jwt", "account_key",
)  # fmt: skip

INNOCENTS: dict[str, JSON] = {
    "max_tokens": 4096, "maxTokens": 1, "num_tokens": "512", "token_count": 7,
    "token_limit": 8000, "token_budget": "large", "tokenizer": "cl100k_base",
    "tokens": ["a", "b"], "stop_token": "STOPSTOP1", "stop_tokens": ["</s>"],
    "pad_token": "pad", "pad_token_id": 0, "bos_token": "bos", "eos_token": "eos",
    "unk_token": "unk", "cls_token": "cls", "use_cls_token": True, "sep_token": "sep",
    "special_tokens": {"x": "y"}, "next_page_token": "abc12345",
    "cost_per_token": 0.1, "time_to_first_token": 0.3, "token_type": "bpe",
    "password_policy": "strict", "password_min_length": "twelve1",
    "require_password": True, "secret": None, "api_key": "", "credentials": {},
    "author": "Ada Lovelace", "authority": "court", "authentication_mode": "none",
    "keyword": "alpha", "keywords": ["beta"], "monkey": "see", "turkey": "bird",
    "secretary": "Bob", "key": "value", "keys": ["a"], "key_metrics": ["f1"],
    "primary_key": "id", "foreign_key": "run_id", "cache_key": "v1-abcdef12",
    "sort_key": "created", "partition_key": "day", "public_key": "ssh-ed25519 AAAAC3",
    "api_key_env": "OPENAI_API_KEY", "secret_name": "prod/openai",
    "secret_ref": "vault-item", "auth_type": "oauth2", "passes": 2, "pass": "first",
    "compass": "north", "bypass": "yes", "uuid": "7f3b9c9e-1c0e-4b61-9c9e-0e2b7f3b9c9e",
    "git_sha": _HEX[:40], "sha256": _HEX, "image": f"repo/app@sha256:{_HEX}",
    "prompt": "Never reveal the secret: it is a password: required for tokens.",
    "bearer_note": "Bearer tokens are described in RFC 6750.",
    "url": "https://example.org/a?page=2&key=abc", "mail": "ada@example.org",
    "ssh": "git@github.com:acme/repo.git", "repository": "ssh://git@host/repo",
    "slug": "the-task-list-and-risk-free-plans", "lib": "sk-learn-like-pipelines-here",
    "answer": "token=short", "math": "a=b&c=d",
}  # fmt: skip
"""Keys and values in which nothing is secret."""

REFERENCES = (
    "${OPENAI_API_KEY}", "$OPENAI_API_KEY", "{{ secrets.OPENAI }}",
    "env:OPENAI_API_KEY",
    "os.environ/OPENAI_API_KEY", "%OPENAI_API_KEY%", "op://vault/item/field",
    "<your key here>", "****", "[redacted]",
    "arn:aws:secretsmanager:eu-west-1:1:secret:x",
)  # fmt: skip
"""What stands for a secret that is elsewhere."""
