"""A report that is done in, the mails that bring it out; or those that say why there is none."""

from collections.abc import Sequence
from uuid import UUID, uuid5

from shared.contracts import Attachment, EmailRequested, ReportFailed, ReportReady, ReportRequested

_MAILS = UUID("5f6f7b0a-5f2b-5c5e-8f5d-0a6a3a3f2d11")

_TITLES = {
    "orders_summary": "Orders summary",
    "sales_by_product": "Sales by product",
    "customer_statement": "Customer statement",
    "system_activity": "System activity",
}


def mails_of(
    request: ReportRequested, ended: ReportReady | ReportFailed, *, attached_max: int
) -> list[EmailRequested]:
    """One for each address, under an id that is the same on each run."""
    if isinstance(ended, ReportFailed):
        text, attachments = _failed(request, ended), []
    elif ended.size_bytes > attached_max:
        text, attachments = _too_large(request, ended), []
    else:
        text, attachments = _ready(request), [_attachment(request, ended)]
    return [
        EmailRequested(
            email_id=str(uuid5(_MAILS, f"{request.report_id}\n{address}")),
            to=address,
            subject=f"{_TITLES[request.kind]}, {_days(request)}",
            text=text,
            attachments=attachments,
        )
        for address in _addresses(request)
    ]


def file_name(request: ReportRequested) -> str:
    """`orders-summary-2026-11-01-2026-11-22.pdf`."""
    kind = request.kind.replace("_", "-")
    return f"{kind}-{request.first_day}-{request.last_day}.{request.format}"


def _addresses(request: ReportRequested) -> Sequence[str]:
    """Each once, whatever the case of its letters."""
    given = [*([request.email_to] if request.email_to else []), *request.copies_to]
    known: dict[str, str] = {}
    for address in given:
        known.setdefault(address.lower(), address)
    return list(known.values())


def _attachment(request: ReportRequested, ready: ReportReady) -> Attachment:
    return Attachment(key=ready.file_key, name=file_name(request), media_type=ready.media_type)


def _ready(request: ReportRequested) -> str:
    return f"Attached is the report you asked for: {_named(request)}.\n"


def _too_large(request: ReportRequested, ready: ReportReady) -> str:
    return (
        f"The report you asked for is ready: {_named(request)}.\n\n"
        f"With {ready.size_bytes:,} bytes it is too large for a mail. "
        f"It lies at /v1/reports/{request.report_id}/content of the gateway.\n"
    )


def _failed(request: ReportRequested, failed: ReportFailed) -> str:
    return f"The report you asked for cannot be made: {_named(request)}.\n\nThe reason: {failed.reason}.\n"


def _named(request: ReportRequested) -> str:
    return f"{_TITLES[request.kind]}, {_days(request)}, as {request.format.upper()}"


def _days(request: ReportRequested) -> str:
    first, last = request.first_day, request.last_day
    return f"{first}" if first == last else f"{first} to {last}"
