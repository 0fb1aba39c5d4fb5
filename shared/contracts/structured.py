"""An envelope as one JSON document, and back: CloudEvents JSON format 1.0.2, single and batch."""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping

import msgspec

from shared.contracts.catalogue import is_json
from shared.contracts.envelope import Envelope, envelope
from shared.errors import EnvelopeError, Problem

STRUCTURED_TYPE = "application/cloudevents+json"
BATCH_TYPE = "application/cloudevents-batch+json"

_document = msgspec.json.Decoder(dict[str, msgspec.Raw])
_documents = msgspec.json.Decoder(list[msgspec.Raw])
_scalar = msgspec.json.Decoder(str | int | bool | None)
_text = msgspec.json.Decoder(str)
_encoder = msgspec.json.Encoder()


def encode_structured(event: Envelope) -> bytes:
    """The envelope as one CloudEvents JSON document."""
    document: dict[str, object] = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        **event.attributes,
    }
    if event.data and is_json(event.content_type) and _is_document(event.data):
        document["data"] = msgspec.Raw(event.data)
    elif event.data:
        document["data_base64"] = b64encode(event.data).decode()
    return _encoder.encode(document)


def decode_structured(body: bytes, defaults: Mapping[str, str] | None = None) -> Envelope:
    """The envelope in a CloudEvents JSON document; `defaults` fill attributes that it lacks."""
    try:
        document = _document.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EnvelopeError(
            f"no CloudEvent: not a JSON object: {error}", [Problem("", f"is no JSON object: {error}")]
        ) from None
    plain, encoded = document.pop("data", None), document.pop("data_base64", None)
    if plain is not None and encoded is not None:
        raise EnvelopeError(
            "no CloudEvent: data and data_base64 exclude each other",
            [Problem("/data_base64", "excludes data")],
        )
    attributes = dict(defaults or {})
    for name, raw in document.items():
        value = _attribute(name, raw)
        if value is not None:
            attributes[name] = value
    content_type = attributes.get("datacontenttype", "application/json")
    return envelope(attributes, _data(plain, encoded, content_type))


def decode_batch(body: bytes, defaults: Mapping[str, str] | None = None) -> list[Envelope]:
    """The envelopes in a CloudEvents JSON batch; pointers begin with an index, `defaults` fill gaps."""
    try:
        documents = _documents.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EnvelopeError(
            f"no batch of CloudEvents: {error}", [Problem("", f"is no JSON array: {error}")]
        ) from None
    envelopes: list[Envelope] = []
    problems: list[Problem] = []
    for index, document in enumerate(documents):
        try:
            envelopes.append(decode_structured(bytes(document), defaults))
        except EnvelopeError as error:
            problems += [Problem(f"/{index}{where}", detail) for where, detail in error.problems]
    if problems:
        raise EnvelopeError(f"no CloudEvent at {problems[0].pointer}: {problems[0].detail}", problems)
    return envelopes


def _attribute(name: str, raw: msgspec.Raw) -> str | None:
    """Text, whole numbers and booleans, each as CloudEvents writes it as text; null means not given."""
    try:
        value = _scalar.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise EnvelopeError(
            f"no CloudEvent: {name} is no text",
            [Problem(f"/{name}", "must be text, a whole number or a boolean")],
        ) from None
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def _data(plain: msgspec.Raw | None, encoded: msgspec.Raw | None, content_type: str) -> bytes:
    if encoded is not None:
        try:
            return b64decode(_text.decode(encoded), validate=True)
        except (msgspec.DecodeError, Base64Error, ValueError):
            raise EnvelopeError(
                "no CloudEvent: data_base64 is no base64", [Problem("/data_base64", "is no base64")]
            ) from None
    if plain is None:
        return b""
    if is_json(content_type):
        return bytes(plain)
    try:
        return _text.decode(plain).encode()
    except msgspec.DecodeError:
        raise EnvelopeError(
            f"no CloudEvent: data is {content_type!r} and must be a JSON string",
            [Problem("/data", f"must be a JSON string, for it is {content_type}")],
        ) from None


def _is_document(data: bytes) -> bool:
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True
