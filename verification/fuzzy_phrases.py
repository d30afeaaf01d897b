"""Finding phrases in text that was read from a picture, where some letters are wrong.

Text and phrase are reduced to a skeleton (letters and digits, look-alikes folded, no spaces, so that a line break
inside the phrase does not matter); then the phrase may differ by a few edits that grow with its length.
"""

from __future__ import annotations

import unicodedata

_LOOK_ALIKES = str.maketrans({"0": "o", "1": "l", "i": "l", "5": "s", "8": "b", "q": "g", "9": "g"})
_LETTERS_PER_EDIT = 10
_EDITS_MAX = 3
_PLACES_MAX = 40


def skeleton(text: str) -> str:
    """Reduce ``text`` to folded letters and digits."""
    folded = unicodedata.normalize("NFKD", text).lower().translate(_LOOK_ALIKES)
    return "".join(character for character in folded if character.isascii() and character.isalnum())


def edits_allowed(phrase_skeleton: str) -> int:
    """How many wrong letters a phrase may have: none below ten letters, at most three."""
    return min(len(phrase_skeleton) // _LETTERS_PER_EDIT, _EDITS_MAX)


def contains_phrase(text_skeleton: str, phrase_skeleton: str) -> bool:
    """Whether the phrase occurs in the text with at most ``edits_allowed`` insertions, deletions or wrong letters.

    Of ``k + 1`` pieces of the phrase at least one is intact when there are ``k`` edits, so only the surroundings of
    intact pieces are compared letter by letter; the number of places looked at is bounded.
    """
    if phrase_skeleton in text_skeleton:
        return True
    edits = edits_allowed(phrase_skeleton)
    if edits == 0:
        return False
    return any(
        _edits_needed(window, phrase_skeleton) <= edits for window in _windows(text_skeleton, phrase_skeleton, edits)
    )


def _windows(text: str, phrase: str, edits: int) -> list[str]:
    windows: list[str] = []
    piece_length = len(phrase) // (edits + 1)
    for number in range(edits + 1):
        start = number * piece_length
        piece = phrase[start : start + piece_length] if number < edits else phrase[start:]
        place = text.find(piece)
        while place >= 0 and len(windows) < _PLACES_MAX:
            left = max(place - start - edits, 0)
            windows.append(text[left : place - start + len(phrase) + edits])
            place = text.find(piece, place + 1)
    return windows


def _edits_needed(window: str, phrase: str) -> int:
    """The fewest edits that turn ``phrase`` into some part of ``window`` (Sellers' algorithm)."""
    row = [0] * (len(window) + 1)
    for count, letter in enumerate(phrase, start=1):
        previous, row = row, [count]
        for column, seen in enumerate(window, start=1):
            row.append(min(previous[column - 1] + (letter != seen), previous[column] + 1, row[column - 1] + 1))
    return min(row)
