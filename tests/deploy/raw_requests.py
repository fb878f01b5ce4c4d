"""Requests that no client library would send, as they go over the wire.

`{path}` is the path of an export and `{bearer}` a good Authorization field. What a body
smuggles asks under an id of its own: an answer to that is an answer too many.
"""

HOST = "Host: good.example\r\n"
FIRST = "X-Request-ID: first\r\n"
SMUGGLED = (
    "GET /health/live HTTP/1.1\r\nHost: good.example\r\nX-Request-ID: smuggled\r\n\r\n"
)


def get(*fields: str, path: str = "{path}", version: str = "HTTP/1.1") -> str:
    """Write a good GET request with more fields, each without its line end."""
    lines = "".join(f"{field}\r\n" for field in fields)
    return f"GET {path} {version}\r\n{HOST}{FIRST}{{bearer}}\r\n{lines}\r\n"


def post(*fields: str, body: str = "") -> str:
    """Write a POST request with more fields and a body."""
    lines = "".join(f"{field}\r\n" for field in fields)
    return f"POST {{path}} HTTP/1.1\r\n{HOST}{FIRST}{lines}\r\n{body}"


SMUGGLING = f"0\r\n\r\n{SMUGGLED}"
CHUNKED = "Transfer-Encoding: chunked"

REQUESTS = {
    # Where a request ends.
    "length and chunks": post("Content-Length: 6", CHUNKED, body=SMUGGLING),
    "chunks and length": post(CHUNKED, "Content-Length: 6", body=SMUGGLING),
    "two lengths": post("Content-Length: 0", "Content-Length: 5", body="abcde"),
    "two equal lengths": post("Content-Length: 5", "Content-Length: 5", body="abcde"),
    "a list of lengths": post("Content-Length: 5, 5", body="abcde"),
    "a negative length": post("Content-Length: -1", body=SMUGGLED),
    "a signed length": post("Content-Length: +5", body="abcde"),
    "a hexadecimal length": post("Content-Length: 0x5", body="abcde"),
    "a length in other digits": post("Content-Length: \uff15", body="abcde"),
    "an enormous length": post(f"Content-Length: {'9' * 30}", body="abcde"),
    "an empty length": post("Content-Length:", body=SMUGGLED),
    "two chunked": post(CHUNKED, CHUNKED, body=SMUGGLING),
    "an unknown coding": post("Transfer-Encoding: cow", body=SMUGGLED),
    "chunked, then another": post("Transfer-Encoding: chunked, cow", body=SMUGGLING),
    "chunked with a tab": post("Transfer-Encoding:\tchunked", body=SMUGGLING),
    "chunked with a control": post("Transfer-Encoding: \x0bchunked", body=SMUGGLING),
    "chunked before a colon": post("Transfer-Encoding : chunked", body=SMUGGLING),
    "chunked in HTTP/1.0": post(CHUNKED, body=SMUGGLING).replace("/1.1", "/1.0", 1),
    "a signed chunk": post(CHUNKED, body=f"+0\r\n\r\n{SMUGGLED}"),
    "a chunk that is none": post(CHUNKED, body=f"G\r\nabc\r\n{SMUGGLED}"),
    "a chunk with a bare LF": post(CHUNKED, body=f"0\n\n{SMUGGLED}"),
    "a body on GET": get("Content-Length: 5") + "abcde",
    "a request in the body of GET": get(f"Content-Length: {len(SMUGGLED)}") + SMUGGLED,
    "chunks on GET": get(CHUNKED) + "5\r\nabcde\r\n0\r\n\r\n",
    "trailers on GET": get(CHUNKED) + "0\r\nX-Request-ID: smuggled\r\n\r\n",
    # Lines and fields.
    "bare LF": get().replace("\r\n", "\n"),
    "bare CR": get("X-Field: a\rX-Request-ID: smuggled"),
    "a folded field": get("X-Field: a", " b"),
    "a folded Authorization": get().replace("Bearer ", "Bearer\r\n ", 1),
    "white space before a field": get(" X-Field: a"),
    "a field without a colon": get("X-Field"),
    "a field without a name": get(": a"),
    "a space in a name": get("X Field: a"),
    "NUL in a value": get("Accept: text/plain\x00"),
    "a control in a value": get("Accept: text/plain\x1b[31m"),
    "raw bytes in a value": get("Accept: tëxt/plain\xff"),
    "NUL in a name": get("X-\x00: a"),
    "two hosts": get("Host: evil.example"),
    "no host": get().replace(HOST, ""),
    "an empty host": get().replace(HOST, "Host:\r\n"),
    "a host with a path": get().replace(HOST, "Host: good.example/evil\r\n"),
    "a host with credentials": get().replace(HOST, "Host: a:b@good.example\r\n"),
    "underscored twins": get("X_Request_ID: smuggled", "X-Forwarded_For: 192.0.2.66"),
    "two authorizations": get("{bearer}"),
    "a long Accept": get("Accept: " + ", ".join(["text/x-none;q=0.5"] * 430)),
    "a longer Accept": get("Accept: " + "a" * 9000),
    "many fields": get(*[f"X-Field-{number}: a" for number in range(200)]),
    "a field that expects": get("Expect: 200-ok"),
    "an upgrade": get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"),
    # Targets.
    "an absolute target": get(path="http://good.example{path}"),
    "another host's target": get(path="http://evil.example{path}"),
    "an authority": f"CONNECT good.example:80 HTTP/1.1\r\n{HOST}{FIRST}\r\n",
    "an asterisk": f"OPTIONS * HTTP/1.1\r\n{HOST}{FIRST}\r\n",
    "an asterisk for GET": get(path="*"),
    "no slash": get(path="health/live"),
    "a fragment": get(path="{path}#fragment"),
    "a very long path": get(path="/" + "a" * 3000),
    "a longer path": get(path="/" + "a" * 20_000),
    "a long query": get(path="{path}?format=" + "a" * 3500),
    "%00": get(path="/experiments/%00/export"),
    "overlong UTF-8": get(path="/experiments/%C0%AF/export"),
    "no UTF-8": get(path="{path}?format=%FF%FE"),
    "half an escape": get(path="{path}?format=%F"),
    "line ends in escapes": get(path="/%0d%0aX-Request-ID:%20smuggled"),
    "raw bytes in the target": get(path="{path}?format=ë"),
    "a space in the target": get(path="{path}?format=j son"),
    "a tab for a space": get().replace(" HTTP", "\tHTTP", 1),
    "dots": get(path="/health/../../../../etc/passwd"),
    "dots in escapes": get(path="/%2e%2e/%2e%2e/etc/passwd"),
    "two slashes": get(path="//evil.example{path}"),
    "a backslash": get(path="\\evil.example"),
    # Methods and versions.
    "another method": f"BREW {{path}} HTTP/1.1\r\n{HOST}{FIRST}\r\n",
    "a method in lower case": get().replace("GET", "get", 1),
    "a method that is none": get().replace("GET", "G@T", 1),
    "TRACE": f"TRACE {{path}} HTTP/1.1\r\n{HOST}{FIRST}\r\n",
    "another version": get(version="HTTP/1.9"),
    "the next version": get(version="HTTP/3.0"),
    "no number": get(version="HTTP/x.y"),
    "TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}

CHUNKS_COUNT = {
    "length and chunks",
    "chunks and length",
    "chunked with a tab",
    "a chunk with a bare LF",
    "an empty length",
}
"""Where a proxy may find the end and go on (RFC 9112, sections 2.2 and 6.3).

It passes on no length then, so that all agree; what follows is a request of its own.
"""
