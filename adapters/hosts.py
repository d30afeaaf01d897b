"""The Hyper-V hosts that the configuration names: how each is signed in to, its verbs, and its machines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property

from adapters.configuration import LoadedConfiguration
from adapters.disks.file_source import FileSource
from adapters.disks.image_sources import open_image_with_parents
from adapters.host_configuration import HostSection
from adapters.hyperv.connection import HostConnection
from adapters.hyperv.host import HyperVHost
from adapters.hyperv.host_files import HostFiles
from adapters.hyperv.inventory import HostInventory
from adapters.hyperv.machines import HyperVMachines
from adapters.hyperv.paths import HostPaths, PrefixMapping
from adapters.hyperv.remote_call import VerbCaller
from adapters.hyperv.shells import RemoteVerbs
from adapters.hyperv.smb_connection import SmbLogin
from adapters.hyperv.smb_files import SmbShares
from adapters.secret_files import credential_file, secret_from_file
from domain.errors import BadInputError
from domain.model.machines import Machine
from domain.model.protection import Consistency, SnapshotPlan
from domain.model.snapshot_method import SnapshotPolicy
from domain.ports.source import FrozenMachine, MachineSource
from domain.ports.source_journal import SourceJournal

_CREDENTIAL_PREFIX = "atesta-host-password-"


class Hosts:
    """Every ``[[host]]``; each is reached when it is first asked, and `close` ends its shells."""

    def __init__(self, configuration: LoadedConfiguration, passwords_given: Mapping[str, str]) -> None:
        self._configuration = configuration
        self._passwords_given = passwords_given
        self._sections = {section.name: section for section in configuration.content.host}
        self._callers: dict[str, RemoteVerbs] = {}
        self._inventories = {name: HostInventory(name) for name in self._sections}

    @property
    def names(self) -> tuple[str, ...]:
        """The hosts, in the order of the configuration."""
        return tuple(self._sections)

    def section(self, name: str) -> HostSection:
        """The section of a host. Raises BadInputError when there is none."""
        found = self._sections.get(name)
        if found is None:
            known = ", ".join(self._sections) or "there is none"
            raise BadInputError(
                "There is no such host in the configuration.",
                where=repr(name),
                next_step=f"Hosts there: {known}. A [[host]] section adds one (docs/hyperv.md).",
            )
        return found

    def caller(self, name: str) -> VerbCaller:
        """The way to a host's verbs; nothing is sent yet. Raises BadInputError, EnvironmentTroubleError."""
        if name not in self._callers:
            self._callers[name] = RemoteVerbs(self.connection(name))
        return self._callers[name]

    def connection(self, name: str) -> HostConnection:
        """How a host is signed in to. Raises BadInputError when its password is not known."""
        section = self.section(name)
        path = self._configuration.path
        return HostConnection(
            name=section.name,
            endpoint=section.endpoint,
            transport=section.transport,
            user=section.user,
            password=self._password(section),
            ca_file=path(section.ca_file) if section.ca_file else None,
            certificate_file=path(section.certificate_file) if section.certificate_file else None,
            key_file=path(section.key_file) if section.key_file else None,
            deadline_seconds=section.timeout_seconds,
        )

    def source(self, name: str) -> LazyMachines:
        """The machines of a host."""
        return LazyMachines(lambda: self._machines(self.section(name)))

    def files(self, name: str) -> HostFiles:
        """The files of a host, for one reader. Raises BadInputError when the password is not known."""
        section = self.section(name)
        smb = section.smb
        user, password = section.user, self._password(section)
        if smb.user and smb.password_file:
            user, password = (
                smb.user,
                secret_from_file(self._configuration.path(smb.password_file), f"password for the shares of {name}"),
            )
        login = SmbLogin(
            username=user or "",
            password=password or "",
            port=smb.port,
            encrypt=smb.encrypt,
            authentication="kerberos" if section.transport == "kerberos" and not smb.user else "negotiate",
        )
        mappings = [PrefixMapping(prefix.host, prefix.read) for prefix in smb.prefixes]
        return HostFiles(
            HostPaths(smb.server or section.where, mappings),
            SmbShares(login, connections_max=smb.connections),
            FileSource,
            open_image_with_parents,
        )

    def close(self) -> None:
        """End the shells on all hosts; what cannot be reached ends by itself."""
        for caller in self._callers.values():
            caller.close()

    def state_of(self, machine: Machine) -> str:
        """What a machine does, in a word, as last listed; empty for one of no host."""
        inventory = self._inventories.get(machine.host)
        return inventory.states.get(machine.machine_id, "") if inventory else ""

    def _machines(self, section: HostSection) -> HyperVMachines:
        return HyperVMachines(
            HyperVHost(self.caller(section.name)),
            lambda: self.files(section.name),
            self._inventories[section.name].describe,
            policy=SnapshotPolicy(
                saved_state_allowed=section.saved_state == "allow",
                crash_allowed=section.consistency != "application",
                consistency_asked=Consistency.CRASH if section.consistency == "crash" else Consistency.APPLICATION,
            ),
            wants=section.wants,
        )

    def _password(self, section: HostSection) -> str | None:
        given = self._passwords_given.get(section.password_variable)
        if given:
            return given
        what = f"password of the host {section.name}"
        credential = credential_file(_CREDENTIAL_PREFIX + section.name)
        if credential is not None:
            return secret_from_file(credential, what, guarded_by_systemd=True)
        if section.password_file:
            return secret_from_file(self._configuration.path(section.password_file), what)
        if section.transport in ("kerberos", "certificate"):
            return None
        raise BadInputError(
            f"The {what} is not known.",
            where=section.name,
            next_step=f"Set password_file of the host in atesta.toml, or {section.password_variable}.",
        )


class LazyMachines:
    """A host's machines; what the way to it needs, such as a password, is looked for when the first one is asked for.

    So a host whose password is missing is a source in trouble, and keeps no other one from being listed.
    """

    def __init__(self, make: Callable[[], MachineSource]) -> None:
        self._make = make

    @cached_property
    def _source(self) -> MachineSource:
        return self._make()

    def machines(self) -> Sequence[Machine]:
        """As the port says."""
        return self._source.machines()

    def plan(self, machine: Machine) -> SnapshotPlan:
        """As the port says."""
        return self._source.plan(machine)

    def frozen(
        self, machine: Machine, plan: SnapshotPlan, journal: SourceJournal
    ) -> AbstractContextManager[FrozenMachine]:
        """As the port says."""
        return self._source.frozen(machine, plan, journal)

    def settle(self, machine_id: str, journal: SourceJournal) -> tuple[str, ...]:
        """As the port says."""
        return self._source.settle(machine_id, journal)
