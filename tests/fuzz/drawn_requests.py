"""HTTP requests to a service as bytes: methods, addresses, headers and bodies that no client sends."""

from __future__ import annotations

from urllib.parse import quote_from_bytes

from fuzz.fuzzing import mangled
from hypothesis import strategies as st

METHODS = [
    "GET",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "HEAD",
    "OPTIONS",
    "TRACE",
    "QUERY",
    "BREW",
    "get",
    "CONNECT",
]
PIECES = [
    "cars",
    "bentz",
    "e-class",
    "quote",
    "engine",
    "description",
    "options",
    "reservations",
    "minus",
    "hello",
]
ODD = [
    "",
    "..",
    ".",
    "%2F",
    "%00",
    "%FF",
    "ü",
    "a" * 300,
    ";",
    "%0d%0aX: y",
    "\\",
    "*",
    "{}",
    "static",
    "new",
]
JSON = [
    b'{"maker":"bentz","model":"x"}',
    b"{}",
    b"[]",
    b"null",
    b'{"maker":1e999}',
    b'"' + b"a" * 3000 + b'"',
    b"\xff",
]
NAMES = {
    "traceparent": ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-" + "0" * 32, "ff-"],
    "tracestate": ["a=1,b=2", ",,,", "a" * 600 + "=1", "a=1," * 40],
    "baggage": ["who=eve", "=;=,", "a=%ff", "k=" + "v" * 9000],
    "b3": ["0", "1", "d", "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1-x"],
    "X-B3-TraceId": ["0af7651916cd43dd", "x"],
    "X-B3-Sampled": ["true", "2", ""],
    "Content-Type": [
        "application/json",
        "text/plain",
        "multipart/form-data",
        "application/json; charset=ebcdic",
    ],
    "Content-Length": ["0", "5", "-1", "99999999999999999999", "x"],
    "Transfer-Encoding": ["chunked", "gzip", "chunked, chunked"],
    "Accept": ["*/*", "text/html", "application/problem+json", "q=;;", "a/b;q=9"],
    "Accept-Encoding": ["gzip;q=0", "*"],
    "If-Match": ["*", '"x"', 'W/"x"', '"'],
    "If-None-Match": ["*", '"x", "y"', ","],
    "If-Modified-Since": ["now", "Thu, 01 Jan 1970 00:00:00 GMT"],
    "Range": ["bytes=0-1", "bytes=-", "x"],
    "Cookie": ["dashcam_session=x", "=;=", "a=b" * 900],
    "Authorization": ["Bearer x", "Basic !!", "Digest"],
    "Idempotency-Key": ["x", "a" * 400],
    "X-Forwarded-For": ["1.2.3.4", "x"],
    "Forwarded": ["for=x;host=y"],
    "User-Agent": ["Googlebot/2.1", "é", "x" * 3000],
    "Host": ["localhost", "a,b", "", "[::1", "x" * 300, "ü"],
    "Referer": ["http://x/", "::"],
    "Origin": ["null", "http://evil.example"],
    "Upgrade": ["websocket", "h2c"],
    "Connection": ["close", "keep-alive, Upgrade"],
    "Expect": ["100-continue", "200-ok"],
}


def _addresses() -> st.SearchStrategy[str]:
    piece = st.sampled_from(PIECES + PIECES + ODD) | st.binary(max_size=6).map(quote_from_bytes)
    path = st.lists(piece, max_size=6).map(lambda pieces: "/" + "/".join(pieces))
    name = st.sampled_from(
        ["x", "y", "limit", "cursor", "min_rating", "release_date", "sort", "discount", "q"]
    )
    value = st.sampled_from(["", "1", "-1", "nan", "1e999", "9" * 400, "%ff", "ü", "a&b", "%00"])
    value |= st.binary(max_size=5).map(quote_from_bytes)
    pair = st.tuples(name, value).map("=".join)
    query = st.lists(pair, max_size=3).map("&".join)
    return st.builds(lambda path, query: path + ("?" + query if query else ""), path, query)


def _headers() -> st.SearchStrategy[list[tuple[bytes, bytes]]]:
    raw = st.binary(max_size=30)

    def of(name: str) -> st.SearchStrategy[tuple[bytes, bytes]]:
        known = st.sampled_from([value.encode() for value in NAMES[name]])
        return st.tuples(st.just(name.encode()), mangled(known))

    return st.lists(st.sampled_from(sorted(NAMES)).flatmap(of) | st.tuples(raw, raw), max_size=5)


@st.composite
def raw_requests(draw: st.DrawFn, address: str | None = None) -> bytes:
    """A request; of `address`, where it is given."""
    method = draw(st.sampled_from(METHODS)) if address is None else "GET"
    headers = draw(_headers() if address else st.lists(st.nothing(), max_size=0) | _headers())
    body = draw(st.sampled_from([b"", *JSON]) | mangled(st.sampled_from(JSON))) if address is None else b""
    lines = [f"{method} {address or draw(_addresses())} HTTP/1.1".encode()]
    names = {name.lower() for name, _ in headers}
    if b"host" not in names:
        lines.append(b"Host: localhost")
    if body and not names & {b"content-length", b"transfer-encoding"}:
        lines.append(b"Content-Length: %d" % len(body))
    if body and b"content-type" not in names:
        lines.append(b"Content-Type: application/json")
    lines += [name + b": " + value for name, value in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
