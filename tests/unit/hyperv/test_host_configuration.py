"""The hosts as they stand in atesta.toml, and where their passwords come from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adapters.configuration import load_configuration
from adapters.host_configuration import HostSection
from adapters.hosts import Hosts
from adapters.secret_files import host_passwords_given
from domain.errors import BadInputError
from tests.doubles.scripted_source import machine_with

HOST = '[[host]]\nname = "hv-1.example"\nuser = "atesta"\n'


def loaded(folder: Path, text: str) -> tuple[HostSection, ...]:
    file = folder / "atesta.toml"
    file.write_text(text, encoding="utf-8")
    return load_configuration(file).content.host


def hosts_of(folder: Path, text: str, given: dict[str, str] | None = None) -> Hosts:
    file = folder / "atesta.toml"
    file.write_text(text, encoding="utf-8")
    return Hosts(load_configuration(file), given or {})


def test_a_host_is_reached_over_tls_by_default(tmp_path: Path) -> None:
    (host,) = loaded(tmp_path, HOST)
    assert host.endpoint == "https://hv-1.example:5986/wsman"
    assert (host.saved_state, host.transport) == ("deny", "ntlm")


@pytest.mark.parametrize(
    ("lines", "endpoint"),
    [
        ("https = false", "http://hv-1.example:5985/wsman"),
        ('address = "fd00::5"\nport = 443', "https://[fd00::5]:443/wsman"),
        ('address = "10.0.0.7"', "https://10.0.0.7:5986/wsman"),
    ],
)
def test_address_and_port(lines: str, endpoint: str, tmp_path: Path) -> None:
    (host,) = loaded(tmp_path, HOST + lines)
    assert host.endpoint == endpoint


@pytest.mark.parametrize(
    "text",
    [
        HOST + 'transport = "basic"\nhttps = false',
        HOST + 'transport = "certificate"',
        HOST + 'transport = "plaintext"',
        HOST + 'address = "evil.example/x@hv1"',
        HOST + 'password = "never here"',
        HOST + 'saved_state = "maybe"',
        HOST + "timeout_seconds = 1",
        '[[host]]\nname = "hv1"',
        '[[host]]\nuser = "u"',
        HOST + '[host.smb]\nuser = "other"',
        HOST + HOST,
        HOST + HOST.replace("hv-1.example", "HV_1-EXAMPLE"),
    ],
)
def test_what_is_unsafe_or_half_given_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError):
        loaded(tmp_path, text)


def test_machines_are_chosen_by_patterns(tmp_path: Path) -> None:
    (host,) = loaded(tmp_path, HOST + 'include = ["sql*", "web"]\nexclude = ["*-test"]')
    wanted = [name for name in ("sql1", "SQL1-TEST", "web", "dc") if host.wants(machine_with([], name=name))]
    assert wanted == ["sql1", "web"]


def test_a_password_from_the_environment_comes_first_and_is_inherited_by_no_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "password").write_text("from the file\n")
    (tmp_path / "password").chmod(0o600)
    text = HOST + 'password_file = "password"'
    monkeypatch.setenv("ATESTA_HOST_PASSWORD_HV_1_EXAMPLE", "from the environment")
    given = host_passwords_given()

    assert hosts_of(tmp_path, text, given).connection("hv-1.example").password == "from the environment"
    assert hosts_of(tmp_path, text).connection("hv-1.example").password == "from the file"
    assert not any(name.startswith("ATESTA_HOST_PASSWORD_") for name in os.environ)


def test_a_credential_of_systemd_is_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "atesta-host-password-hv-1.example").write_text("handed over")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert hosts_of(tmp_path, HOST).connection("hv-1.example").password == "handed over"


def test_a_password_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret")
    (tmp_path / "password").chmod(0o644)
    with pytest.raises(BadInputError, match="read by others"):
        hosts_of(tmp_path, HOST + 'password_file = "password"').connection("hv-1.example")


def test_a_password_that_is_missing_says_where_to_put_it(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="ATESTA_HOST_PASSWORD_HV_1_EXAMPLE"):
        hosts_of(tmp_path, HOST).connection("hv-1.example")


def test_a_password_is_shown_nowhere(tmp_path: Path) -> None:
    hosts = hosts_of(tmp_path, HOST, {"ATESTA_HOST_PASSWORD_HV_1_EXAMPLE": "tell nobody"})
    assert "tell nobody" not in repr(hosts.connection("hv-1.example"))


def test_an_unknown_host_lists_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"hv-1\.example"):
        hosts_of(tmp_path, HOST).connection("hv2")
