"""The plain records of construction: what is asked, of whom, how, what came back, and what can go wrong."""

from __future__ import annotations

import codecs
import hashlib
import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pydantic.dataclasses
from pydantic import Field

OPENAI_COMPATIBLE = "openai-compatible"

Usd = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
MaybeUsd = Usd | None
Flag = Annotated[bool, Field(strict=True)]
Count = Annotated[int, Field(ge=1, strict=True)]
Text = Annotated[str, Field(pattern=r"\S", strict=True)]
Variable = Annotated[str, Field(pattern="^([A-Za-z_][A-Za-z0-9_]{0,63})?$", strict=True)]

Messages = tuple[tuple[str, str], ...]
"""Pairs (role, text), in the order of the conversation."""


class ConstructError(RuntimeError):
    """Construction cannot go on; the message names what is wrong and the remedy, never a key."""


class ModelCardError(ConstructError):
    """A model card file that cannot be used; the message names file, entry, field and remedy."""


class StoreError(ConstructError):
    """A store that cannot be opened or read: another format or version, or a damaged file."""


class StoreBusyError(StoreError):
    """A store that another run is writing."""


class CallError(ConstructError):
    """A call that was given up: refused by the endpoint, or failed at every attempt.

    Parameters
    ----------
    message : what is wrong and the remedy.
    whole_model : True if every other call to the model would fail the same way.
    billed : True if the endpoint may have made an answer, which would be on the bill.
    status : what the endpoint answered, such as 404; 0 if it was none.
    """

    def __init__(
        self, message: str, *, whole_model: bool = False, billed: bool = False, status: int = 0
    ) -> None:
        super().__init__(message)
        self.whole_model, self.billed, self.status = whole_model, billed, status


class TryAgain(Exception):
    """One attempt failed in a way that may pass.

    Parameters
    ----------
    kind : in a word or two, such as "429" or "cut".
    says : what the endpoint says of it.
    wait_s : seconds that the endpoint asks to wait.
    billed : True if the endpoint may have made an answer, which would be on the bill.
    """

    def __init__(self, kind: str, says: str = "", *, wait_s: float = 0.0, billed: bool = False) -> None:
        super().__init__(f"{kind} (it says: {says})" if says else kind)
        self.kind, self.wait_s, self.billed = kind, wait_s, billed


class Key(NamedTuple):
    """Names one answer: the same key is never asked twice.

    Attributes
    ----------
    model : name of the model.
    sample_id : name of the query.
    turn : index into the query's turns.
    parameters_digest : hash of parameters and prompt, 32 hexadecimal digits.
    """

    model: str
    sample_id: str
    turn: int
    parameters_digest: str


@dataclass(frozen=True)
class Query:
    """One sample of a task (RouterBench sec. 4.2). A question to a judge is a query as well.

    Attributes
    ----------
    sample_id : unique among the queries of a store.
    task : name of its task, such as "mmlu-anatomy".
    turns : user turns, asked one after the other; one for most tasks, two for MT-Bench.
    reference : right answer, or what a judge compares with; may be empty.
    metric : how the answer is graded: "letter", "number" or "judge".
    system : system message; none if empty.
    stop : texts before which an answer ends; sent along if there are any.
    letters : of the choices that a multiple-choice question offers, such as "ABCD"; empty if not known.
    """

    sample_id: str
    task: str
    turns: tuple[str, ...]
    reference: str = ""
    metric: str = "judge"
    system: str = ""
    stop: tuple[str, ...] = ()
    letters: str = ""

    def conversation(self, answers: Sequence[str]) -> Messages:
        """Messages of the turn after these answers, which are the model's own.

        Raises
        ------
        IndexError : if every turn has its answer already.
        """
        said = [("system", self.system)] if self.system else []
        for turn, answer in zip(self.turns, answers, strict=False):
            said += [("user", turn), ("assistant", answer)]
        return (*said, ("user", self.turns[len(answers)]))


@pydantic.dataclasses.dataclass(frozen=True, config={"extra": "forbid", "hide_input_in_errors": True})
class Model:
    """One entry of a model card file (RouterBench App. A.1); a pydantic.ValidationError names a wrong field.

    Attributes
    ----------
    name : how the outcome table calls it.
    endpoint : base URL, such as "https://api.example.org/v1"; may be empty for another provider.
    served_name : how the endpoint calls it.
    price_in_usd_per_million, price_out_usd_per_million : USD per million tokens of prompt and answer.
    fee_usd_per_request : USD per call, on top.
    context_tokens : longest prompt and answer together.
    key_variable : NAME of the environment variable that holds the key; none if empty.
    concurrency : calls in flight at once.
    provider : "openai-compatible", or a provider of the library that `client` names.
    price_cached_usd_per_million, price_reasoning_usd_per_million : of those tokens of the prompt that came
        from the provider's cache, and of the answer that were thought; as the others if None.
    max_completion_tokens : True if the endpoint wants the longest answer under this name, not "max_tokens".
    fixed_temperature : True if the endpoint takes neither temperature nor stops; none is sent.
    """

    name: Text
    endpoint: str
    served_name: Text
    price_in_usd_per_million: Usd
    price_out_usd_per_million: Usd
    fee_usd_per_request: Usd = 0.0
    context_tokens: Count = 4096
    key_variable: Variable = ""
    concurrency: Count = 8
    provider: Text = OPENAI_COMPATIBLE
    price_cached_usd_per_million: MaybeUsd = None
    price_reasoning_usd_per_million: MaybeUsd = None
    max_completion_tokens: Flag = False
    fixed_temperature: Flag = False

    @property
    def prices(self) -> tuple[float, float, float, float]:
        """USD per million tokens of prompt, answer, cached prompt and thought answer."""
        usual = self.price_in_usd_per_million, self.price_out_usd_per_million
        cached, thought = self.price_cached_usd_per_million, self.price_reasoning_usd_per_million
        return (*usual, usual[0] if cached is None else cached, usual[1] if thought is None else thought)

    def cost(self, prompt_tokens: int, answer_tokens: int, cached_tokens: int = 0, thought: int = 0) -> float:
        """USD of one call; cached tokens are some of the prompt's, thought ones some of the answer's."""
        price_in, price_out, price_cached, price_thought = self.prices
        usd = prompt_tokens * price_in + answer_tokens * price_out
        usd += cached_tokens * (price_cached - price_in) + thought * (price_thought - price_out)
        return self.fee_usd_per_request + usd / 1e6


@dataclass(frozen=True)
class Parameters:
    """How models are asked; part of every answer's key.

    Attributes
    ----------
    max_tokens : longest answer, in tokens.
    temperature : 0 for the likeliest answer.
    seed : sent along if it is not None; not every endpoint heeds it.
    """

    max_tokens: int = 512
    temperature: float = 0.0
    seed: int | None = None


@dataclass(frozen=True)
class Answer:
    """What one call brought, as the store keeps it.

    Attributes
    ----------
    model, sample_id, turn, parameters_digest : its key.
    text : the answer; empty if the model said nothing.
    prompt_tokens, answer_tokens : tokens that the endpoint counted.
    tokens_estimated : True if the endpoint's counts were absent or impossible, and these are a guess.
    latency_s : seconds from sending the request to the whole answer, last attempt only.
    cost_usd : USD at the prices of the model card.
    finish_reason : "stop", "length", …, as the endpoint said; empty if it did not.
    asked_at : when the last attempt was sent, UTC, ISO 8601.
    attempts : how often it was asked until it answered.
    raw : JSON text of the response.
    cached_tokens, reasoning_tokens : how many tokens of prompt and answer were cached and thought.
    prices : JSON text of the prices with which its cost was computed: USD per million tokens of prompt,
        answer, cached prompt and thought answer, and USD per request; empty if not known.
    """

    model: str
    sample_id: str
    turn: int
    parameters_digest: str
    text: str
    prompt_tokens: int
    answer_tokens: int
    tokens_estimated: bool
    latency_s: float
    cost_usd: float
    finish_reason: str
    asked_at: str
    attempts: int
    raw: str
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    prices: str = ""


def key_of(model: Model | str, query: Query, turn: int, parameters: Parameters) -> Key:
    """Key of the answer of a model to one turn of a query.

    Its digest is a hash of parameters and prompt: all user turns up to this one, and the system message. The
    model's own earlier answers are left out: they follow from the key of the turn before, and so the key of a
    second turn is known before the first is asked. Stops are left out as well: what comes after them is not
    read anyway, so an answer that was paid for without them is as good.
    """
    asked = {"parameters": vars(parameters), "system": query.system, "turns": query.turns[: turn + 1]}
    text = json.dumps(asked, sort_keys=True, ensure_ascii=False)
    name = model if isinstance(model, str) else model.name
    return Key(name, query.sample_id, turn, hashlib.sha256(text.encode()).hexdigest()[:32])


def read_toml(path: Path) -> dict[str, Any]:
    """Content of a TOML file of a user.

    Raises
    ------
    ConstructError : if it cannot be read; says why, but does not name the file.
    """
    try:
        marked = path.read_bytes()[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        return tomllib.loads(path.read_text(encoding="utf-16" if marked else "utf-8-sig"))
    except OSError as error:
        raise ConstructError(f"cannot be read ({error.strerror}); check the path") from None
    except UnicodeError:
        raise ConstructError("is not text in UTF-8; save it as such") from None
    except tomllib.TOMLDecodeError as error:
        raise ConstructError(f"is no TOML ({error}); correct that line") from None
