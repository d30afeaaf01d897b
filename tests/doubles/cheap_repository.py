"""Repositories that open at once: the work of scrypt is no part of what most tests are about."""

from __future__ import annotations

import pytest

from domain.content.keys import wrap_key


def cheap_secrets(patch: pytest.MonkeyPatch) -> None:
    """Let the next ``atesta init`` of this process wrap the key with little work."""
    assert wrap_key.__kwdefaults__ is not None
    patch.setitem(wrap_key.__kwdefaults__, "scrypt_n", 2)
