"""From the text on a console to what the console shows.

The text comes from optical reading of a picture that the guest chose: it is misread and it may lie. A guest that prints
another system's sign-in prompt is believed; a verdict therefore says what was read, not what is true.
Recognising a graphical desktop by a few words on it is a guess, and the verdict says so.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

from domain.model.verdicts import ConsoleState
from verification.fuzzy_phrases import contains_phrase, skeleton
from verification.screen_rules import KERNEL_MESSAGE, SCREEN_RULES, LineRule, PhraseRule, ScreenRule
from verification.untrusted_text import cleaned_line, cleaned_lines

_EVIDENCE_LENGTH_MAX = 160
_SPECK_LENGTH = 2
_LINES_BELOW_PROMPT_MAX = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenReading:
    """What a console shows.

    ``state`` is ACTIVE when no rule knows the text and BLANK when there is none. ``rule`` names the rule that matched.
    ``evidence`` is the guest's line that says so and ``text`` everything that was read, both cleaned and bounded.
    """

    state: ConsoleState
    rule: str
    evidence: str
    text: str


def classify(text: str) -> ScreenReading:
    """Say what a console with ``text`` on it shows. Any text is accepted; time is bounded by the text kept."""
    clean = cleaned_lines(text)
    lines = [line.strip() for line in clean.split("\n") if line.strip()]
    folded = skeleton(clean)
    if not folded:
        return ScreenReading(state=ConsoleState.BLANK, rule="", evidence="", text=clean)
    for rule in SCREEN_RULES:
        evidence = _evidence(rule, lines, folded)
        if evidence is not None:
            return ScreenReading(
                state=rule.state, rule=rule.name, evidence=cleaned_line(evidence, _EVIDENCE_LENGTH_MAX), text=clean
            )
    return ScreenReading(state=ConsoleState.ACTIVE, rule="", evidence="", text=clean)


def _evidence(rule: ScreenRule, lines: list[str], folded: str) -> str | None:
    """The line that makes ``rule`` match, or None when it does not."""
    if isinstance(rule, PhraseRule):
        return _phrase_evidence(rule, lines, folded)
    return _prompt_evidence(rule, lines) if rule.at_end else _line_evidence(rule, lines)


def _phrase_evidence(rule: PhraseRule, lines: list[str], folded: str) -> str | None:
    for group in rule.groups:
        wanted = [_phrase_skeleton(phrase) for phrase in group]
        if all(contains_phrase(folded, phrase) for phrase in wanted):
            return _line_with(wanted[0], lines)
    return None


def _line_with(phrase: str, lines: list[str]) -> str:
    """The line that holds ``phrase``; where it was broken over two, both."""
    for line in lines:
        if contains_phrase(skeleton(line), phrase):
            return line
    for line, following in itertools.pairwise(lines):
        if contains_phrase(skeleton(line + following), phrase):
            return f"{line} {following}"
    return ""


def _line_evidence(rule: LineRule, lines: list[str]) -> str | None:
    matching = [line for line in lines if rule.pattern.search(line)]
    return matching[-1] if len(matching) >= rule.count_min else None


def _prompt_evidence(rule: LineRule, lines: list[str]) -> str | None:
    """A prompt counts where a cursor could still stand: late kernel messages may follow it, other text may not."""
    for line in reversed(lines[-_LINES_BELOW_PROMPT_MAX:]):
        if rule.pattern.search(line):
            return line
        if len(line) > _SPECK_LENGTH and not KERNEL_MESSAGE.search(line):
            return None
    return None


@functools.cache
def _phrase_skeleton(phrase: str) -> str:
    return skeleton(phrase)
