"""What a caller says of a schedule: a body or a changed one in, a Definition with times and events out."""

from typing import Any

from pydantic import ValidationError

from gateway.door.json_body import invalid
from gateway.door.problem_kinds import INVALID
from gateway.door.problems import Refused, of_contract
from shared.errors import ContractError, Problem, UnknownType
from shared.schedules import Definition, TimingError, check_definition


def checked(fields: dict[str, Any] | Definition) -> Definition:
    """The definition; Refused with 422 and pointers when it can be no schedule."""
    try:
        definition = fields if isinstance(fields, Definition) else Definition.model_validate(fields)
        check_definition(definition)
    except ValidationError as error:
        raise invalid(error) from None
    except TimingError as error:
        problem = Problem(f"/{error.field}", str(error))
        raise Refused(INVALID, f"{error.field}: {error}", errors=[problem]) from None
    except UnknownType as error:
        refused = of_contract(error)
        refused.errors = (Problem("/type", str(error)),)
        raise refused from None
    except ContractError as error:
        raise of_contract(error, under="/data") from None
    return definition
