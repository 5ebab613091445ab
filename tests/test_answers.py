"""Final answers read out of texts: forms met in real answers, and round trips of any number or letter."""

from __future__ import annotations

import re
import time
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rb_support.answers import final_answer, final_letter, final_number, final_part, same_number


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


@settings(max_examples=40)
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


QUESTION = "\n\nQuestion: Which floats?\nA. brick\nB. cork\nAnswer: @"


@pytest.mark.parametrize(
    "reply",
    [
        "<think>The answer is @? Hmm, that ignores gravity.</think>\n\n{}",
        "<think>The answer is @ at first sight... no.</think>\n\n**{}**",
        "The answer is @, no.\n</think>\n\n{}",
        "<think>\n\n</think>\n\n{}",
        "<thinking>The answer is @</thinking>\n{}",
        '<think type="long">The answer is @</think>{}',
        "<seed:think>The answer is @</seed:think>{}",
        "<reasoning>The answer is @</reasoning>\n<answer>{}</answer>",
        "<think>The answer is @? No. <answer>{}</answer>",
        "<think>I close with </think> now: @.</think>{}",
        "<think>@ <think>@</think> (@)</think>{}",
        "[THINK]The answer is @[/THINK]{}",
        "◁think▷The answer is @◁/think▷{}",
        "<|begin_of_thought|>(@)<|end_of_thought|>\n<|begin_of_solution|>{}<|end_of_solution|>",
        "<|START_THINKING|>(@)<|END_THINKING|><|START_RESPONSE|>{}<|END_RESPONSE|>",
        "<|channel|>analysis<|message|>@? no.<|end|><|channel|>final<|message|>{}<|return|>",
        "<|channel|>commentary<|message|>@<|end|><|start|>assistant<|channel|>final<|message|>{}",
        "analysisThe answer is @? No.assistantfinal{}",
        "<unused94>thought\nThe answer is @<unused95>{}",
        '<details type="reasoning" done="true"><summary>Thought</summary>(@)</details>\n{}',
        "Reasoning: the answer is @? No.\n\nAnswer: {}",
        "**Reasoning:** The answer is @ at first.\n\n**Final answer:** {}",
        "Here is my thought process: (@)?\n\nHere is my response: {}",
        "{}" + QUESTION,
        "The answer is {}." + QUESTION.replace("Question", "**Question 2**"),
        "{}\n\nQ: Which floats?\nA: @",
        "Q: Which sinks?\nA: {}\n\nQ: Which floats?\nA: @",
        "{}\nHuman: And now?\nAssistant: @",
        "{}\n\nUser: And now?",
        "{}\n\n### Question\nWhich floats?\n### Answer\n@",
        "{}\r\n\r\nQuestion: Which floats?\r\nAnswer: @",
        "{}\n\nExample 2: (@)",
        "<thought_process>(@)</thought_process>{}",
        "<|thinking|>(@)<|/thinking|>{}",
        "Thinking...\nThe answer is @\n...done thinking.\n\n{}",
        "{}\n\n\nProblem 2\nWhich floats?\nAnswer: @",
        "{}</s>",
        "{}<|eot_id|>",
        "{}<|endoftext|>Question: Which floats? Answer: @",
        "{}<|im_end|>\n<|im_start|>user\n@",
        "{}<｜end▁of▁sentence｜>@",
        "{}<end_of_turn>\n<start_of_turn>user\n@",
        "{} [INST] @",
        "<|im_start|>assistant\n{}<|im_end|>",
        "<|start_header_id|>assistant<|end_header_id|>\n\n{}<|eot_id|>",
        "<s> {} </s>",
    ],
)
def test_thoughts_and_inventions_are_no_answers(reply: str) -> None:
    """Whatever stands for @ is not the answer."""
    assert final_answer("letter", reply.format("B").replace("@", "A")) == "B"
    assert final_answer("number", reply.format("15").replace("@", "12")) == "15"


@pytest.mark.parametrize(
    "text", ["<think>3 times 4 is 12", "[THINK](A) 4", "<|channel|>analysis<|message|>A 3"]
)
def test_a_thought_without_an_end_is_no_answer(text: str) -> None:
    assert final_number(text) is None and final_letter(text) is None and not final_part(text).strip()


def test_a_question_that_is_said_again_is_no_invention() -> None:
    assert final_number("Question: How many are 3 and 4?\nAnswer: 7") == "7"
    assert final_number("To the point:\n\nQuestion: How many are 3 and 4?\nAnswer: 7") == "7"


@pytest.mark.parametrize(
    "text",
    [
        "The answer is option C.",
        "The correct choice is C.",
        "The answer should be C.",
        "The correct answer would be C",
        "The best option is **(C)**",
        "The answer to question 3 is (C).",
        "The answer is most likely C, since A sinks.",
        "The answer is therefore C",
        "So the answer must be C, I think.",
        "Answer - C",
        "Answer = C",
        "Answer C",
        "Option C",
        "Option C is correct.",
        "C is the correct answer.",
        "(C) is correct because it floats",
        "I think C is the best answer.",
        "I would choose C.",
        "I'd go with option C",
        "The answer is c because it floats",
        "The answer is not A. It's C.",
        "The answer is not A but C.",
        "Neither A nor B. The answer is C",
        "The answer is C, not D.",
        "Answer:\n\n**C**\n\nBecause (A) sinks.",
        "### Answer\n\nC",
        "**Answer**\nC",
        r"\boxed{C}",
        r"\boxed{\textbf{C}}",
        r"\boxed{\mathrm{C}}",
        r"\[\boxed{\text{(C) a cork}}\]",
        r"The final answer is $\boxed{C}$.",
        "<answer>C</answer>",
        "<answer>\nC. a cork\n</answer> A sinks.",
        "<ANSWER>C",
        '{"final_answer": "C"}',
        "[[C]]",
        "__C__",
        "`C`",
        "c) a cork",
        "C: a cork",
        "C (a cork)",
        "C\r\n\r\nExplanation: (A) sinks.\r\n",
        "C\n\n(A) sinks.",
        "Ans: C",
        "**Final Answer**\n\nC\n\n(A) sinks",
        "Option C best describes it.",
        "<b>C</b>",
        "选项C正确",
        "C是正确答案",
        "C - a cork",
        "C, because it floats",
        "Thus, C.",
        "Ｃ",
        "答案是C。",
        "答案：C",
        "正确答案是 C，因为它浮在水上",
        "应该选C",
        "Answer：Ｃ",
        "答えはCです。",
        "정답은 C입니다",
        "Правильный ответ — C.",
        "La respuesta correcta es la C.",
        "La réponse correcte est C.",
        "A resposta correta é C.",
        "La risposta corretta è la C.",
        "Die richtige Antwort ist C.",
    ],
)
def test_usual_ways_to_tell_a_letter(text: str) -> None:
    assert final_letter(text) == "C"


@pytest.mark.parametrize(
    "text",
    [
        "The answer is A and B.",
        "The answer is A or B",
        "Answer: B & C",
        "The answer is A/B",
        "The answer is A, B, and D.",
        "Both A and C are correct.",
        "The correct answers are A and C.",
        "The answer is neither A nor B.",
        "答案是A和B",
        "The answer is a dog.",
        "The answer is A dog.",
        "Answer: none of these",
        "It must be B, I think.",
        "I think so.",
    ],
)
def test_no_single_letter_is_told(text: str) -> None:
    assert final_letter(text) is None


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("I think the answer is C.", "C"),
        ("The answer is A, I would say.", "A"),
        ("The answer is A here.", "A"),
        ("I would go with option A best fitting this.", "A"),
        ("I believe that J is correct.", "J"),
        ("The answer, I think, is J.", "J"),
        ("The answer is I think B", None),
        ("**I** think so", None),
        ("I'm not sure.", None),
        ("I cannot answer", None),
        ("I", "I"),
        ("The answer is I.", "I"),
        ("I. the last one", "I"),
    ],
)
def test_a_pronoun_is_no_letter(text: str, letter: str | None) -> None:
    assert final_letter(text, letters="ABCDEFGHIJ") == letter


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("<answer>18</answer> based on 3 steps and 2 checks", "18"),
        ("The total is **15**.", "15"),
        ("#### Step 2: add\n9 + 9 = 18", "18"),
        ("#### 2. Add them\n9 + 9 = 18", "18"),
        ("The answer is 18.\n\n#### 2. Check\nAll is fine.", "18"),
        ("1. Add 9 and 9.\n2. Get 18.\n3. Done.", "18"),
        ("Step 1: 9 + 9 = 18\nStep 2: so all are sold", "18"),
        ("**Final Answer**\n\n18\n\nfrom 3 of 4", "18"),
        ("١٨", "18"),
        ("#### $18", "18"),
        ("#### **18**", "18"),
        ("#### The answer is 18", "18"),
        ("Answer:\n18\n\nThese are 3 of 4.", "18"),
        ("1\u202f234", "1234"),
        ("1\u00a0234\u00a0567", "1234567"),
        ("1\u2009234", "1234"),
        (r"\boxed{1\,234}", "1234"),
        (r"\boxed{1,\!234}", "1234"),
        ("1{,}234", "1234"),
        ("1'234", "1234"),
        ("1,50,000 rupees", "150000"),
        ("１２３", "123"),
        ("Answer － ３", "3"),
        ("2½", "2.5"),
        ("It is 25 m²", "25"),
        (r"\boxed{18\text{ dollars}}", "18"),
        (r"\boxed{\$18}", "18"),
        ("答案是18", "18"),
        ("Respuesta: 18 (de 20)", "18"),
    ],
)
def test_usual_ways_to_tell_a_number(text: str, number: str) -> None:
    assert final_number(text) == number


def harness(pattern: str, text: str, take: int) -> str | None:
    """What lm-evaluation-harness extracts: a match of a task's pattern, freed of what its tasks ignore."""
    found = [next(filter(None, match.groups())) for match in re.finditer(pattern, text)]
    return re.sub(r"[,$]|\.$", "", found[take]) if found else None


STRICT, FLEXIBLE = r"#### (\-?[0-9\.\,]+)", r"(-?[$0-9.,]{2,})|(-?[0-9]+)"
"""Of gsm8k.yaml: the first match, and the last one."""
LETTER = r"answer is \(?([ABCDEFGHIJ])\)?"
"""Of mmlu_pro: the first match."""


@pytest.mark.parametrize(
    ("text", "ours", "strict", "flexible"),
    [
        ("9 + 9 = 18\n#### 18", "18", "18", "18"),
        ("#### 1,800", "1800", "1800", "1800"),
        ("It costs $18.", "18", None, "18"),
        ("The answer is 18.", "18", None, "18"),
        ("#### $18", "18", None, "18"),  # the harness wants the bare number
        ("#### 18\n\nQuestion: 2 + 2?\n#### 4", "18", "18", "4"),  # the last number is an invention
        ("The answer is 18, from 3 boxes.", "18", None, "3"),  # the last number is no answer
        ("Each gets 1/2.", "0.5", None, "2"),
    ],
)
def test_numbers_beside_those_of_the_evaluation_harness(
    text: str, ours: str, strict: str | None, flexible: str
) -> None:
    assert final_number(text) == ours
    assert (harness(STRICT, text, 0), harness(FLEXIBLE, text, -1)) == (strict, flexible)


@pytest.mark.parametrize(
    ("text", "ours", "theirs"),
    [
        ("The answer is (C).", "C", "C"),
        ("the answer is C", "C", "C"),
        ("So the answer is A. No: the answer is B.", None, "A"),  # two are told
        ("The answer is A dog.", None, "A"),  # a word
        ("<think>The answer is A?</think>The answer is B.", "B", "A"),  # a thought
        ("**Answer:** C", "C", None),
        ("C", "C", None),
    ],
)
def test_letters_beside_those_of_the_evaluation_harness(
    text: str, ours: str | None, theirs: str | None
) -> None:
    assert (final_letter(text), harness(LETTER, text, 0)) == (ours, theirs)


@pytest.mark.parametrize(
    "part",
    [
        "\n",
        " ",
        "\n ",
        "*",
        "<",
        "<think>",
        "</think>",
        "answer is ",
        "A and ",
        "A, ",
        "_",
        "1,",
        "\\text{",
        "#",
    ],
)
def test_a_reply_that_repeats_itself_is_read_in_time(part: str) -> None:
    began = time.perf_counter()
    final_number(part * 5000), final_letter(part * 5000)
    assert time.perf_counter() - began < 2
