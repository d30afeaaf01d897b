"""The CIM classes that a stand-in host has: names and types as Microsoft documents them (docs/stand-in.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

VIRTUALIZATION = "root/virtualization/v2"
CIMV2 = "root/cimv2"


@dataclass(frozen=True, kw_only=True)
class Method:
    """Parameters by name with their types; ``ref`` is a reference."""

    given: Mapping[str, str]
    returned: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class CimClass:
    """``key`` names the property that tells instances apart."""

    name: str
    key: str
    properties: Mapping[str, str]
    methods: Mapping[str, Method] = field(default_factory=dict)
    namespace: str = VIRTUALIZATION


def _typed(text: str) -> dict[str, str]:
    pairs = (entry.split() for entry in text.split(","))
    return {name: kind for kind, name in pairs}


def _class(name: str, key: str, properties: str, *, namespace: str = VIRTUALIZATION, **methods: Method) -> CimClass:
    return CimClass(name=name, key=key, properties=_typed(properties), methods=methods, namespace=namespace)


def _method(given: str, returned: str = "ref Job") -> Method:
    return Method(given=_typed(given) if given else {}, returned=_typed(returned))


_SERVICE = "string Name, string CreationClassName, string SystemName, string ElementName, uint16 EnabledState"
_COMPONENT = (
    "string DeviceID, string SystemName, string ElementName, uint16 EnabledState, uint16[] OperationalStatus,"
    " string[] StatusDescriptions"
)
_RESOURCE = (
    "string InstanceID, string ElementName, uint16 ResourceType, string ResourceSubType, string Address,"
    " string AddressOnParent, string Parent, uint64 VirtualQuantity, string AllocationUnits"
)

CLASSES = {
    each.name: each
    for each in (
        _class(
            "Msvm_ComputerSystem",
            "Name",
            "string Name, string ElementName, string Caption, string Description, uint16 EnabledState,"
            " uint16 HealthState, uint16[] OperationalStatus, string[] StatusDescriptions, uint32 ProcessID,"
            " uint64 OnTimeInMilliseconds",
            RequestStateChange=_method("uint16 RequestedState, datetime TimeoutPeriod"),
        ),
        _class(
            "Msvm_VirtualSystemSettingData",
            "InstanceID",
            "string InstanceID, string ElementName, string VirtualSystemIdentifier, string VirtualSystemType,"
            " string VirtualSystemSubType, string Version, string[] Notes, string ConfigurationDataRoot,"
            " string ConfigurationFile, string SnapshotDataRoot, string SuspendDataRoot, string SwapFileDataRoot,"
            " boolean SecureBootEnabled, uint16 UserSnapshotType, datetime CreationTime,"
            " boolean IncrementalBackupEnabled",
        ),
        _class("Msvm_ResourceAllocationSettingData", "InstanceID", _RESOURCE),
        _class("Msvm_StorageAllocationSettingData", "InstanceID", _RESOURCE + ", string[] HostResource, uint16 Access"),
        _class("Msvm_ProcessorSettingData", "InstanceID", _RESOURCE),
        _class("Msvm_MemorySettingData", "InstanceID", _RESOURCE + ", boolean DynamicMemoryEnabled"),
        _class(
            "Msvm_VirtualSystemSnapshotSettingData",
            "InstanceID",
            "string InstanceID, uint8 ConsistencyLevel, uint8 GuestBackupType, boolean IgnoreNonSnapshottableDisks",
        ),
        _class(
            "Msvm_VirtualSystemReferencePoint",
            "InstanceID",
            "string InstanceID, string ElementName, string VirtualSystemIdentifier, uint8 ConsistencyLevel,"
            " uint16 ReferencePointType, string[] VirtualDiskIdentifiers, string[] ResilientChangeTrackingIdentifiers",
        ),
        _class(
            "Msvm_ConcreteJob",
            "InstanceID",
            "string InstanceID, string Name, uint16 JobState, uint16 PercentComplete, uint16 ErrorCode,"
            " string ErrorDescription, string ErrorSummaryDescription",
            GetErrorEx=_method("", "string[] Errors"),
        ),
        _class(
            "Msvm_VirtualSystemSnapshotService",
            "Name",
            _SERVICE,
            CreateSnapshot=_method(
                "ref AffectedSystem, string SnapshotSettings, uint16 SnapshotType, ref ResultingSnapshot",
                "ref ResultingSnapshot, ref Job",
            ),
            ConvertToReferencePoint=_method(
                "ref AffectedSnapshot, string ReferencePointSettings, ref ResultingReferencePoint",
                "ref ResultingReferencePoint, ref Job",
            ),
            DestroySnapshot=_method("ref AffectedSnapshot"),
        ),
        _class(
            "Msvm_VirtualSystemReferencePointService",
            "Name",
            _SERVICE,
            DestroyReferencePoint=_method("ref AffectedReferencePoint"),
        ),
        _class(
            "Msvm_ImageManagementService",
            "Name",
            _SERVICE,
            GetVirtualDiskChanges=_method(
                "string Path, string LimitId, string TargetSnapshotId, uint64 ByteOffset, uint64 ByteLength",
                "uint64 ProcessedByteLength, uint64[] ChangedByteOffsets, uint64[] ChangedByteLengths, ref Job",
            ),
        ),
        _class(
            "Msvm_VirtualSystemManagementService",
            "Name",
            _SERVICE,
            GetVirtualSystemThumbnailImage=_method(
                "ref TargetSystem, uint16 WidthPixels, uint16 HeightPixels", "uint8[] ImageData"
            ),
        ),
        _class(
            "Msvm_VideoHead",
            "DeviceID",
            "string DeviceID, string SystemName, uint32 CurrentHorizontalResolution, uint32 CurrentVerticalResolution",
        ),
        _class("Msvm_SyntheticDisplayController", "DeviceID", "string DeviceID, string SystemName"),
        _class("Msvm_S3DisplayController", "DeviceID", "string DeviceID, string SystemName"),
        *(
            _class(name, "DeviceID", _COMPONENT)
            for name in (
                "Msvm_VssComponent",
                "Msvm_HeartbeatComponent",
                "Msvm_ShutdownComponent",
                "Msvm_TimeSyncComponent",
            )
        ),
        _class("Msvm_KvpExchangeComponent", "DeviceID", _COMPONENT + ", string[] GuestIntrinsicExchangeItems"),
        _class(
            "Win32_OperatingSystem",
            "CSName",
            "string CSName, string Caption, string Version, string BuildNumber, uint64 FreePhysicalMemory,"
            " uint64 TotalVisibleMemorySize, datetime LocalDateTime, datetime LastBootUpTime",
            namespace=CIMV2,
        ),
    )
}

ASSOCIATIONS = {
    "Msvm_VirtualSystemSettingDataComponent",
    "Msvm_AffectedJobElement",
    "Msvm_SettingsDefineState",
    "Msvm_SnapshotOfVirtualSystem",
    "Msvm_ReferencePointOfVirtualSystem",
    "Msvm_VideoHeadOnController",
}
