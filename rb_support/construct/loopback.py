"""An OpenAI-compatible server on 127.0.0.1 with simulated models, for demos, tests and notebook 01a.

It answers `POST /v1/chat/completions` over HTTP. What a model says follows from the seed, the model and the
prompt alone, so a repeated call gets the same answer. The models are told the right answers. How often one
hits them depends on its skill, on the task and on a difficulty that all models share. An open answer ends
with its own quality, such as "[draft quality 7/10]": a simulated judge reads that mark, so that judge
grading means something offline.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from rb_support.cache import packaged_table
from rb_support.construct.plan import BYTES_PER_TOKEN, estimate, estimate_prompt
from rb_support.construct.records import Messages, Model, Query

PATH = "/v1/chat/completions"
_QUALITY = re.compile(r"\[draft quality (\d+)/10\]")
"""Mark at the end of an open answer."""

_SAYS = packaged_table("construct/phrases.toml")["simulated"]


@dataclass(frozen=True)
class SimulatedModel:
    """A model that exists only on loopback.

    Attributes
    ----------
    name : its name, also its served name.
    skill : share of questions that it can answer, about; in [0, 1].
    price_in_usd_per_million, price_out_usd_per_million, fee_usd_per_request : as in `Model`.
    latency_s : seconds until it answers, in the mean.
    spread : seconds vary by this share of `latency_s` around it.
    verbosity : sentences around an answer.
    refuses, echoes : share of questions that it refuses, or repeats.
    strengths : what is added to its skill for tasks whose name begins so.
    """

    name: str
    skill: float
    price_in_usd_per_million: float = 1.0
    price_out_usd_per_million: float = 2.0
    fee_usd_per_request: float = 0.0
    latency_s: float = 0.02
    spread: float = 0.5
    verbosity: int = 1
    refuses: float = 0.02
    echoes: float = 0.02
    strengths: Mapping[str, float] = field(default_factory=dict)

    def card(self, url: str) -> Model:
        """Model card on a server."""
        prices = (self.price_in_usd_per_million, self.price_out_usd_per_million, self.fee_usd_per_request)
        return Model(self.name, url, self.name, *prices, context_tokens=16_384)


MODELS = tuple(SimulatedModel(**entry) for entry in _SAYS["models"])
"""Four models to show the pipeline with: large, medium, small, and one that searches for a fee a request."""

JUDGE = SimulatedModel(**_SAYS["judge"])
"""A fifth one, to grade with."""


@dataclass(frozen=True)
class Server:
    """A server that is running: its address, and its models as cards."""

    url: str
    simulated: tuple[SimulatedModel, ...]

    def models(self) -> list[Model]:
        """Model cards of the simulated models, the judge left out."""
        return [model.card(self.url) for model in self.simulated if model.name != JUDGE.name]

    def judge(self) -> Model:
        """Model card of the judge."""
        return JUDGE.card(self.url)


@contextmanager
def serve(
    queries: Sequence[Query] = (), *, models: Sequence[SimulatedModel] = (*MODELS, JUDGE), seed: int = 0
) -> Iterator[Server]:
    """Serve simulated models until the block ends.

    Parameters
    ----------
    queries : those whose right answers the models know. To any other prompt they reply as a judge.
    models : who answers.
    seed : of answers.

    Yields
    ------
    The running server.
    """
    with listening(ChatHandler, Chat(queries, models, seed)) as url:
        yield Server(url, tuple(models))


@contextmanager
def listening(handler: type[ChatHandler], chat: Chat) -> Iterator[str]:
    """Base URL of a server in a thread of its own, which ends with the block."""
    application = Application([(PATH, handler, {"chat": chat})], log_function=lambda _: None)
    sockets = bind_sockets(0, "127.0.0.1", backlog=1024)
    stop, loop = asyncio.Event(), asyncio.new_event_loop()

    async def main() -> None:
        server = HTTPServer(application)
        server.add_sockets(sockets)
        await stop.wait()
        server.stop()
        await server.close_all_connections()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(loop.run_until_complete, main())
        try:
            yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}/v1"
        finally:
            loop.call_soon_threadsafe(stop.set)
    loop.close()


class Chat:
    """What simulated models say, by prompt.

    Parameters
    ----------
    queries, models, seed : as `serve` takes them.
    """

    def __init__(self, queries: Sequence[Query], models: Sequence[SimulatedModel], seed: int) -> None:
        self.models = {model.name: model for model in models}
        self.seed = seed
        turns = [(query, turn) for query in queries for turn in range(len(query.turns))]
        self._known = {_name(query.conversation([""] * turn)): (query, turn) for query, turn in turns}

    def call(self, model: SimulatedModel, messages: Messages) -> tuple[str, str, int]:
        """Model, sample_id and turn; a prompt that belongs to no query has its hash as sample_id."""
        query, turn = self._known.get(_name(messages), (None, 0))
        return model.name, query.sample_id if query else _name(messages), turn

    def completion(self, model: SimulatedModel, messages: Messages, max_tokens: int) -> dict[str, Any]:
        """Body of a response, in the OpenAI shape."""
        query, turn = self._known.get(_name(messages), (None, 0))
        text = say(model, query, turn, self.seed) if query else reply(messages[-1][1], self.seed)
        cut = text.encode()[: max_tokens * BYTES_PER_TOKEN].decode(errors="ignore")
        prompt, said = estimate_prompt(messages), estimate(cut)
        message = {"role": "assistant", "content": cut}
        choice = {"index": 0, "message": message, "finish_reason": "stop" if cut == text else "length"}
        usage = {"prompt_tokens": prompt, "completion_tokens": said, "total_tokens": prompt + said}
        return {"object": "chat.completion", "model": model.name, "choices": [choice], "usage": usage}


class ChatHandler(RequestHandler):
    """One request: waits as long as the model takes, then answers."""

    def initialize(self, chat: Chat) -> None:
        """Take what the models say."""
        self.chat = chat

    async def post(self) -> None:
        """Read the request; 404 for an unknown model or a missing field, 400 for an unreadable body."""
        try:
            request = json.loads(self.request.body)
            messages = tuple((message["role"], message["content"]) for message in request["messages"])
            model = self.chat.models[request["model"]]
            max_tokens = int(request.get("max_completion_tokens") or request["max_tokens"])
        except KeyError as error:
            self.refuse(404, f"no model or field {error}")
        except (ValueError, TypeError):
            self.refuse(400, "the body cannot be read")
        else:
            await self.answer(model, messages, max_tokens)

    async def answer(self, model: SimulatedModel, messages: Messages, max_tokens: int) -> None:
        """Answer after the model's latency, which varies."""
        vary = draw(self.chat.seed, "wait", *self.chat.call(model, messages)).uniform(-1, 1)
        await asyncio.sleep(model.latency_s * (1 + model.spread * vary))
        self.finish(self.chat.completion(model, messages, max_tokens))

    def refuse(self, status: int, message: str) -> None:
        """Answer with an error in the OpenAI shape."""
        self.set_status(status)
        self.finish({"error": {"message": message}})


def _name(messages: Messages) -> str:
    """Hash of what system and user say; the model's own answers follow from it."""
    said = [[role, text] for role, text in messages if role != "assistant"]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def draw(*parts: object) -> random.Random:
    """Source of randomness that follows from these parts alone."""
    return random.Random("|".join(map(str, parts)))


def say(model: SimulatedModel, query: Query, turn: int, seed: int) -> str:
    """Answer of a model to one turn of a query whose reference it knows."""
    rng = draw(seed, model.name, query.sample_id, turn)
    mood = rng.random()
    mood -= 0.01  # a hundredth was silent once: seeds give the other answers that they gave
    if 0 <= mood < model.refuses:
        return rng.choice(_SAYS["refusals"])
    if 0 <= mood < model.refuses + model.echoes:
        return query.turns[turn].strip().splitlines()[-1]
    difficulty = draw(seed, query.sample_id, "difficulty").random()
    strength = sum(more for prefix, more in model.strengths.items() if query.task.startswith(prefix))
    skill = min(max(model.skill + strength, 0.0), 1.0)
    margin = skill - (difficulty + rng.random()) / 2
    return _SAY[query.metric](model, query, margin, rng)


def reply(prompt: str, seed: int) -> str:
    """Reply to a prompt that is no known query, as JSON.

    A prompt that asks for a "question" about a text gets one. To answers that carry quality marks the reply
    is a judge's: a prompt that speaks of a "winner" gets {"winner": "A", "B" or "tie"}, and one time in ten
    whichever stands first. Any other gets {"score": 1 to 10}, the mean of the marks, one off now and then.
    """
    if "<text>" in prompt and '"question"' in prompt:
        return _question(prompt, seed)
    marks = [int(mark) for mark in _QUALITY.findall(prompt)]
    rng = draw(seed, "judge", prompt)
    if '"winner"' in prompt:
        favours_the_first = rng.random() < 0.1 or len(marks) < 2
        first, last = (1, 0) if favours_the_first else (marks[0], marks[-1])
        return json.dumps({"winner": "A" if first > last else "B" if first < last else "tie"})
    if not marks:
        return json.dumps({"score": rng.choice((1, 1, 2))})
    score = round(sum(marks) / len(marks)) + rng.choice((0, 0, 0, 0, -1, 1))
    return json.dumps({"score": min(max(score, 1), 10)})


def _question(prompt: str, seed: int) -> str:
    """Question about the text between <text> and </text>, as JSON with "question" and "answer"."""
    text = " ".join(prompt.partition("<text>")[2].partition("</text>")[0].split())
    sentence = draw(seed, "question", text).choice([part for part in text.split(". ") if part] or ["Nothing"])
    words = sentence.rstrip(".").split()
    cut = max(len(words) - 3, 1)
    question = f"How does this go on: {' '.join(words[:cut])} …?"
    return json.dumps({"question": question, "answer": " ".join(words[cut:])}, ensure_ascii=False)


def _letter(model: SimulatedModel, query: Query, margin: float, rng: random.Random) -> str:
    wrong = [letter for letter in query.letters or "ABCD" if letter != query.reference]
    letter = query.reference if margin > 0 else rng.choice(wrong)
    said = rng.choice(_SAYS["letters"]).format(letter)
    thoughts = " ".join(rng.sample(_SAYS["prose"], min(model.verbosity - 1, len(_SAYS["prose"]))))
    return f"{thoughts}\n{said}".strip()


def _number(model: SimulatedModel, query: Query, margin: float, rng: random.Random) -> str:
    number = query.reference
    if margin <= 0:
        value = float(number.replace(",", "").strip("$ ") or 0)
        number = f"{value + rng.choice((-2, -1, 1, 10)):g}"
    return " ".join([*_SAYS["steps"][: model.verbosity], rng.choice(_SAYS["numbers"]).format(number)])


def _open(model: SimulatedModel, query: Query, margin: float, rng: random.Random) -> str:
    quality = min(max(round(6 + 8 * margin), 1), 10)
    sentences = rng.sample(_SAYS["prose"], min(1 + model.verbosity, len(_SAYS["prose"])))
    known = [query.reference] if query.reference and margin > 0 else []
    return "\n".join([*known, " ".join(sentences), f"[draft quality {quality}/10]"])


_SAY = {"letter": _letter, "number": _number, "judge": _open}
