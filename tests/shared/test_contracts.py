"""The envelope and the contracts: what is let in, what is refused, and with which words."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts import (
    CATALOGUE,
    Catalogue,
    EmailRequested,
    Event,
    UserRegistered,
    caused_id,
    decode_batch,
    decode_header,
    decode_structured,
    encode_header,
    encode_structured,
    envelope,
    wrap,
)
from shared.errors import EnvelopeError, InvalidData, UnknownType

ADA = UserRegistered(user_id="u1", name="Ada Lovelace", email="ada@example.com")
ATTRIBUTES = {"id": "0192f7a2-0000-7000-8000-000000000001", "source": "/here", "type": "user.registered"}

printable = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=50).filter(
    str.isprintable
)


def test_an_event_survives_its_journey_as_one_document() -> None:
    wrapped = wrap(ADA, source="/trunkline/gateway", traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01")

    assert decode_structured(encode_structured(wrapped)) == wrapped
    assert CATALOGUE.check(wrapped) == ADA


@given(subject=printable, data=st.binary(max_size=200))
def test_any_printable_attribute_and_any_bytes_survive_the_journey(subject: str, data: bytes) -> None:
    event = envelope({**ATTRIBUTES, "subject": subject, "datacontenttype": "application/octet-stream"}, data)

    assert decode_structured(encode_structured(event)) == event


@given(value=printable)
def test_a_header_value_comes_back_as_it_was(value: str) -> None:
    encoded = encode_header(value)

    assert encoded.isascii()
    assert " " not in encoded
    assert decode_header("subject", encoded) == value


@pytest.mark.parametrize(
    ("written", "meant"), [("Euro%20%E2%82%AC", "Euro €"), ("%e2%82%ac", "€"), ('"a \\"b\\""', 'a "b"')]
)
def test_a_header_of_another_system_is_read_as_the_binding_says(written: str, meant: str) -> None:
    assert decode_header("subject", written) == meant


@pytest.mark.parametrize("value", ["%C0%A0", "%FF"])
def test_a_header_that_is_no_utf8_is_refused(value: str) -> None:
    with pytest.raises(EnvelopeError, match="UTF-8"):
        decode_header("subject", value)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"id": ""}, "/id"),
        ({"source": ""}, "/source"),
        ({"type": "no spaces"}, "/type"),
        ({"type": "a..b"}, "/type"),
        ({"specversion": "0.3"}, "/specversion"),
        ({"time": "yesterday"}, "/time"),
        ({"time": "2026-01-01T00:00:00"}, "/time"),
        ({"Upper": "x"}, "/Upper"),
        ({"subject": "a\r\nb"}, "/subject"),
        ({"subject": "x" * 5000}, "/subject"),
    ],
)
def test_a_malformed_attribute_is_named(change: dict[str, str], pointer: str) -> None:
    with pytest.raises(EnvelopeError) as refused:
        envelope({**ATTRIBUTES, **change}, b"{}")

    assert pointer in [problem.pointer for problem in refused.value.problems]


def test_an_id_that_is_no_uuid_becomes_one_and_is_kept() -> None:
    first = envelope({**ATTRIBUTES, "id": "order-7"}, b"{}")
    again = envelope({**ATTRIBUTES, "id": "order-7"}, b"{}")
    elsewhere = envelope({**ATTRIBUTES, "id": "order-7", "source": "/there"}, b"{}")

    assert UUID(first.id).version == 5
    assert first.id == again.id != elsewhere.id
    assert first.attributes["originalid"] == "order-7"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b'{"id": {}}',
        b'{"data": 1, "data_base64": "AA=="}',
        b'{"data_base64": "%"}',
    ],
)
def test_what_is_no_structured_event_is_refused_with_a_reason(body: bytes) -> None:
    with pytest.raises(EnvelopeError, match=r"."):
        decode_structured(body, ATTRIBUTES)


def test_a_fault_in_a_batch_is_pointed_at_with_its_index() -> None:
    good = encode_structured(wrap(ADA, source="/x"))

    with pytest.raises(EnvelopeError) as refused:
        decode_batch(b"[" + good + b', {"id": "1", "source": "/x"}]')

    assert [problem.pointer for problem in refused.value.problems] == ["/1/type"]


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        (b'{"name": "Ada", "email": "a@b.example"}', "/user_id"),
        (b'{"user_id": "1", "name": 5, "email": "a@b.example"}', "/name"),
        (b'{"user_id": "1", "name": "Ada", "email": "a@b.example\\r\\nBcc: c@d.example"}', "/email"),
        (b'{"user_id": "1", "name": "Ada", "email": "a@b.example, c@d.example"}', "/email"),
        (b'{"user_id": "1", "name": "A\\nB", "email": "a@b.example"}', "/name"),
        (b'{"user_id": "' + b"x" * 200 + b'", "name": "Ada", "email": "a@b.example"}', "/user_id"),
        (b"not json", ""),
    ],
)
def test_data_that_breaks_its_contract_is_refused_with_a_pointer(data: bytes, pointer: str) -> None:
    with pytest.raises(InvalidData) as refused:
        CATALOGUE.check(envelope(ATTRIBUTES, data))

    assert [problem.pointer for problem in refused.value.problems] == [pointer]


def test_another_system_may_number_its_users_and_add_fields_of_its_own() -> None:
    data = b'{"user_id": 42, "name": "Ada", "email": "a@b.example", "since": 1815}'

    user = CATALOGUE.check(envelope(ATTRIBUTES, data))

    assert user == UserRegistered(user_id="42", name="Ada", email="a@b.example")


def test_an_unknown_type_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(UnknownType, match=r"user\.registered"):
        CATALOGUE.check(envelope({**ATTRIBUTES, "type": "user.forgotten"}, b"{}"))


def test_two_contracts_of_one_type_are_a_mistake() -> None:
    class Impostor(Event):
        type = "user.registered"

    with pytest.raises(ValueError, match="Impostor and UserRegistered"):
        Catalogue(UserRegistered, Impostor)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"subject": "Hello"},
        {"template": "welcome", "subject": "Hello", "text": "x"},
        {"template": "welcome", "html": "<p>"},
    ],
)
def test_a_mail_is_either_a_template_or_written_out(fields: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="either template and fields, or subject and text"):
        EmailRequested.model_validate({"email_id": "1", "to": "a@b.example", **fields})


def test_a_caused_event_has_the_same_id_on_each_run_of_its_job() -> None:
    assert caused_id("a.b:1", "x.y", 0) == caused_id("a.b:1", "x.y", 0)
    assert (
        len({caused_id("a.b:1", "x.y", 0), caused_id("a.b:1", "x.y", 1), caused_id("a.b:2", "x.y", 0)}) == 3
    )


def test_an_effect_keeps_the_chain_of_its_cause() -> None:
    cause = wrap(ADA, source="/x")
    effect = wrap(ADA, source="/y", cause=cause)
    last = wrap(ADA, source="/z", cause=effect)

    assert (effect.attributes["causationid"], last.attributes["causationid"]) == (cause.id, effect.id)
    assert effect.attributes["correlationid"] == last.attributes["correlationid"] == cause.id
