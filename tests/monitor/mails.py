"""Mails to test with: a letter as we send them, and what nobody should send."""

import struct
import zlib
from collections.abc import Mapping
from email.message import EmailMessage
from pathlib import Path


def _png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixel = zlib.compress(b"\0\x20\x60\xc0")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")


PNG = _png()
HTML = """<h1>Hello</h1><img src="cid:logo"><img src="cid:other">
<script>parent.document.title = "taken over"; document.title = "taken over"</script>
<img src="http://tracker.example/pixel.png" onerror="parent.document.title = 'taken over'">
<form action="/logout" method="post"><button>Go</button></form>"""


def letter(*, subject: str = "Zażółć ✓", file_name: str = "../raport „2026”.pdf") -> EmailMessage:
    """Text, HTML that would do harm, an image within it, and a file."""
    message = EmailMessage()
    message["From"] = "Mallory <mallory@example.com>"
    message["To"] = "ada@example.com"
    message["Subject"] = subject
    message["X-Trunkline-Job"] = "email.send:0192f3a0-0000-7000-8000-000000000001"
    message.set_content("Plain: ąęść")
    message.add_alternative(HTML, subtype="html")
    *_, html = message.iter_parts()
    assert isinstance(html, EmailMessage)
    html.add_related(PNG, "image", "png", cid="<logo>")
    plain = "".join(one for one in file_name if one.isprintable())
    message.add_attachment(b"%PDF-1.4", maintype="application", subtype="pdf", filename=plain)
    return message


def hostile() -> Mapping[str, bytes]:
    """By a name that says what is wrong with it."""
    boundaries = b"".join(
        b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (number, number)
        for number in range(3_000)
    )
    return {
        "empty": b"",
        "bytes": bytes(range(256)) * 40,
        "no-headers": b"only text \xff\xfe\n",
        "hollow": b"Content-Type: multipart/mixed; boundary=x\n\n--y\nnothing here\n",
        "deep": boundaries,
        "huge-header": b"Subject: " + b"a, " * 700_000 + b"\nTo: " + b"<a@b.c>, " * 200_000 + b"\n\nx\n",
        "huge-type": b"Content-Type: text/plain; " + b"x=1; " * 200_000 + b"\n\nx\n",
        "many-headers": b"".join(b"X-%d: y\n" % number for number in range(20_000)) + b"\nx\n",
        "many-parts": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 5_000 + b"--b--\n",
        "bad-charset": b'Content-Type: text/plain; charset="../../\xff"\n\n\xff\xfe\n',
        "half-characters": b"Content-Type: text/html; charset=raw_unicode_escape\n\n\\ud800 <b>\n",
        "bad-base64": b"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n!!!=\xff\n",
        "bad-uu": b"Content-Type: text/plain\nContent-Transfer-Encoding: x-uuencode\n\nbegin 644 x\n\xff\n",
        "bad-words": b"Subject: =?utf-8?b?broken?= =?x?q?=ZZ?= =?utf-16?b?/////w==?=\n\nx\n",
        "control-characters": b"From: \x00\x1b[31m\n\n\x00\n",
        "bad-file-name": b"Content-Disposition: attachment; filename*0*=x''%FF; filename*1=\xff\n\nx\n",
        "mail-in-mail": b"Content-Type: message/rfc822\n\n" * 50 + b"Subject: inside\n\nx\n",
    }


def keep(folder: Path, name: str, content: bytes) -> None:
    """Put it into the Maildir."""
    for part in ("new", "cur", "tmp"):
        (folder / part).mkdir(exist_ok=True)
    unfinished = folder / "tmp" / name
    unfinished.write_bytes(content)
    unfinished.rename(folder / "new" / name)
