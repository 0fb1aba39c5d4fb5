"""WHAT TRAVELS: the events' contracts, their envelope and how it looks as JSON and as headers.

A contract is a frozen pydantic model with a `type`; an Envelope carries one with its CloudEvents
attributes. Services import from here, never from the files inside.
"""

from shared.contracts.catalogue import Catalogue
from shared.contracts.drill import DrillRequested
from shared.contracts.email import Attachment, EmailBounced, EmailRequested, EmailSent
from shared.contracts.envelope import (
    DELIVER_AT,
    EXPIRES_AT,
    HANDLER,
    UNIQUE_KEY,
    UNIQUE_UNTIL,
    Envelope,
    addressed,
    caused_id,
    envelope,
    new_id,
    wrap,
)
from shared.contracts.event import (
    Address,
    EntityId,
    Event,
    FileName,
    MediaType,
    Name,
    ObjectKey,
    WrittenEvent,
)
from shared.contracts.file import Artifact, FileProcessed, FileRejected
from shared.contracts.gateway import (
    Cents,
    Currency,
    FileUploaded,
    GoodsReceived,
    OrderCreated,
    OrderItem,
    Quantity,
    ReportFormat,
    ReportKind,
    ReportRequested,
    Sku,
    UserRegistered,
)
from shared.contracts.headers import decode_header, encode_header
from shared.contracts.inventory import (
    InventoryChanged,
    InventoryRejected,
    InventoryReserved,
    Shortage,
    StockLine,
    WarehouseNotified,
)
from shared.contracts.report import ReportFailed, ReportReady
from shared.contracts.scheduler import CleanupDue, DailyReportDue, HealthCheckDue, Tick, WeeklyReportDue
from shared.contracts.structured import (
    BATCH_TYPE,
    STRUCTURED_TYPE,
    decode_batch,
    decode_structured,
    encode_structured,
)

CATALOGUE = Catalogue(
    UserRegistered,
    OrderCreated,
    InventoryReserved,
    InventoryRejected,
    GoodsReceived,
    InventoryChanged,
    WarehouseNotified,
    EmailRequested,
    EmailSent,
    EmailBounced,
    FileUploaded,
    FileProcessed,
    FileRejected,
    ReportRequested,
    ReportReady,
    ReportFailed,
    CleanupDue,
    DailyReportDue,
    WeeklyReportDue,
    HealthCheckDue,
    DrillRequested,
)
"""Every event type of the system; an event of another type is refused at every door."""

__all__ = [
    "BATCH_TYPE",
    "CATALOGUE",
    "DELIVER_AT",
    "EXPIRES_AT",
    "HANDLER",
    "STRUCTURED_TYPE",
    "UNIQUE_KEY",
    "UNIQUE_UNTIL",
    "Address",
    "Artifact",
    "Attachment",
    "Catalogue",
    "Cents",
    "CleanupDue",
    "Currency",
    "DailyReportDue",
    "DrillRequested",
    "EmailBounced",
    "EmailRequested",
    "EmailSent",
    "EntityId",
    "Envelope",
    "Event",
    "FileName",
    "FileProcessed",
    "FileRejected",
    "FileUploaded",
    "GoodsReceived",
    "HealthCheckDue",
    "InventoryChanged",
    "InventoryRejected",
    "InventoryReserved",
    "MediaType",
    "Name",
    "ObjectKey",
    "OrderCreated",
    "OrderItem",
    "Quantity",
    "ReportFailed",
    "ReportFormat",
    "ReportKind",
    "ReportReady",
    "ReportRequested",
    "Shortage",
    "Sku",
    "StockLine",
    "Tick",
    "UserRegistered",
    "WarehouseNotified",
    "WeeklyReportDue",
    "WrittenEvent",
    "addressed",
    "caused_id",
    "decode_batch",
    "decode_header",
    "decode_structured",
    "encode_header",
    "encode_structured",
    "envelope",
    "new_id",
    "wrap",
]
