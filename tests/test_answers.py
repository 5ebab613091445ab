"""Final answers read out of texts: forms met in real answers, and round trips of any number or letter."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rb_support.answers import final_letter, final_number, same_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ('{"reasoning": "3 x 60 = 180", "answer": "540"}', "540"),
        ('Here it is:\n```json\n{\n  "reasoning": "2 + 2",\n  "answer": "4 apples"\n}\n```', "4"),
        ('{"reasoning": "He said \\"9\\"", "answer": "1,250.00"', "1250"),
        ('{"reasoning": "a\nb", "answer": 12}', "12"),
        ('{"answer": 7, "reasoning": "of 8 one is lost"}', "7"),
        ("{'answer': '$3'}", "3"),
        ('{"reasoning": "5 are left", "answer": "', None),
        ('{"reasoning": "5 are left", "answer": "unknown"}', None),
        ('{"answer": "20 * 2 = 40"}', "20"),
        ('{"reasoning": "first 3, then cut off at 4', "4"),
        ("9 + 9\n#### 18", "18"),
        ("#### 1,000\nThe answer is 7", "1000"),
        ("The answer is 20 * 2 = 40, from 3 steps", "40"),
        ("**Final Answer:** $18.50 (of 20)", "18.5"),
        ("The answer: -3", "-3"),
        (r"So \boxed{\frac{3}{4}} of 8", "0.75"),
        (r"\boxed{1{,}024}", "1024"),
        ("It costs 5 each, so 35 in total.", "35"),
        ("Each gets 1/2.", "0.5"),
        ("That is 2 1/2 cups", "2.5"),
        ("1/3", "0.333333333333333"),
        ("8/0", "8"),
        ("nearly .5", "0.5"),
        ("5.00", "5"),
        ("25%", "25"),
        ("-$1,200", "-1200"),
        ("$-4", "-4"),
        ("−7", "-7"),
        ("from 5-7", "7"),
        ("-0.0", "0"),
        ("1e3", "1000"),
        ("no number at all", None),
        ("", None),
    ],
)
def test_final_number(text: str, number: str | None) -> None:
    assert final_number(text) == number


PHRASES = (
    "{}",
    "#### {}",
    "It was 3 of 9. The answer is {}.",
    "Answer: ${}",
    "After 2 steps we get \\boxed{{{}}}.",
    '{{"reasoning": "12 of 40", "answer": "{}"}}',
    '```json\n{{"reasoning": "12 of 40", "answer": {}}}\n```',
    '{{"reasoning": "12 of 40", "answer": "{} units',
)


@given(
    value=st.decimals(min_value=-(10**9), max_value=10**9, places=3),
    phrase=st.sampled_from(PHRASES),
    commas=st.booleans(),
)
def test_a_number_survives_every_phrase(value: Decimal, phrase: str, commas: bool) -> None:
    found = final_number(phrase.format(f"{value:,f}" if commas else f"{value:f}"))
    assert found is not None
    assert Decimal(found) == value
    assert final_number(found) == found


@given(st.text(max_size=200))
def test_any_text_is_read_without_error(text: str) -> None:
    found = final_number(text)
    assert found is None or Decimal(found).is_finite()
    assert final_letter(text) in (None, "A", "B", "C", "D")


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("5", "5.00", True),
        ("$1,000", "1000", True),
        ("1/2", ".5", True),
        ("1/3", "0.3333333333", True),
        ("0.33", "1/3", False),
        ("0", "-0", True),
        ("3", "-3", False),
        (None, "3", False),
        (None, None, False),
        ("none", "none", False),
    ],
)
def test_same_number(a: str | None, b: str | None, same: bool) -> None:
    assert same_number(a, b) is same
    assert same_number(b, a) is same


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ('{"reasoning": "A and C fall away", "answer": "B"}', "B"),
        ('```json\n{"answer": "C) Paris"}\n```', "C"),
        ('{"answer": "d"', "D"),
        ('{"answer": "neither"}', None),
        ("B", "B"),
        (" b. ", "B"),
        ("(B)", "B"),
        ("B. Because of (A) and (C).", "B"),
        ("Answer: B", "B"),
        ("**Answer:** C", "C"),
        ("The answer is (d).", "D"),
        ("The answer is **A**, not B.", "A"),
        ("Clearly **B** wins over (C).", "B"),
        ("**B) Rome**", "B"),
        (r"\boxed{\text{(C)}}", "C"),
        ("I take (D) here", "D"),
        ("Either (A) or (B).", None),
        ("The answer is A. No, the answer is B.", None),
        ("A dog would bark.", None),
        ("Bad", None),
        ("The answer is Berlin.", None),
        ("E", None),
        ("", None),
    ],
)
def test_final_letter(text: str, letter: str | None) -> None:
    assert final_letter(text) == letter


def test_letters_of_a_longer_choice() -> None:
    assert final_letter("Answer: E", letters="ABCDE") == "E"
    assert final_letter("(B)", letters="AC") is None


@given(
    st.sampled_from("ABCD"),
    st.sampled_from(
        ["{}", "({})", "{}.", "Answer: {}", "The answer is **{}**", '{{"answer": "{}"}}', "**{}**"]
    ),
)
def test_a_letter_survives_every_phrase(letter: str, phrase: str) -> None:
    assert final_letter(phrase.format(letter)) == letter
