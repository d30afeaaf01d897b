"""The file that node_exporter's textfile collector reads, in Prometheus' text format 0.0.4.

Format: prometheus.io/docs/instrumenting/exposition_formats. The file is replaced whole, so a reader never sees half.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from domain.errors import EnvironmentTroubleError
from domain.model.metrics import Labels, Metric

_LABEL_LENGTH_MAX = 200
_MODE = 0o644


def exposition(metrics: Sequence[Metric]) -> str:
    """The metrics as text. Label values are escaped, and what UTF-8 cannot write becomes a replacement character."""
    lines = []
    for metric in metrics:
        lines.append(f"# HELP {metric.name} {_escaped(metric.text)}")
        lines.append(f"# TYPE {metric.name} {metric.kind}")
        lines += [f"{metric.name}{_labels(labels)} {_number(value)}" for labels, value in metric.samples]
    return "".join(f"{line}\n" for line in lines)


def write_metrics(path: Path, metrics: Sequence[Metric]) -> None:
    """Replace the file at ``path``, readable by all. Raises EnvironmentTroubleError; then it is as it was.

    The temporary name does not end like the file's, so that a collector that looks at the folder passes it over.
    """
    temporary = path.with_name(f".{path.name[:64]}.{secrets.token_hex(8)}.tmp")
    try:
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
                os.fchmod(descriptor, _MODE)
                file.write(exposition(metrics))
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise EnvironmentTroubleError(
            f"The metrics cannot be written: {error.strerror}.",
            where=str(path),
            next_step="Check that the folder of [metrics] file exists and can be written.",
        ) from error


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    pairs = [f'{name}="{_label_value(value)}"' for name, value in labels]
    return "{" + ",".join(pairs) + "}"


def _label_value(text: str) -> str:
    whole = text.encode("utf-8", errors="replace").decode("utf-8")
    # Prometheus knows no other escape; other control characters would break lines for readers that split at them.
    shown = "".join("\N{REPLACEMENT CHARACTER}" if _breaks_lines(one) else one for one in whole[:_LABEL_LENGTH_MAX])
    return _escaped(shown).replace('"', r"\"")


def _breaks_lines(character: str) -> bool:
    return character != "\n" and (ord(character) < 32 or ord(character) in (0x7F, 0x85, 0x2028, 0x2029))


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
