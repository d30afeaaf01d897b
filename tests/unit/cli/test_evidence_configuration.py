from __future__ import annotations

import msgspec
import pytest

from adapters.evidence_configuration import EvidenceSection
from domain.model.machines import Firmware, Machine, MachineSettings


def _machine(name: str) -> Machine:
    settings = MachineSettings(firmware=Firmware.UEFI)
    return Machine(machine_id=f"id-{name}", name=name, host="hv", settings=settings, disks=())


def test_the_first_match_gives_a_machine_its_target_and_the_others_the_general_one() -> None:
    text = 'recovery_target = "4 h"\n[[machines]]\nmatch = "sql*"\nrecovery_target = "30 min"\n'
    section = msgspec.toml.decode(text, type=EvidenceSection)

    assert section.targets([_machine("sql-1"), _machine("web")]) == {"id-sql-1": 1800.0, "id-web": 14400.0}


def test_without_a_target_no_machine_has_one() -> None:
    assert EvidenceSection().targets([_machine("web")]) == {}


@pytest.mark.parametrize("text", ['recovery_target = "soon"', '[[machines]]\nmatch = "*"\nrecovery_target = "0 h"'])
def test_a_target_that_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="recovery_target"):
        msgspec.toml.decode(text, type=EvidenceSection)
