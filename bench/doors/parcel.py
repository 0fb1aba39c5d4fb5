"""The body of every door: about 200 bytes of JSON in, checked; 202 and the job's id out."""

from pydantic import BaseModel, Field


class Parcel(BaseModel):
    """An order-like event, with the limits a real one would have."""

    parcel_id: str = Field(min_length=1, max_length=64)
    sku: str = Field(min_length=1, max_length=64)
    note: str = Field(max_length=2000)


class Accepted(BaseModel):
    """What the client may ask for later."""

    id: str
