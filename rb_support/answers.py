"""Reading final answers out of what a model wrote: a number, or the letter of a choice.

Pure functions of texts, in stages. `final_part` takes off what is no answer: thoughts, a made-up next
question, marks of the end. What is left is read from the most explicit form to the least: the `answer` field
of a JSON object, `<answer>` tags, a phrase that announces the answer, and at last whatever stands at the end.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from decimal import Context, Decimal
from typing import TypeVar

T = TypeVar("T")

_DIGITS = 15
"""Significant digits that a fraction without a finite decimal keeps."""

_NEAR = Decimal("1e-9")
"""Relative distance within which two numbers are the same one."""

# Thoughts: tags of most models, Magistral's, Kimi's, OpenThinker's, Command A's, gpt-oss's, Gemma's.
_NAMES = r"[\w:-]*(?:think|thought|reason|reflect|scratch|analysis|monologue)[\w-]*"
_OPENS = (
    rf"<\s*{_NAMES}[^<>]*>|\[(?:think(?:ing)?|thoughts?|reasoning)\]|◁think▷|<\|(?!end|/){_NAMES}\|>"
    r"|<\|channel\|>\s*(?:analysis|commentary)|<unused94>|<\|channel>thought"
)
_CLOSES = (
    rf"<\s*/\s*{_NAMES}\s*>|\[/(?:think(?:ing)?|thoughts?|reasoning)\]|◁/think▷|<\|(?:end|/){_NAMES}\|>"
    r"|<\|channel\|>\s*final\s*<\|message\|>|<unused95>|<channel\|>|\.\.\.done thinking\."
)
_THOUGHT = re.compile(
    rf"(?:{_OPENS}).*?(?:{_CLOSES}|(?=<\s*answer\s*>)|\Z)|<details type=.?reasoning.*?(?:</details>|\Z)",
    re.I | re.S,
)
_END_OF_THOUGHT = re.compile(rf"\A.*(?:{_CLOSES})|\Aanalysis.*assistantfinal", re.I | re.S)
_REASONED = re.compile(
    r"\A[\s>#*_]*(?:(?:here is )?my )?(?:reasoning|thinking|thoughts?|thought process|analysis)[\s*_]*[:\n].*"
    r"(?=^[\s>#*_]*(?:(?:here is )?my |the )?(?:final )?(?:answer|response|output|solution)[\s*_]*[:\n])",
    re.I | re.S | re.M,
)
# What follows an answer: marks of its end, the next question of a prompt with examples, another speaker.
_MARK = r"<[|｜][^<>|｜\n]{1,40}[|｜]>|</?s>|<(?:eos|bos|eot|pad|(?:end|start)_of_turn)>|\[/?INST\]"
_BEGIN = re.compile(rf"\A(?:\s|{_MARK}|assistant\b(?=\s*(?:\n|{_MARK})))+", re.I)
_ASKS = (
    r"(?:(?:next |new )?(?:question|problem|exercise|instruction|q|frage|pregunta|вопрос|问题|問題|問|问)"
    r"(?: *#?\d+)?|example *#?\d+)[ *_\]]*(?:[:：.)]|\n)"
)
_SPEAKS = r"(?:human|user|assistant|system)[ *_]*(?:[:：]|\n)"
_NEXT = re.compile(
    rf"{_MARK}|(?<=[^\s:：])\s*\n[\s>#*_\[]*(?:{_ASKS}|{_SPEAKS})"
    r"|(?<=\S)\s*\n\s*\n\s*\n[\s>#*_]*(?:question|problem|exercise|example)\b",
    re.I,
)

_SAID_AGAIN = re.compile(r"\A(\s*Q(?:uestion)?\b[^\n]*:.*?^)A:", re.S | re.M)

_THOUSANDS = re.compile(
    r"(?<=\d)(?:\{,\}|,?\\[,!;: ]|~|['’\u00a0\u2007-\u200a\u202f])(?=\d{3}(?!\d))", re.ASCII
)
_WHOLE = r"\d{1,3}(?:,\d{3})+(?!\d)|\d{1,2}(?:,\d\d)+,\d{3}(?!\d)|\d+"
_PLAIN = rf"(?:{_WHOLE})(?:\.\d+)?(?:[eE][+-]?\d{{1,2}}(?!\w))?|\.\d+"
_NUMBER = re.compile(
    rf"(?P<sign>(?<![\w.)\]])-\s?)?(?:[$€£]\s?(?P<minus>-)?)?(?:(?P<whole>\d+)\s+(?=\d+/[1-9]))?"
    rf"(?P<top>{_PLAIN})(?:\s?/\s?(?P<bottom>{_PLAIN}))?",
    re.ASCII,
)
_LISTED = re.compile(
    r"^([ \t]*#+[ \t*_]*)(?:\w+ )?\d+[.):](?=[ \t*_]+\S)|^([ \t*_]*)step \d+|(?<=\n)\d\d?[.)](?=\s+[a-z*])",
    re.I | re.M,
)
_FIELD = re.compile(
    r"""["'](?:final_?)?answer["']\s*:\s*(?:"(?P<text>(?:[^"\\]|\\.)*)"?|(?P<bare>[^"}\n]*))""", re.I
)
_TAGGED = re.compile(r"<\s*answer\s*>(.*?)(?:<\s*/\s*answer\s*>|\Z)", re.I | re.S)
_HASHES = re.compile(r"####([^\n]*)")
_NOUN = (
    r"(?:\b(?:answer|ans|respuesta|r[ée]ponse|risposta|resposta|antwort|antwoord|svar|cevap|jawaban|odpowied[zź]|ответ)"
    r"|答案|答え|答|正解|정답|답)"
)
_LINK = r"[\s*_]*(?:[=:]|\b(?:is|(?:should|would|must|will) be|es|est|ist|è|é)\b|[是为為は은는]|\s[-—]\s)"
_SAYS = rf"{_NOUN}[^\n.:：!?]{{0,40}}?{_LINK}"
_PHRASE = re.compile(rf"{_SAYS}\s*((?:(?!{_SAYS})[^\n])*)", re.I)
_HEADED = re.compile(r"^[ \t#*_]*(?:(?:my|the|final|correct) )*answer[ \t*_]*\n\s*([^\n]*)", re.I | re.M)
_BOXED = re.compile(r"\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_STYLED = re.compile(
    r"\\(?:text|math|emph|bf|rm|bm|boldsymbol|mbox|operatorname|num)(?:bf|rm|it|sf|tt|normal)?\s*\{([^{}]*)\}"
)


def without_thoughts(text: str) -> str:
    """A model's text without what it thought aloud between marks; empty if it never stopped.

    >>> without_thoughts("<think>12? No.</think>15"), without_thoughts("[THINK]So far 12")
    (' 15', ' ')
    """
    return _END_OF_THOUGHT.sub("", _THOUGHT.sub(" ", text))


def final_part(text: str) -> str:
    """What is the answer in a model's text: no thoughts, nothing that it went on to invent, no end marks.

    >>> final_part("<think>12? No, the tax.</think>15</s> 16")
    '15'
    """
    text = re.sub(r"\n\s*\n\s*\n\s*", "\n\n\n", without_thoughts(text).replace("\r", "\n"))
    text = _NEXT.split(_BEGIN.sub("", text), maxsplit=1)[0]
    return _REASONED.sub("", _SAID_AGAIN.sub(r"\1Answer:", text))


def final_number(text: str) -> str | None:
    """Final number of an answer as plain decimal text, such as "1250", "-3" or "0.5".

    The last JSON field `answer` decides where there is one, also in a broken or cut object; of several
    numbers in it the first counts, as ZeroEval grades. Else the last of `<answer>` tags, "#### 5", "the
    answer is 5" and a boxed number, in this order, an equation by its right side; else the last number.
    Currency, percent signs, units and marks between thousands go; a fraction is divided.

    Returns
    -------
    None if no number stands where the answer should.

    Examples
    --------
    >>> final_number('{"reasoning": "3 x 60 = 180", "answer": "$1,250.00 a week"}')
    '1250'
    >>> final_number("So 2 of 4 are left. The answer is 1/2.")
    '0.5'
    """
    clean = _clean(text)
    fields = _fields(clean)
    if fields:
        return next(_numbers(fields[-1]), None)
    for form in (_TAGGED, _HASHES, _PHRASE, _HEADED, _BOXED):
        told = [number for part in form.findall(clean) if (number := _first_number(part))]
        if told:
            return told[-1]
    return next(reversed([*_numbers(clean)]), None)


def same_number(a: str | None, b: str | None) -> bool:
    """Whether two texts hold the same number, however written; False where one holds none.

    Examples
    --------
    >>> same_number("$5.00", "5"), same_number("0.5", "1/2"), same_number(None, "5")
    (True, True, False)
    """
    left, right = (None if text is None else final_number(text) for text in (a, b))
    if left is None or right is None:
        return False
    x, y = Decimal(left), Decimal(right)
    return abs(x - y) <= _NEAR * max(abs(x), abs(y))


def final_letter(text: str, letters: str = "ABCD") -> str | None:
    """Letter of the choice that an answer settles on.

    The most explicit form decides: a JSON field `answer`, `<answer>` tags, "the answer is B" or "Answer: B",
    a boxed letter, "B is correct", a bold letter, the whole text, a letter that opens a line as "B." or "B)",
    "(B)" anywhere. Where none decides, a bare letter that is the answer's last sentence does. "I" and "A"
    that begin a clause are words.

    Parameters
    ----------
    letters : letters of the choices, in capitals; in a text they may be small where they are marked.

    Returns
    -------
    None if no letter is told, or if the deciding form tells two different ones.

    Examples
    --------
    >>> final_letter("Both fit, but the answer is (B)."), final_letter("A dog would bark.")
    ('B', None)
    >>> final_letter("Water boils there. C"), final_letter("It is vitamin C.")
    ('C', None)
    """
    clean = _WORD.sub("", _clean(text))
    fields = _fields(clean)
    return one_told([_opening(fields[-1], letters)] if fields else _told_letters(clean, letters))


def final_answer(metric: str, text: str, letters: str = "ABCD") -> str | None:
    """What an answer says, by the metric "letter" or "number"; None if nothing can be read."""
    return final_number(text) if metric == "number" else final_letter(text, letters)


def one_told(readings: Iterable[Iterable[T]]) -> T | None:
    """What the first reading that tells anything tells; None if it tells several things, or none does.

    >>> one_told([[], ["B", "B"], ["C"]]), one_told([["B", "C"], ["C"]])
    ('B', None)
    """
    for reading in readings:
        told = set(reading)
        if told:
            return told.pop() if len(told) == 1 else None
    return None


def _clean(text: str) -> str:
    """Final part in plain letters and digits, with one kind of minus, without LaTeX and marks in numbers."""
    plain = re.sub(r"</?(?:b|strong|i|em|u|p|br|span)\b[^<>]*>", "", final_part(text).replace("\\$", "$"))
    plain = _THOUSANDS.sub("", plain)
    plain = re.sub(r"[^\x00-\x7f]", _ascii, plain)
    for _ in range(2):  # one may stand in another
        plain = _STYLED.sub(r"\1", plain)
    return _LISTED.sub(r"\1\2", _FRACTION.sub(r"\1/\2", plain))


def _ascii(found: re.Match[str]) -> str:
    """ASCII character that another form of it stands for, such as a full-width one; no superscript."""
    char = found[0]
    if char in "−–‑‒":
        return "-"
    if char.isdecimal():
        return str(int(char))
    usual, kind = unicodedata.normalize("NFKC", char), unicodedata.decomposition(char).split(" ")[0]
    if kind == "<fraction>":
        return " " + usual.replace("\u2044", "/")
    return usual if len(usual) == 1 and usual.isascii() and kind not in ("<super>", "<sub>") else char


def _fields(text: str) -> list[str]:
    """Values of all JSON fields `answer`, quoted or bare, closed or cut."""
    return [found["text"] if found["text"] is not None else found["bare"] for found in _FIELD.finditer(text)]


def _first_number(part: str) -> str | None:
    """First number of a text that tells an answer; of an equation, the first after the last equals sign."""
    after = next(_numbers(part.rpartition("=")[2]), None)
    return after or next(_numbers(part), None)


def _numbers(text: str) -> Iterator[str]:
    return (_decimal(found) for found in _NUMBER.finditer(text))


def _decimal(found: re.Match[str]) -> str:
    """Plain decimal text of a number: no exponent, no trailing zeros, no minus before a zero."""
    value = _plain(found["top"])
    bottom = _plain(found["bottom"] or "1")
    if bottom:
        value = _plain(found["whole"] or "0") + Context(prec=_DIGITS).divide(value, bottom)
    if found["sign"] or found["minus"]:
        value = -value
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def _plain(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


_GO_ON = (
    r"(?:because|since|as|for|and|or|is|was|due|based|which|given|with|by|in|on|at|to|not|but|if|so|from|here"
    r"|according|this|that|where|while|when|then|though|although|only|has|can|would|should|will|does)\b"
)
_WORD = re.compile(
    r"\bI\b(?=[*_]*(?:['’][a-z]|\s+(?!(?:is|because|since|as|or)\b)[a-z]))"
    rf"|(?<!(?i:option|choice|answer) )\bA\b(?=[*_]*\s+(?!{_GO_ON})[a-z])"
)
"""A pronoun, or an article."""
_ENDS = r"(?!\w|['’][a-z])"
_AND = (
    r"[)\]*.\"']*\s*(?:,?\s*\b(?:and|or|und|oder|y|o|et|ou)\b|[&/+]|和|或|及|与|、"
    r"|,(?=\W*[A-Z]\W*?(?:[,.;\n]|\Z|and\b|or\b)))\s*(?:option )?[(\[*\"']*"
)
_NOT = r"\b(?:not|isn't|nor|rather than|instead of)\s+(?:option |choice |the )*[(*]*[{}]\b[)*]*"
_FILLER = (
    r"(?i:[\W_]|\b(?:the|options?|choices?|letter|answer|both|clearly|therefore|most|likely|probably|definitely"
    r"|but|rather|la|l|die|der)\b)*"
)
_CHOICE = _SAYS.replace("answer|", "answer|choice|option|solution|", 1)
_CHOSEN = re.compile(_PHRASE.pattern.replace(_SAYS, _CHOICE), re.I)


def _opening(text: str, letters: str) -> set[str]:
    """Letters that a short answer is or begins with: one, or two that are joined."""
    small = letters.lower()
    one = rf"(?:([{letters}]){_ENDS}|([{small}])(?=\W*\Z|[).:]|(?<!a)\s))"
    found = re.match(rf"{_FILLER}{one}(?:{_AND}{one})?", text, re.ASCII)
    return {letter.upper() for letter in found.groups() if letter} if found else set()


def _told_letters(text: str, letters: str) -> Iterator[set[str]]:
    """Letters told in every form in which one can be told, the most explicit form first."""
    text = re.sub(_NOT.format(letters), "", text, flags=re.I)
    for form in (_TAGGED, _CHOSEN, _HEADED, _BOXED):
        yield set().union(*(_opening(part, letters) for part in form.findall(text)))
    any_case = f"[{letters}{letters.lower()}]"
    right = r"[)*]* (?:is|would be|must be) (?:the )?(?:most )?(?:correct|right|best|true)(?: \w+)?"
    choose = r"(?i:choose|pick|select|go with|say|answer)\W+(?i:option |choice |answer )?"
    for pattern in (
        rf"\b([{letters}]){right}\W*?(?:[.,;!\n]|\Z|because|since|as)|\b{choose}\W*([{letters}]){_ENDS}",
        rf"选[择项項]?\W*([{letters}])|(?<![A-Za-z])([{letters}])(?:选项)?是?(?:正确|对)",
        rf"(?:\*\*|__)\(?([{letters}])[).:]?(?:\*\*|__)|\*\*\(?([{letters}])[).:]\s",
        rf"\A(?:A:)?{_FILLER}({any_case})[\W_]*\Z",
        rf"(?m)^[ \t(*_]*([{letters}])[ \t).:*_]*$",
        rf"(?m)^\s*\(?([{letters}])(?:[).:]\s|\s+[-—(]|,? (?:because|since|as)\b)",
        rf"(?m)^\s*\(?({any_case})\)(?=\s|$)",
        rf"\(({any_case})\)|\[([{letters}])\]|\b(?i:option|choice) ([{letters}]){_ENDS}",
        rf"(?:[.!?:\n]|(?i:\bis|['’]s|\b(?:so|thus|hence|therefore)\W))\s*\(?([{letters}])\)?\W*\Z",
    ):
        yield {next(filter(None, found.groups())).upper() for found in re.finditer(pattern, text)}
