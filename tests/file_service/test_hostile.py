"""Files that are broken or mean harm end as a reason that names the place, whatever they are."""

import pytest

from file_service.findings import Unusable
from tests.file_service.conftest import Examine
from tests.file_service.hostile import FILES


@pytest.mark.parametrize("what", FILES)
def test_a_hostile_file_is_rejected_with_a_reason(what: str, looked_at: Examine) -> None:
    name, content, reason = FILES[what]

    with pytest.raises(Unusable, match=reason) as rejected:
        looked_at(name, content())

    assert len(str(rejected.value)) < 400
    assert "/content" not in str(rejected.value)  # no path of ours
