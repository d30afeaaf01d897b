"""CIM over the model of a host: what the simulated cmdlets ask for. What a real host does not know fails loudly."""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from typing import Any

from tests.standin import wql
from tests.standin.cim_instances import Row, components, instances
from tests.standin.cim_schema import ASSOCIATIONS, CLASSES, CimClass
from tests.standin.host_work import REFERENCE_POINT_CLASS, SETTINGS_CLASS
from tests.standin.hyperv_cmdlets import CMDLETS
from tests.standin.misbehaviour import Misbehaviour
from tests.standin.model import (
    DONE,
    INVALID_PARAMETER,
    JOB_STARTED,
    HostModel,
    NotThereError,
    Outcome,
)

Json = dict[str, Any]

INVALID_CLASS, INVALID_QUERY, INVALID_METHOD, NOT_FOUND = 0x80041010, 0x80041017, 0x80041055, 0x80041002
TYPE_MISMATCH, INVALID_NAMESPACE, INVALID_METHOD_PARAMETERS = 0x80041005, 0x8004100E, 0x8004102F
_SNAPSHOT_SETTINGS = "Msvm_VirtualSystemSnapshotSettingData"
_RECOVERY, _FULL = 32768, 2
_NET_TYPES = {
    "uint8": "Byte",
    "uint16": "UInt16",
    "uint32": "UInt32",
    "uint64": "UInt64",
    "boolean": "Boolean",
    "string": "String",
    "datetime": "DateTime",
    "ref": "reference",
}


class CimError(Exception):
    """What a CimException would tell; ``code`` is its HRESULT."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Cim:
    """Answers one request of a cmdlet: ``{"do": ..., ...}`` -> JSON. Numbers of 64 bits are text."""

    def __init__(self, model: HostModel) -> None:
        self._model = model

    def answer(self, asked: Json) -> Any:
        """Raises CimError."""
        doing: dict[str, Callable[[Json], Any]] = {
            "query": self._query,
            "associated": self._associated,
            "invoke": self._invoke,
            "class": self._class_told,
            "cmdlet": self._cmdlet,
            "drives": lambda _: {letter: str(folder) for letter, folder in self._model.drives.items()},
        }
        with self._model.lock:
            return doing[asked["do"]](asked)

    def _query(self, asked: Json) -> list[Json]:
        name, where = asked.get("class", ""), asked.get("filter", "")
        try:
            if asked.get("query"):
                name, where = wql.split_query(asked["query"])
            known = self._class(name, asked["namespace"])
            test = wql.condition(where, known.properties)
            return [self._told(known, row) for row in self._rows(known) if test(row)]
        except wql.InvalidQueryError as error:
            raise CimError(INVALID_QUERY, f"Invalid query: {error}") from error

    def _associated(self, asked: Json) -> list[Json]:
        association, result = asked.get("association", ""), asked.get("result", "")
        if association and association not in ASSOCIATIONS:
            raise CimError(INVALID_CLASS, f"Invalid class: {association}")
        key = self._instance(asked["class"], asked["key"])
        found: list[Json] = []
        for name, row in self._ends(association, asked["class"], key, result):
            if result in {"", name}:
                found.append(self._told(CLASSES[name], _complete(CLASSES[name], row)))
        return found

    def _ends(self, association: str, name: str, key: str, result: str) -> list[tuple[str, Row]]:
        model = self._model
        if association == "Msvm_VirtualSystemSettingDataComponent" and name == SETTINGS_CLASS:
            kinds = [result] if result else list(_COMPONENTS)
            return [(kind, row) for kind in kinds if kind in _COMPONENTS for row in components(model, key, kind)]
        if association == "Msvm_AffectedJobElement" and name == "Msvm_ConcreteJob":
            affected = model.job(key).affected
            rows = ((element.kind, self._find(CLASSES[element.kind], element.id)) for element in affected)
            return [(kind, row) for kind, row in rows if row is not None]
        if name == "Msvm_VideoHead" and association in {"", "Msvm_VideoHeadOnController"}:
            kinds = [result] if result else list(_DISPLAY_CONTROLLERS)
            controllers = (
                (kind, row) for kind in kinds if kind in _DISPLAY_CONTROLLERS for row in instances(model, kind)
            )
            return [(kind, row) for kind, row in controllers if row["DeviceID"] == f"{key}\\Controller"]
        if name == "Msvm_ComputerSystem":
            machine = model.machine(key)
            wanted = {
                "Msvm_SettingsDefineState": (SETTINGS_CLASS, {machine.settings_id}),
                "Msvm_SnapshotOfVirtualSystem": (SETTINGS_CLASS, {held.id for held in machine.checkpoints}),
                "Msvm_ReferencePointOfVirtualSystem": (
                    REFERENCE_POINT_CLASS,
                    {point.id for point in machine.reference_points},
                ),
            }
            if association in wanted:
                kind, ids = wanted[association]
                return [(kind, row) for row in instances(model, kind) if row["InstanceID"] in ids]
        return []

    def _class_told(self, asked: Json) -> Json:
        known = self._class(asked["class"], asked["namespace"])
        return {
            "name": known.name,
            "properties": [{"name": name, "type": _cim_type(kind)} for name, kind in self._properties(known).items()],
            "methods": list(known.methods),
        }

    def _cmdlet(self, asked: Json) -> Any:
        try:
            return CMDLETS[asked["name"]](self._model, asked["arguments"])
        except NotThereError as error:
            raise CimError(0x80070002, f"Hyper-V was unable to find {error}.") from error

    def _invoke(self, asked: Json) -> Json:
        known = CLASSES[asked["class"]]
        method = known.methods.get(asked["method"])
        if method is None:
            raise CimError(INVALID_METHOD, f"{known.name} has no method {asked['method']}")
        key = self._instance(known.name, asked["key"])
        given = {}
        for name, value in asked["arguments"].items():
            kind = method.given.get(name)
            if kind is None:
                raise CimError(INVALID_METHOD_PARAMETERS, f"{asked['method']} has no parameter {name}")
            given[name] = self._argument(name, kind, value)
        try:
            code, returned = _METHODS[asked["method"]](self._model, key, given)
        except NotThereError as error:
            raise CimError(NOT_FOUND, f"Not found: {error}") from error
        out = [{"name": name, "type": kind, "value": returned.get(name)} for name, kind in method.returned.items()]
        return {"code": code, "out": [_told_value(entry) for entry in out]}

    def _argument(self, name: str, kind: str, value: Json) -> Any:
        if value["type"] != _NET_TYPES[kind]:
            raise CimError(TYPE_MISMATCH, f"Type mismatch for parameter {name!r}: {value['type']} is no {kind}")
        if kind == "ref":
            self._instance(value["class"], value["key"])
            return (value["class"], value["key"])
        return int(value["value"]) if kind.startswith("uint") else value["value"]

    def _instance(self, name: str, key: str) -> str:
        """The key of an instance that is there."""
        if self._find(CLASSES[name], key) is None:
            raise CimError(NOT_FOUND, f"Not found: {name} {key}")
        return key

    def _find(self, known: CimClass, key: str) -> Row | None:
        rows = [row for row in instances(self._model, known.name) if str(row[known.key]).upper() == key.upper()]
        return rows[0] if rows else None

    def _class(self, name: str, namespace: str) -> CimClass:
        plain = namespace.replace("\\", "/").casefold()
        if plain not in {each.namespace for each in CLASSES.values()}:
            raise CimError(INVALID_NAMESPACE, f"Invalid namespace: {namespace}")
        known = {each.name.casefold(): each for each in CLASSES.values() if each.namespace == plain}.get(
            name.casefold()
        )
        if known is None:
            raise CimError(INVALID_CLASS, f"Invalid class: {name}")
        return known

    def _properties(self, known: CimClass) -> Mapping[str, str]:
        """Without what came later than the host's build: GuestBackupType is of 1703."""
        properties = dict(known.properties)
        if known.name == _SNAPSHOT_SETTINGS and int(self._model.os_build.split(".")[2]) <= 14393:
            del properties["GuestBackupType"]
        return properties

    def _rows(self, known: CimClass) -> list[Row]:
        if known.name == "Msvm_ConcreteJob":
            self._forget_a_job()
        return [_complete(known, row) for row in instances(self._model, known.name)]

    def _forget_a_job(self) -> None:
        if self._model.misbehaviours.happens(Misbehaviour.JOB_FORGOTTEN):
            for job in self._model.jobs.all():
                self._model.forget_job(job)

    def _told(self, known: CimClass, row: Row) -> Json:
        properties = [{"name": name, "type": kind, "value": row[name]} for name, kind in known.properties.items()]
        return {
            "class": known.name,
            "namespace": known.namespace,
            "key": row[known.key],
            "properties": [_told_value(entry) for entry in properties],
        }


def _create_snapshot(model: HostModel, _: str, given: Json) -> tuple[int, Json]:
    consistency, ignore = _settings_of(model, given.get("SnapshotSettings", ""))
    kind, key = given["AffectedSystem"]
    if kind != "Msvm_ComputerSystem" or consistency is None:
        return INVALID_PARAMETER, {}
    if given["SnapshotType"] == _FULL:
        return DONE, {"ResultingSnapshot": (SETTINGS_CLASS, model.take_user_checkpoint(model.machine(key)).id)}
    if given["SnapshotType"] != _RECOVERY:
        return INVALID_PARAMETER, {}
    outcome = model.create_recovery_checkpoint(key, consistency=consistency, ignore=ignore)
    return _returned(outcome, "ResultingSnapshot", SETTINGS_CLASS)


def _settings_of(model: HostModel, embedded: str) -> tuple[int | None, bool]:
    """Level and whether disks are left out, from an embedded instance; the level is None when it is no such one."""
    if not embedded:
        return 1, False
    try:
        root = ET.fromstring(embedded)
    except ET.ParseError:
        return None, False
    properties = dict(CLASSES[_SNAPSHOT_SETTINGS].properties)
    if int(model.os_build.split(".")[2]) <= 14393:
        del properties["GuestBackupType"]
    if root.tag != "INSTANCE" or root.get("CLASSNAME") != _SNAPSHOT_SETTINGS:
        return None, False
    values = {}
    for each in root:
        name = each.get("NAME", "")
        if each.tag != "PROPERTY" or each.get("TYPE") != properties.get(name):
            return None, False
        values[name] = (each.findtext("VALUE") or "").upper()
    level = values.get("ConsistencyLevel", "1")
    return (int(level) if level in {"1", "2"} else None), values.get("IgnoreNonSnapshottableDisks") == "TRUE"


def _convert(model: HostModel, _: str, given: Json) -> tuple[int, Json]:
    kind, key = given["AffectedSnapshot"]
    if kind != SETTINGS_CLASS:
        return INVALID_PARAMETER, {}
    return _returned(model.convert_to_reference_point(key), "ResultingReferencePoint", REFERENCE_POINT_CLASS)


def _destroy_snapshot(model: HostModel, _: str, given: Json) -> tuple[int, Json]:
    kind, key = given["AffectedSnapshot"]
    return (INVALID_PARAMETER, {}) if kind != SETTINGS_CLASS else _returned(model.destroy_checkpoint(key))


def _destroy_reference_point(model: HostModel, _: str, given: Json) -> tuple[int, Json]:
    kind, key = given["AffectedReferencePoint"]
    return (INVALID_PARAMETER, {}) if kind != REFERENCE_POINT_CLASS else _returned(model.destroy_reference_point(key))


def _request_state_change(model: HostModel, key: str, given: Json) -> tuple[int, Json]:
    return _returned(model.request_state_change(key, given["RequestedState"]))


def _changes(model: HostModel, _: str, given: Json) -> tuple[int, Json]:
    changes = model.virtual_disk_changes(given["Path"], given["LimitId"], given["ByteOffset"], given["ByteLength"])
    if changes.code != DONE:
        return changes.code, {}
    return DONE, {
        "ProcessedByteLength": changes.processed,
        "ChangedByteOffsets": [offset for offset, _ in changes.ranges],
        "ChangedByteLengths": [length for _, length in changes.ranges],
    }


def _thumbnail(model: HostModel, _: str, given: Json) -> tuple[int, Json]:
    kind, key = given["TargetSystem"]
    if kind != SETTINGS_CLASS:
        return INVALID_PARAMETER, {}
    machine = model.machine(key.removeprefix("Microsoft:"))
    shown = sorted((head for head in machine.heads if head.pixels), key=lambda head: not head.is_synthetic)
    if not shown:
        raise CimError(INVALID_METHOD_PARAMETERS, "Invalid method Parameter(s)")
    picture = shown[0].picture(given["WidthPixels"], given["HeightPixels"])
    return DONE, {"ImageData": base64.b64encode(picture).decode()}


def _error_texts(model: HostModel, key: str, _: Json) -> tuple[int, Json]:
    text = model.job(key).error_text
    message = ET.tostring(_error_instance(text), encoding="unicode")
    return DONE, {"Errors": [message] if text else []}


def _error_instance(text: str) -> ET.Element:
    root = ET.Element("INSTANCE", CLASSNAME="Msvm_Error")
    message = ET.SubElement(root, "PROPERTY", NAME="Message", TYPE="string")
    ET.SubElement(message, "VALUE").text = text
    return root


def _returned(outcome: Outcome, resulting: str = "", kind: str = "") -> tuple[int, Json]:
    if outcome.code == JOB_STARTED:
        return outcome.code, {"Job": ("Msvm_ConcreteJob", outcome.job)}
    made = {resulting: (kind, outcome.made)} if resulting and outcome.made else {}
    return outcome.code, made


def _complete(known: CimClass, row: Row) -> Row:
    unknown = set(row) - set(known.properties)
    assert not unknown, f"{known.name} has no {unknown}"
    return {name: row.get(name) for name in known.properties}


def _told_value(entry: Json) -> Json:
    value = entry["value"]
    if isinstance(value, tuple):
        kind, key = value
        entry["value"] = {"class": kind, "keyName": CLASSES[kind].key, "key": key}
    elif entry["type"].startswith("uint64"):
        entry["value"] = (
            [str(one) for one in value] if isinstance(value, list) else None if value is None else str(value)
        )
    return entry


def _cim_type(kind: str) -> str:
    base, _, array = kind.partition("[")
    named = {"uint8": "UInt8", "string": "String", "boolean": "Boolean", "datetime": "DateTime"}
    return named.get(base, base.replace("uint", "UInt")) + ("Array" if array else "")


_COMPONENTS = (
    "Msvm_ResourceAllocationSettingData",
    "Msvm_StorageAllocationSettingData",
    "Msvm_ProcessorSettingData",
    "Msvm_MemorySettingData",
)

_DISPLAY_CONTROLLERS = ("Msvm_SyntheticDisplayController", "Msvm_S3DisplayController")

_METHODS: dict[str, Callable[[HostModel, str, Json], tuple[int, Json]]] = {
    "CreateSnapshot": _create_snapshot,
    "ConvertToReferencePoint": _convert,
    "DestroySnapshot": _destroy_snapshot,
    "DestroyReferencePoint": _destroy_reference_point,
    "RequestStateChange": _request_state_change,
    "GetVirtualDiskChanges": _changes,
    "GetErrorEx": _error_texts,
    "GetVirtualSystemThumbnailImage": _thumbnail,
}
