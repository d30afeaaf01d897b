"""The SOAP of WS-Management as Windows' remote shell speaks it ([MS-WSMV] 2.2, 3.1.4)."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4
from xml.sax.saxutils import escape

SOAP = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
FAULTS = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
IDENTITY = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"
CMD = f"{SHELL}/cmd"

_OPERATIONS = {
    f"{TRANSFER}/Create": "Create",
    f"{TRANSFER}/Delete": "Delete",
    **{f"{SHELL}/{name}": name for name in ("Command", "Send", "Receive", "Signal")},
}
_DURATION = re.compile(r"P(?:(\d+)D)?T?(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?\Z")
ENVELOPE_BYTES_DEFAULT = 153_600


class Fault(Exception):  # noqa: N818 - the protocol's word
    """A fault; ``code`` is Windows' number for it, 0 where only ``subcode`` tells."""

    def __init__(self, code: int, reason: str, *, subcode: str = "w:InternalError") -> None:
        super().__init__(reason)
        self.code = code
        self.subcode = subcode


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a client asked for."""

    operation: str
    message_id: str
    body: ET.Element
    shell_id: str
    resource: str
    timeout_s: float
    envelope_bytes: int
    options: Mapping[str, str]


def request_of(raw: bytes) -> Request:
    """Read an envelope. Raises Fault for what Windows would not take."""
    try:
        root = ET.fromstring(raw)
    except ET.ParseError as error:
        raise Fault(2150858817, "The SOAP XML is not well formed.", subcode="w:SchemaValidationError") from error
    body = root.find(f"{{{SOAP}}}Body")
    if root.tag != f"{{{SOAP}}}Envelope" or body is None:
        raise Fault(2150858817, "This is no SOAP envelope.", subcode="w:SchemaValidationError")
    if body.find(f"{{{IDENTITY}}}Identify") is not None:
        return _request(root, body, "Identify")
    action = _text(root, f".//{{{ADDRESSING}}}Action")
    if action not in _OPERATIONS:
        raise Fault(0, f"The action {action} is not supported.", subcode="a:ActionNotSupported")
    request = _request(root, body, _OPERATIONS[action])
    if not request.message_id:
        raise Fault(0, "A MessageID is missing.", subcode="a:MessageInformationHeaderRequired")
    if request.resource != CMD:
        raise Fault(2150858811, f"The resource {request.resource} is not there.", subcode="a:DestinationUnreachable")
    return request


def _request(root: ET.Element, body: ET.Element, operation: str) -> Request:
    selectors = root.iter(f"{{{WSMAN}}}Selector")
    return Request(
        operation=operation,
        message_id=_text(root, f".//{{{ADDRESSING}}}MessageID"),
        body=body,
        shell_id=next((each.text or "" for each in selectors if each.get("Name") == "ShellId"), ""),
        resource=_text(root, f".//{{{WSMAN}}}ResourceURI"),
        timeout_s=seconds(_text(root, f".//{{{WSMAN}}}OperationTimeout") or "PT60S"),
        envelope_bytes=int(_text(root, f".//{{{WSMAN}}}MaxEnvelopeSize") or ENVELOPE_BYTES_DEFAULT),
        options={each.get("Name", ""): each.text or "" for each in root.iter(f"{{{WSMAN}}}Option")},
    )


def seconds(duration: str) -> float:
    """An xs:duration. Raises Fault."""
    found = _DURATION.match(duration)
    if found is None:
        raise Fault(2150858817, f"{duration} is no duration.", subcode="w:SchemaValidationError")
    days, hours, minutes, rest = (float(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest


def answer(request: Request, body: str) -> bytes:
    """An envelope that relates to ``request``."""
    action = f"{TRANSFER if request.operation in {'Create', 'Delete'} else SHELL}/{request.operation}Response"
    return _envelope(action, request.message_id, body)


def fault_answer(fault: Fault, message_id: str) -> bytes:
    """The envelope of a fault."""
    reason = escape(str(fault))
    detail = ""
    if fault.code:
        detail = (
            f'<s:Detail><f:WSManFault xmlns:f="{FAULTS}" Code="{fault.code}" Machine="localhost">'
            f"<f:Message>{reason}</f:Message></f:WSManFault></s:Detail>"
        )
    body = (
        f"<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>{fault.subcode}</s:Value></s:Subcode>"
        f'</s:Code><s:Reason><s:Text xml:lang="en-US">{reason}</s:Text></s:Reason>{detail}</s:Fault>'
    )
    return _envelope("http://schemas.dmtf.org/wbem/wsman/1/wsman/fault", message_id, body)


def identity(product: str) -> bytes:
    """The answer to Identify."""
    return (
        f'<s:Envelope xmlns:s="{SOAP}"><s:Header/><s:Body><i:IdentifyResponse xmlns:i="{IDENTITY}">'
        f"<i:ProtocolVersion>{WSMAN}</i:ProtocolVersion><i:ProductVendor>Microsoft Corporation</i:ProductVendor>"
        f"<i:ProductVersion>{escape(product)}</i:ProductVersion></i:IdentifyResponse></s:Body></s:Envelope>"
    ).encode()


def shell_created(request: Request, shell_id: str, idle_s: float) -> bytes:
    body = (
        f'<x:ResourceCreated xmlns:x="{TRANSFER}"><a:Address>http://localhost/wsman</a:Address><a:ReferenceParameters>'
        f"<w:ResourceURI>{CMD}</w:ResourceURI><w:SelectorSet>"
        f'<w:Selector Name="ShellId">{shell_id}</w:Selector></w:SelectorSet></a:ReferenceParameters>'
        f"</x:ResourceCreated><rsp:Shell><rsp:ShellId>{shell_id}</rsp:ShellId><rsp:ResourceUri>{CMD}</rsp:ResourceUri>"
        "<rsp:Owner>HV01\\backup</rsp:Owner><rsp:ClientIP>127.0.0.1</rsp:ClientIP>"
        f"<rsp:IdleTimeOut>PT{idle_s:.3f}S</rsp:IdleTimeOut><rsp:InputStreams>stdin</rsp:InputStreams>"
        "<rsp:OutputStreams>stdout stderr</rsp:OutputStreams><rsp:ShellRunTime>P0DT0H0M0S</rsp:ShellRunTime>"
        "<rsp:ShellInactivity>P0DT0H0M0S</rsp:ShellInactivity></rsp:Shell>"
    )
    return answer(request, body)


def command_started(request: Request, command_id: str) -> bytes:
    return answer(request, f"<rsp:CommandResponse><rsp:CommandId>{command_id}</rsp:CommandId></rsp:CommandResponse>")


def received(request: Request, command_id: str, pieces: list[tuple[str, bytes]], exit_code: int | None) -> bytes:
    """``exit_code`` is None while the command runs."""
    streams = "".join(
        f'<rsp:Stream Name="{name}" CommandId="{command_id}">{base64.b64encode(data).decode()}</rsp:Stream>'
        for name, data in pieces
    )
    state = f"{SHELL}/CommandState/{'Running' if exit_code is None else 'Done'}"
    if exit_code is not None:
        for name in ("stdout", "stderr"):
            streams += f'<rsp:Stream Name="{name}" CommandId="{command_id}" End="true"></rsp:Stream>'
    code = "" if exit_code is None else f"<rsp:ExitCode>{exit_code}</rsp:ExitCode>"
    told = f'<rsp:CommandState CommandId="{command_id}" State="{state}">{code}</rsp:CommandState>'
    return answer(request, f"<rsp:ReceiveResponse>{streams}{told}</rsp:ReceiveResponse>")


def _envelope(action: str, relates_to: str, body: str) -> bytes:
    return (
        f'<s:Envelope xml:lang="en-US" xmlns:s="{SOAP}" xmlns:a="{ADDRESSING}" xmlns:w="{WSMAN}" xmlns:rsp="{SHELL}">'
        f"<s:Header><a:Action>{action}</a:Action><a:MessageID>uuid:{str(uuid4()).upper()}</a:MessageID>"
        f"<a:To>{ADDRESSING}/role/anonymous</a:To><a:RelatesTo>{escape(relates_to)}</a:RelatesTo></s:Header>"
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def _text(root: ET.Element, path: str) -> str:
    found = root.find(path)
    return (found.text or "").strip() if found is not None else ""
