"""A filter of jobs in a JSON body, as far as all orders to many jobs have it in common."""

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from gateway.history.job_filter import LONGEST_TEXT, SHORTEST_TEXT, Filter

BodyName = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
_Text = Annotated[
    str, StringConstraints(min_length=SHORTEST_TEXT, max_length=LONGEST_TEXT, pattern=r"^[^\x00]+$")
]
_JobId = Annotated[str, StringConstraints(max_length=400, pattern=r"^[^\x00]+:[^\x00:]+$")]
_Fingerprint = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


class FilterBody(BaseModel):
    """Which jobs; all of what is given must hold. `{"all": true}` alone stands for every one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    all: Literal[True] | None = Field(None, description="Every one there is; nothing else beside it.")
    handler: BodyName | None = None
    service: BodyName | None = None
    error: BodyName | None = Field(None, description="The type of the last error, as the job shows it.")
    fingerprint: _Fingerprint | None = Field(None, description="As in GET /v1/dead/groups.")
    text: _Text | None = Field(None, description="As in the list.")
    ids: Annotated[list[_JobId], Field(min_length=1, max_length=1000)] | None = None
    since: AwareDatetime | None = Field(None, description="At this instant or later, as in the list.")
    until: AwareDatetime | None = Field(None, description="Before this instant, as in the list.")

    @model_validator(mode="after")
    def _says_what_it_means(self) -> Self:
        given = self.model_dump(exclude_none=True)
        if not given:
            raise ValueError('names nothing; {"all": true} stands for every one')
        if self.all and len(given) > 1:
            raise ValueError("`all` stands alone; leave it out to narrow the filter")
        if self.since and self.until and self.since >= self.until:
            raise ValueError("`until` must be later than `since`")
        return self

    def to_filter(self) -> Filter:
        """The filter as lists have it."""
        return Filter(**self.model_dump(exclude={"all"}))
