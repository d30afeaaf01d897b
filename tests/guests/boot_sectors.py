"""Programs of one boot sector (16-bit x86, loaded at 0x7C00), assembled by hand so that no assembler is needed."""

from __future__ import annotations

SECTOR_BYTES = 512
_LOAD_ADDRESS = 0x7C00
_SIGNATURE = b"\x55\xaa"

# xor ax,ax ; mov ds,ax ; mov ss,ax ; mov sp,0x7C00 ; cld
_SET_UP = bytes.fromhex("31c0 8ed8 8ed0 bc007c fc")
# mov ax,0x0003 ; int 0x10: text mode of 80 x 25 characters, screen cleared
_TEXT_MODE = bytes.fromhex("b80300 cd10")
# mov ah,1 ; mov cx,0x2607 ; int 0x10
_HIDE_CURSOR = bytes.fromhex("b401 b90726 cd10")
# again: cli ; hlt ; jmp again
_HALT = bytes.fromhex("fa f4 ebfc")
# wait: in al,0x64 ; test al,2 ; jnz wait ; mov al,0xFE ; out 0x64,al: the keyboard controller pulls the reset line
_RESET = bytes.fromhex("e464 a802 75fa b0fe e664")
# mov ah,0x86 ; mov cx,7 ; mov dx,0xA120 ; int 0x15: wait half a second (in microseconds)
_WAIT = bytes.fromhex("b486 b90700 ba20a1 cd15")
# APM 1.2: connect (0x5301), driver version (0x530E, 1.2), set power state of all devices (0x5307) to off (3)
_POWER_OFF = bytes.fromhex("b80153 31db cd15  b80e53 31db b90201 cd15  b80753 bb0100 b90300 cd15")
# next: lodsb ; test al,al ; jz done ; mov ah,0x0E ; mov bx,7 ; int 0x10 ; jmp next ; done:
_PRINT_LOOP = bytes.fromhex("ac 84c0 7409 b40e bb0700 cd10 ebf2")


def boot_sector(program: str) -> bytes:
    """The 512 bytes of a program: prints-text, reset-loop, powers-off or blank-console. Raises KeyError for others."""
    code = {
        "prints-text": lambda: _printing("Atesta lab\r\nboot sector login: ", then=_HALT),
        "reset-loop": lambda: _printing("restarting", then=_WAIT + _RESET + _HALT),
        "powers-off": lambda: _printing("powering off", then=_POWER_OFF + _HALT),
        "blank-console": lambda: _SET_UP + _TEXT_MODE + _HIDE_CURSOR + _HALT,
    }[program]()
    return _sector(code)


def _printing(text: str, *, then: bytes) -> bytes:
    set_up = _SET_UP + _TEXT_MODE
    load_text_bytes = 3
    text_offset = len(set_up) + load_text_bytes + len(_PRINT_LOOP) + len(then)
    load_text = b"\xbe" + (_LOAD_ADDRESS + text_offset).to_bytes(2, "little")
    return set_up + load_text + _PRINT_LOOP + then + text.encode("ascii") + b"\0"


def _sector(code: bytes) -> bytes:
    assert len(code) <= SECTOR_BYTES - len(_SIGNATURE)
    return code.ljust(SECTOR_BYTES - len(_SIGNATURE), b"\0") + _SIGNATURE
