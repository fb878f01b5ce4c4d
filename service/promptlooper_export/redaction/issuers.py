"""The shapes of the keys and tokens that services issue, as a table.

Possessive quantifiers keep every pattern linear on hostile text: a pattern either takes
all the characters that it looks at, or fails within a fixed number of them.
"""

import re
from dataclasses import dataclass

from promptlooper_export.deadline import check_deadline, in_time
from promptlooper_export.redaction.values import REDACTED


@dataclass(frozen=True)
class Shape:
    """How the keys of an issuer look: how they begin, and the pattern of the rest.

    `source` names a row of SOURCES.
    """

    issuer: str
    start: str
    rest: str
    source: str


SOURCES = {
    "docs": ("the issuer's own documentation and examples", "2025"),
    "github": ("GitHub's list of supported secret scanning patterns", "2025"),
    "gitleaks": ("the rules of gitleaks 8, facts only", "2025-12"),
    "detect-secrets": ("the plugins of detect-secrets 1.5, facts only", "2024-05"),
    "rfc": ("the specification of the format", "2025"),
}
"""Where the shape is described, and when that was so."""

_LONG = r"[\w-]{16,}+"
_LONGER = r"[A-Za-z0-9]{20,}+"
_HEX32 = r"[0-9a-fA-F]{32,}+"
_MIXED = r"(?=[\w-]{0,120}?(?=[A-Za-z]{0,60}+[0-9])[A-Za-z0-9]{12})[\w-]{16,}+"
_DOTTED = r"[\w-]{16,}+(?:\.[\w-]{2,}+){0,3}"
_MIXED_43 = r"(?=[\w-]{0,42}?[A-Z])(?=[\w-]{0,42}?[0-9])[\w-]{43}(?![\w-])"
_BASE64 = r"[\w+/=-]{20,}+"

SHAPES = tuple(
    Shape(*row)
    for row in (
        ("OpenAI, Anthropic and others", "sk-",
         _MIXED, "docs"),
        ("Langfuse", "pk-lf-", _LONG, "docs"),
        ("AWS access key", "AKIA", r"[A-Z0-9]{16}", "docs"),
        ("AWS temporary key", "ASIA", r"[A-Z0-9]{16}", "docs"),
        ("AWS bearer token", "ABSK", r"[A-Za-z0-9+/]{60,}+={0,2}", "gitleaks"),
        ("AWS Bedrock short-term key", "bedrock-api-key-", _BASE64, "gitleaks"),
        ("Google", "AIza", r"[\w-]{35,}+", "docs"),
        ("Google OAuth token", "ya29.", _LONG, "docs"),
        ("Google OAuth refresh token", "1//0", r"[\w-]{30,}+", "docs"),
        ("Google OAuth client", "GOCSPX-", _LONG, "docs"),
        ("GitHub", "ghp_", _LONGER, "github"),
        ("GitHub OAuth", "gho_", _LONGER, "github"),
        ("GitHub user of an app", "ghu_", _LONGER, "github"),
        ("GitHub app", "ghs_", _LONGER, "github"),
        ("GitHub refresh token", "ghr_", _LONGER, "github"),
        ("GitHub fine-grained", "github_pat_", _LONG, "github"),
        ("GitLab", "glpat-", _DOTTED, "docs"),
        ("GitLab deploy token", "gldt-", _LONG, "docs"),
        ("GitLab runner", "glrt-", _DOTTED, "docs"),
        ("GitLab runner registration", "GR1348941", _LONG, "docs"),
        ("GitLab trigger", "glptt-", _LONG, "docs"),
        ("GitLab CI job", "glcbt-", _DOTTED, "docs"),
        ("GitLab feed", "glft-", _LONG, "docs"),
        ("GitLab OAuth", "gloas-", _LONG, "docs"),
        ("GitLab agent", "glagent-", _LONG, "docs"),
        ("GitLab incoming mail", "glimt-", _LONG, "docs"),
        ("GitLab SCIM", "glsoat-", _LONG, "docs"),
        ("GitLab feature flags", "glffct-", _LONG, "docs"),
        ("Bitbucket", "ATBB", r"[A-Za-z0-9]{24,}+", "docs"),
        ("Bitbucket access token", "ATCTT3", r"[\w=-]{20,}+", "docs"),
        ("Atlassian", "ATATT3", r"[\w=-]{20,}+", "docs"),
        ("Atlassian OAuth", "ATOA", r"[\w=-]{40,}+", "gitleaks"),
        ("Slack", "xox", r"[abcdeoprs](?:\.xox[abp])?-[\w.%-]{10,}+", "docs"),
        ("Slack app", "xapp-", _LONG, "docs"),
        ("Slack workflow", "xwfp-", _LONG, "docs"),
        ("Stripe", "sk_live_", _LONG, "docs"),
        ("Stripe test", "sk_test_", _LONG, "docs"),
        ("Stripe restricted", "rk_live_", _LONG, "docs"),
        ("Stripe restricted test", "rk_test_", _LONG, "docs"),
        ("Stripe webhook", "whsec_", r"[\w+/=-]{16,}+", "docs"),
        ("Twilio", "SK", r"[0-9a-f]{32}(?![0-9A-Za-z])", "docs"),
        ("SendGrid", "SG.", r"[\w-]{16,}+\.[\w-]{16,}+", "docs"),
        ("Mailgun", "key-", r"[0-9a-f]{32}", "docs"),
        ("Mailchimp", "", r"[0-9a-f]{32}-us[0-9]{1,2}(?![\w-])", "detect-secrets"),
        ("Brevo", "xkeysib-", _LONG, "docs"),
        ("Brevo SMTP", "xsmtpsib-", _LONG, "docs"),
        ("Resend", "re_", r"[A-Za-z0-9]{6,12}_[A-Za-z0-9]{20,}+", "docs"),
        ("npm", "npm_", _LONGER, "docs"),
        ("PyPI", "pypi-", r"[\w-]{30,}+", "docs"),
        ("RubyGems", "rubygems_", r"[0-9a-f]{32,}+", "docs"),
        ("Cargo", "cio", r"[A-Za-z0-9]{32}(?![A-Za-z0-9])", "github"),
        ("NuGet", "oy2", r"[a-z0-9]{43}(?![A-Za-z0-9])", "github"),
        ("Clojars", "CLOJARS_", r"[0-9a-f]{40,}+", "gitleaks"),
        ("Docker Hub", "dckr_pat_", _LONG, "docs"),
        ("Docker Hub organisation", "dckr_oat_", _LONG, "docs"),
        ("Hugging Face", "hf_", _LONGER, "docs"),
        ("Hugging Face organisation", "api_org_", _LONGER, "gitleaks"),
        ("Replicate", "r8_", _LONGER, "docs"),
        ("Groq", "gsk_", _LONGER, "docs"),
        ("xAI", "xai-", _LONGER, "docs"),
        ("Perplexity", "pplx-", _LONGER, "docs"),
        ("Tavily", "tvly-", _LONG, "docs"),
        ("Firecrawl", "fc-", r"[0-9a-f]{32}", "docs"),
        ("Jina", "jina_", r"[\w-]{32,}+", "docs"),
        ("Voyage", "pa-", _MIXED_43, "docs"),
        ("Voyage at MongoDB", "al-", _MIXED_43, "docs"),
        ("Together", "tgp_v1_", _LONG, "docs"),
        ("Fireworks", "fw_", _LONGER, "docs"),
        ("Cerebras", "csk-", _LONGER, "docs"),
        ("ElevenLabs", "sk_", r"[0-9a-f]{40,}+", "docs"),
        ("RunPod", "rpa_", _LONGER, "docs"),
        ("Anyscale", "esecret_", _LONG, "docs"),
        ("NVIDIA", "nvapi-", _LONG, "docs"),
        ("Pinecone", "pcsk_", _LONG, "docs"),
        ("LangSmith", "lsv2_", r"(?:pt|sk)_\w{20,}+", "docs"),
        ("LangSmith, older", "ls__", r"[0-9a-f]{32}", "docs"),
        ("Weights & Biases", "wandb_v1_", _LONG, "docs"),
        ("Helicone", "sk-helicone-", _LONG, "docs"),
        ("PostHog", "phc_", r"[A-Za-z0-9]{30,}+", "docs"),
        ("PostHog personal", "phx_", r"[A-Za-z0-9]{30,}+", "docs"),
        ("Apify", "apify_api_", _LONGER, "docs"),
        ("Browserbase", "bb_live_", _LONG, "docs"),
        ("E2B", "e2b_", r"[0-9a-f]{40}", "docs"),
        ("Modal", "as-", r"[A-Za-z0-9]{22}(?![\w-])", "docs"),
        ("Databricks", "dapi", r"[0-9a-f]{32}(?:-[0-9])?", "docs"),
        ("Databricks OAuth", "dose", r"[0-9a-f]{32}", "github"),
        ("DigitalOcean", "dop_v1_", r"[0-9a-f]{32,}+", "docs"),
        ("DigitalOcean OAuth", "doo_v1_", r"[0-9a-f]{32,}+", "docs"),
        ("DigitalOcean refresh", "dor_v1_", r"[0-9a-f]{32,}+", "docs"),
        ("Heroku", "HRKU-", r"[\w-]{32,}+", "docs"),
        ("Fly.io", "fo1_", r"[\w-]{40,}+", "gitleaks"),
        ("Fly.io macaroon", "fm2_", r"[\w+/=,-]{60,}+", "gitleaks"),
        ("Fly.io macaroon", "fm1", r"[ar]_[\w+/=,-]{60,}+", "gitleaks"),
        ("Netlify", "nfp_", r"[A-Za-z0-9]{36,}+", "docs"),
        ("Vercel", "vcp_", r"[A-Za-z0-9]{24,}+", "github"),
        ("Vercel Blob", "vercel_blob_rw_", _LONG, "docs"),
        ("Render", "rnd_", _LONGER, "docs"),
        ("Supabase", "sbp_", r"[0-9a-f]{40,}+", "docs"),
        ("Supabase secret", "sb_secret_", _LONG, "docs"),
        ("Neon", "napi_", r"[a-z0-9]{40,}+", "docs"),
        ("PlanetScale", "pscale_", r"(?:pw|tkn|oauth)_[\w.=-]{32,}+", "docs"),
        ("Aiven", "AVNS_", r"[\w-]{18,}+", "docs"),
        ("Cloudflare origin CA", "v1.0-", r"[0-9a-f]{24}-[0-9a-f]{100,}+", "docs"),
        ("Alibaba", "LTAI", r"[A-Za-z0-9]{16,}+", "docs"),
        ("Tencent", "AKID", r"[A-Za-z0-9]{32}", "docs"),
        ("Volcengine", "AKLT", r"[A-Za-z0-9+/=_-]{40,}+", "docs"),
        ("Yandex", "AQVN", r"[\w-]{35,}+", "gitleaks"),
        ("Yandex IAM", "t1.", r"[A-Z0-9a-z_-]{1,400}+={0,2}\.[\w-]{80,}+", "gitleaks"),
        ("Shopify", "shp", r"(?:at|ca|pa|ss)_[0-9a-fA-F]{32}", "docs"),
        ("Square", "sq0", r"(?:atp|csp|idp)-[\w-]{22,}+", "docs"),
        ("Square access token", "EAAA", r"[\w-]{60}(?![\w-])", "docs"),
        ("PayPal Braintree", "access_token$production$", r"[0-9a-z]{16}\$[0-9a-f]{32}",
         "gitleaks"),
        ("Adyen", "AQE", r"[\w+/]{80,}+={0,2}[\w+/=-]*+", "docs"),
        ("Flutterwave", "FLWSECK", r"[_-](?:TEST-|LIVE-)?[\w-]{12,}+", "gitleaks"),
        ("Facebook", "EAA", r"[A-Z][A-Za-z0-9]{80,}+", "gitleaks"),
        ("Duffel", "duffel_", r"(?:test|live)_[\w-]{40,}+", "gitleaks"),
        ("EasyPost", "EZ", r"[AT]K[A-Za-z0-9]{54}", "gitleaks"),
        ("Shippo", "shippo_", r"(?:live|test)_[0-9a-f]{40}", "gitleaks"),
        ("Plaid", "access-", r"(?:sandbox|development|production)-[0-9a-f-]{36}",
         "gitleaks"),
        ("Vault", "hvs.", _LONG, "docs"),
        ("Vault batch", "hvb.", _LONG, "docs"),
        ("Vault recovery", "hvr.", _LONG, "docs"),
        ("Terraform Cloud", "", r"[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{60,}+", "docs"),
        ("Pulumi", "pul-", r"[0-9a-f]{40}", "docs"),
        ("Doppler", "dp.", r"(?:pt|st|ct|sa|scim|audit)\.(?:[\w-]{2,35}\.)?[\w-]{40,}+",
         "docs"),
        ("Infisical", "st.", r"[0-9a-f]{24}\.[0-9a-f]{32}\.[0-9a-f]{32}", "gitleaks"),
        ("1Password", "ops_", r"eyJ[\w+/=-]{50,}+", "docs"),
        ("1Password secret key", "A3-", r"[A-Z0-9]{6}(?:-[A-Z0-9]{5,11}){4,5}",
         "gitleaks"),
        ("Tailscale", "tskey-", r"[\w-]{16,}+", "docs"),
        ("New Relic", "NRAK-", r"[A-Z0-9]{20,}+", "docs"),
        ("New Relic ingest", "NRII-", r"[\w-]{20,}+", "docs"),
        ("New Relic browser", "NRJS-", r"[0-9a-f]{19,}+", "docs"),
        ("Grafana", "glc_", r"[\w+/=]{20,}+", "docs"),
        ("Grafana service account", "glsa_", r"[A-Za-z0-9]{32}_[0-9A-Fa-f]{8}", "docs"),
        ("Sentry", "sntrys_", r"[\w+/=-]{20,}+", "docs"),
        ("Sentry user", "sntryu_", r"[0-9a-f]{40,}+", "docs"),
        ("Dynatrace", "dt0", r"[a-z][0-9]{2}\.[A-Z0-9]{24}\.[A-Z0-9]{64}", "docs"),
        ("Honeycomb", "hcaik_", r"[a-z0-9]{40,}+", "docs"),
        ("SonarQube", "sq", r"[pua]_[0-9a-f]{40}", "docs"),
        ("Snyk", "snyk_", r"[\w.-]{30,}+", "docs"),
        ("Sourcegraph", "sgp_", r"(?:[0-9a-fA-F]{16}_|local_)?[0-9a-fA-F]{40}", "docs"),
        ("Linear", "lin_api_", _LONG, "docs"),
        ("Linear OAuth", "lin_oauth_", _LONG, "docs"),
        ("Notion", "secret_", r"[A-Za-z0-9]{40,}+", "docs"),
        ("Notion", "ntn_", r"[A-Za-z0-9]{40,}+", "docs"),
        ("Airtable", "pat", r"[A-Za-z0-9]{14}\.[0-9a-f]{64}", "docs"),
        ("Figma", "fig", r"[dou]_[\w-]{30,}+", "docs"),
        ("Asana", "", r"[0-9]/[0-9]{10,20}/[0-9]{10,20}:[0-9a-f]{32}", "github"),
        ("Postman", "PMAK-", r"[0-9a-f]{24}-[0-9a-f]{34}", "docs"),
        ("HubSpot", "pat-", r"(?:na|eu|ap)[0-9]-[0-9a-f-]{36}", "docs"),
        ("Typeform", "tfp_", r"[\w.=-]{40,}+", "gitleaks"),
        ("Contentful", "CFPAT-", r"[\w-]{40,}+", "docs"),
        ("Readme", "rdme_", r"[a-z0-9]{60,}+", "gitleaks"),
        ("Prefect", "pnu_", r"[A-Za-z0-9]{36}", "docs"),
        ("Prefect bot", "pnb_", r"[A-Za-z0-9]{36}", "docs"),
        ("Frame.io", "fio-u-", r"[\w=-]{60,}+", "gitleaks"),
        ("Dropbox", "sl.", r"(?:u\.)?[\w-]{100,}+", "docs"),
        ("CircleCI", "CCIPAT_", r"[A-Za-z0-9]{10,30}_[0-9a-f]{40}", "docs"),
        ("Buildkite", "bkua_", r"[0-9a-f]{40}", "docs"),
        ("Artifactory", "AKCp", r"[A-Za-z0-9]{60,}+", "detect-secrets"),
        ("Artifactory reference", "cmVmd", r"[A-Za-z0-9]{55,}+", "detect-secrets"),
        ("Azure DevOps and storage", "", r"[\w+/]{76}JQQJ99[\w+/]{4,}+={0,2}", "docs"),
        ("Azure AD client", "", r"[\w.~-]{3}[0-9]Q~[\w.~-]{31,34}", "gitleaks"),
        ("Mapbox", "sk.", r"eyJ[\w-]{20,}+\.[\w-]{20,}+", "docs"),
        ("Discord bot", "", r"[MNO][A-Za-z0-9_-]{23,27}\.[\w-]{6}\.[\w-]{27,}+",
         "detect-secrets"),
        ("Telegram bot", "", r"[0-9]{8,10}:AA[\w-]{32,}+", "detect-secrets"),
        ("age", "AGE-SECRET-KEY-1", r"[A-Z0-9]{50,}+", "docs"),
        ("Nostr", "nsec1", r"[a-z0-9]{58}", "rfc"),
        ("Bitcoin extended key", "xprv", r"[1-9A-HJ-NP-Za-km-z]{100,}+", "rfc"),
        ("PASETO", "v", r"[1-4]\.local\.[\w-]{40,}+(?:\.[\w-]*+)?", "rfc"),
    )
)  # fmt: skip

_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[^-]|-(?!----))*+(?:-----END [A-Z0-9 ]{0,40}-----)?"
)
_PUTTY_KEY = re.compile(r"PuTTY-User-Key-File-[0-9]: [^\0]*+")
# A JWT: RFC 7519. It begins somewhere in a run of base64url, which is read once from
# its start: reading it again from each `eyJ` in it would take quadratic time.
_JWT = re.compile(r"(?<![\w-])[\w-]++\.eyJ[\w-]{8,}+\.[\w-]*+")
_JWT_START = re.compile(r"(?<![A-Za-z0-9])eyJ[\w-]{8,}+\.")
# What `openssl passwd`, htpasswd and /etc/shadow hold: crypt(5).
_CRYPT = re.compile(
    r"\$(?:2[abxy]|5|6|y|7|1|apr1|argon2(?:id|i|d)|scrypt|pbkdf2-sha(?:256|512))"
    r"\$[\w./$,=+-]{20,}+"
)


_JWE = re.compile(r"(?<![\w.-])[\w-]{10,}+(?:\.[\w-]*+){4}")

# Plain text that is in every match of a shape without a fixed start.
_HINTS = {
    "Mailchimp": "-us", "Terraform Cloud": ".atlasv1.", "Asana": "/",
    "Azure DevOps and storage": "JQQJ99", "Azure AD client": "Q~", "Discord bot": ".",
    "Telegram bot": ":AA",
}  # fmt: skip

# Plain text is faster to search for than a pattern; `re` compiles each on first use.
_PATTERNS = tuple(
    (
        shape.start or _HINTS[shape.issuer],
        f"(?<![A-Za-z0-9]){re.escape(shape.start)}{shape.rest}",
    )
    for shape in SHAPES
)

_SHORTEST = 15
"""No key of an issuer has fewer characters; all but the blocks have no spaces."""


def redact_issued(text: str) -> str:
    """Return a text without keys that are known by their shape alone."""
    if "PRIVATE KEY" in text:
        text = _PRIVATE_KEY.sub(REDACTED, text)
    if "PuTTY-User-Key-File-" in text:
        text = _PUTTY_KEY.sub(REDACTED, text)
    # Most texts are prose, and most words too short for a key.
    long = " ".join([word for word in text.split() if len(word) >= _SHORTEST])
    if not long:
        return text
    for hint, pattern in in_time(_PATTERNS):
        if hint in long:
            text = re.sub(pattern, REDACTED, text)
    if "eyJ" in long:
        text = _JWT.sub(_from_header, text)
        text = _JWE.sub(_from_header, text)
    if "$" in long:
        text = _CRYPT.sub(REDACTED, text)
    return text


def _from_header(match: re.Match[str]) -> str:
    check_deadline()
    start = _JWT_START.search(match[0])
    return match[0][: start.start()] + REDACTED if start else match[0]
