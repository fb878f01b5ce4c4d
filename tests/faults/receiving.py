"""A plain HTTP client, old or new, and what the verifier makes of what it got."""

from collections.abc import Mapping
from contextlib import closing
from hashlib import sha256
from http.client import HTTPConnection, HTTPException

from promptlooper_export.proof import Answer, Verdict, verify
from servers import HOST


class Old(HTTPConnection):
    """Speaks HTTP/1.0."""

    _http_vsn = 10
    _http_vsn_str = "HTTP/1.0"


VERSIONS = {"1.0": Old, "1.1": HTTPConnection}


def judge(port: int, path: str, fields: Mapping[str, str], version: str) -> Verdict:
    """Ask, and judge what came by what the client saw of it."""
    with closing(VERSIONS[version](HOST, port, timeout=60)) as connection:
        body, failure = b"", None
        try:
            connection.request("GET", path, headers=dict(fields))
            response = connection.getresponse()
        except (OSError, HTTPException) as error:
            return Verdict(outcome="broken", reason=f"no answer: {error}")
        try:
            while block := response.read(1 << 16):
                body += block
        except (OSError, HTTPException) as error:
            failure = str(error)
        answer = Answer(
            status=response.status,
            fields=response.getheaders(),
            length=len(body),
            sha256=sha256(body).digest(),
            failure=failure,
        )
        return verify(answer)
