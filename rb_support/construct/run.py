"""Ask every model every query: only what is missing, within a budget, recorded as it comes.

Each model has as many workers (tasks of one event loop) as its card allows calls at once. A worker takes a
query, asks its missing turns one after the other, and commits each answer before it goes on.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple, NoReturn

from tqdm import tqdm

from rb_support.construct.client import Connection
from rb_support.construct.models import refuse_namesakes
from rb_support.construct.plan import missing_turns, worst_usd
from rb_support.construct.records import (
    Answer,
    CallError,
    ConstructError,
    Key,
    Messages,
    Model,
    Parameters,
    Query,
    TryAgain,
    key_of,
)
from rb_support.construct.store import Store, now
from rb_support.visible import visible

SLACK = 1e-12
"""Dollars by which sums may be off; far below the price of a token."""


_WITHOUT_TEXT, _AT_MOST = {"empty", "error"}, 3
"""Kinds of whole answers without a text, which are paid for all the same, and how often these are tried."""


class BudgetReached(Exception):
    """No call fits into the budget any more; says the most that the next one may cost."""


def may_start(worst_usd: float, spent_usd: float, reserved_usd: Sequence[float], limit_usd: float) -> bool:
    """Whether a call fits into a hard budget, whatever it and those in flight will turn out to cost.

    Parameters
    ----------
    worst_usd : most that the call can cost.
    spent_usd : USD that are spent already.
    reserved_usd : most that each call in flight can cost.
    limit_usd : the budget; a call that would use up its last cent fits.

    >>> may_start(0.25, 0.5, [0.125, 0.125], 1.0), may_start(0.25, 0.5, [0.25, 0.125], 1.0)
    (True, False)
    """
    return spent_usd + sum(reserved_usd) + worst_usd <= limit_usd + SLACK


class Budget:
    """What many workers have spent and may have in flight, never more than a limit together.

    Parameters
    ----------
    limit_usd : USD that may be spent; None for any amount.
    spent_usd : USD that are spent already.
    """

    def __init__(self, limit_usd: float | None, spent_usd: float = 0.0) -> None:
        self.limit_usd, self.spent_usd = limit_usd, spent_usd
        self.reserved: list[float] = []
        self._settled = asyncio.Event()

    async def reserve(self, usd: float) -> None:
        """Set the most that a call can cost aside; waits while calls in flight may still make room.

        Raises
        ------
        BudgetReached : if it does not fit and nothing is in flight.
        """
        limit = float("inf") if self.limit_usd is None else self.limit_usd
        while not may_start(usd, self.spent_usd, self.reserved, limit):
            if not self.reserved:
                raise BudgetReached(f"the next call may cost ${usd:.6f}")
            await self._settled.wait()
        self.reserved.append(usd)

    def settle(self, reserved_usd: float, spent_usd: float) -> None:
        """Take back what was set aside for a call, and count what it cost."""
        self.reserved.remove(reserved_usd)
        self.spent_usd += spent_usd
        self._settled.set()
        self._settled = asyncio.Event()


@dataclass(frozen=True)
class Policy:
    """What is done about attempts that fail in a way that may pass.

    Attributes
    ----------
    attempts : how often a call is tried in all; up to 3 times if whole answers come without a text.
    first_wait_s : seconds before the second attempt; they double with each one, and vary by half.
    longest_wait_s : no longer than this; an endpoint that asks for more is given up.
    timeout_s : seconds that an attempt may take in all.
    in_a_row : so many calls without an answer one after the other, and a model is asked no more in this run.
    """

    attempts: int = 6
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    timeout_s: float = 120.0
    in_a_row: int = 20

    def wait_s(self, key: Key, attempt: int, asked_s: float) -> float:
        """Seconds to wait after an attempt (from 1): at least what the endpoint asked for.

        >>> key = Key("small", "gsm8k.test.1", 0, "")
        >>> 0.5 <= Policy().wait_s(key, 1, 0) <= 1.5, Policy().wait_s(key, 1, 7)
        (True, 7)
        """
        vary = random.Random(f"0|{key}|{attempt}").uniform(0.5, 1.5)
        return max(min(self.first_wait_s * 2 ** (attempt - 1) * vary, self.longest_wait_s), asked_s)


class Failure(NamedTuple):
    """A call that was given up, and why; the next run tries it again."""

    key: Key
    reason: str


@dataclass
class Summary:
    """How a run goes; its workers count.

    Attributes
    ----------
    state : "done", "failed" (some calls were given up), "budget" (it stopped before the budget's end) or
        "interrupted".
    message : the same in a sentence.
    answers : answers recorded.
    attempts : requests sent.
    retries : attempts that failed in a way that may pass, by kind.
    failures : calls that were given up.
    spent_usd : USD of this run: answers, and the most of calls that may be on the bill.
    total_usd : the same of all runs on the store.
    seconds : how long it took.
    """

    state: str = "interrupted"
    message: str = ""
    answers: int = 0
    attempts: int = 0
    retries: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    spent_usd: float = 0.0
    total_usd: float = 0.0
    seconds: float = 0.0


def run(
    queries: Sequence[Query],
    models: Sequence[Model],
    store: Store,
    parameters: Parameters | None = None,
    *,
    budget_usd: float | None = None,
    policy: Policy | None = None,
    progress: bool = True,
) -> Summary:
    """Ask what is missing in the store; blocks until all is asked or the budget is reached.

    Parameters
    ----------
    queries, models : every query is for every model.
    store : where answers go.
    parameters : how models are asked; the usual ones if None.
    budget_usd : USD that the store may cost in all, earlier runs included; None for any amount. No call is
        sent whose worst case (`plan.worst_usd`) does not fit, and a call that may be on the bill counts with
        its worst case until its cost is told. Only a model that bills more than that can exceed it: it is
        asked no more, and the message names it.
    policy : about repeated attempts; the usual one if None.
    progress : show a bar per model on stderr.

    Raises
    ------
    StoreBusyError : if another run is writing the store.
    StoreError : if an answer cannot be written; the run stops.
    ConstructError : if two models have one name, or budget, parameters or policy are out of range.
    KeyboardInterrupt : on Ctrl-C, after the calls in flight have been recorded; a second one gives them up.
    """
    refuse_namesakes(models)
    if budget_usd is not None and not budget_usd >= 0:
        raise ConstructError(f"the budget is {budget_usd} USD; give 0 or more")
    parameters, policy = parameters or Parameters(), policy or Policy()
    if parameters.max_tokens < 1 or not 0 <= parameters.temperature < math.inf:
        raise ConstructError(f"{parameters} cannot be; give a max_tokens of 1 or more, temperature from 0")
    if policy.attempts < 1 or not 0 < policy.timeout_s < math.inf:
        raise ConstructError(f"{policy} cannot be; give 1 or more attempts, seconds above 0")
    queries = list(dict.fromkeys(queries))
    with store.writing():
        store.put_queries(queries)
        store.put_models(models)
        return _Run(store, parameters, policy, budget_usd).in_a_thread(queries, models, progress)


class _Run:
    """What the workers of all models share."""

    def __init__(
        self, store: Store, parameters: Parameters, policy: Policy, budget_usd: float | None
    ) -> None:
        self.store, self.parameters, self.policy = store, parameters, policy
        self.budget, self.summary = Budget(budget_usd, store.spent_usd()), Summary()
        self.answered = store.answered()
        self.stop = asyncio.Event()
        self.broken: list[str] = []  # on models that have billed more than was reserved

    def in_a_thread(self, queries: Sequence[Query], models: Sequence[Model], progress: bool) -> Summary:
        """`go` in an event loop of its own, as a notebook's thread has one already that cannot be used."""
        loop = asyncio.new_event_loop()
        going = loop.create_task(self.go(queries, models, progress))
        halts, interrupted = iter((self.stop.set, going.cancel)), False
        with ThreadPoolExecutor(1) as thread:
            done = thread.submit(loop.run_until_complete, going)
            while not done.done():
                try:
                    wait([done], timeout=0.5)  # in short waits, which Ctrl-C can end everywhere
                except KeyboardInterrupt:
                    interrupted = True
                    loop.call_soon_threadsafe(next(halts, self.stop.set))
                    calls = f"{len(self.budget.reserved)} calls in flight, which are paid for"
                    tqdm.write(f"waiting for {calls}; Ctrl-C again gives them up", file=sys.stderr)
        loop.close()
        if interrupted:
            raise KeyboardInterrupt from done.exception()
        return done.result()

    async def go(self, queries: Sequence[Query], models: Sequence[Model], progress: bool) -> Summary:
        """Do all the work and tell how it went; the store is held."""
        began, before, told = time.perf_counter(), self.budget.spent_usd, self.summary
        number = self.store.start_run(self.parameters, self.budget.limit_usd)
        try:
            await self._ask_all(queries, models, progress)
            told.state = "interrupted" if self.stop.is_set() else "failed" if told.failures else "done"
        except BudgetReached as reached:
            told.state, told.message = "budget", str(reached)
        finally:
            self.store.end_run(number, told.state)
        told.total_usd = self.store.spent_usd()
        told.spent_usd, told.seconds = told.total_usd - before, time.perf_counter() - began
        told.message = ". ".join([self._message(told.message), *self.broken])
        told.failures.sort()
        return told

    def _message(self, reached: str) -> str:
        """How it went, in a sentence; at the budget's end with what the next call may cost."""
        total, limit, failures = self.summary.total_usd, self.budget.limit_usd or 0.0, self.summary.failures
        if self.summary.state == "budget":
            within = "within" if total <= limit + SLACK else "over"
            spent = f"${total:.6f} of ${limit:.6f} are spent, and {reached}"
            return f"stopped {within} the budget: {spent}; raise the budget to go on"
        if self.summary.state == "failed":
            such = failures[0].reason
            return f"{len(failures)} calls were given up, such as: {such}; run again to retry them"
        return f"all is answered; ${total:.6f} spent in all"

    async def _ask_all(self, queries: Sequence[Query], models: Sequence[Model], progress: bool) -> None:
        """Hand every query with missing turns to the workers of each model, and wait for them."""
        workers = []
        async with AsyncExitStack() as stack:
            for model in models:
                turns = {q: [*missing_turns(model, q, self.answered, self.parameters)] for q in queries}
                missing = {query: left for query, left in turns.items() if left}
                if not missing:
                    continue
                name, calls = visible(model.name)[:40], sum(map(len, missing.values()))
                bar = stack.enter_context(tqdm(total=calls, desc=name, unit="call", disable=not progress))
                asked, waiting = _Asked(self, model, bar), iter(missing)
                if asked.connection:
                    stack.push_async_callback(asked.connection.close)
                workers += [asked.work(waiting, n > 0) for n in range(min(model.concurrency, len(missing)))]
            for error in await asyncio.gather(*workers, return_exceptions=True):
                if error is not None:
                    raise error


class _Asked:
    """One model of a run, asked by several workers.

    Parameters
    ----------
    run : what they share with those of other models.
    model : whom they ask.
    bar : of progress, one step a call.
    """

    def __init__(self, run: _Run, model: Model, bar: tqdm[NoReturn]) -> None:
        self.run, self.model, self.bar = run, model, bar
        self.in_a_row = 0  # calls without an answer
        self.refused = ""  # why the model is asked no more
        self.tried = asyncio.Event()  # set after the first call, which is sent alone: it may break its limits
        self.connection: Connection | None = None
        try:
            self.connection = Connection(model, run.policy.timeout_s)
        except CallError as error:
            self.refused = str(error)

    async def work(self, waiting: Iterable[Query], later: bool) -> None:
        """Take queries and ask their turns, one after the other, until one has no answer."""
        try:
            if later:
                await self.tried.wait()
            for query in waiting:
                said: list[str] = []
                for turn in range(len(query.turns)):
                    key = key_of(self.model, query, turn, self.run.parameters)
                    if key in self.run.answered:
                        answer = self.run.store.answer(key)
                    else:
                        answer = await self._call(query, said, key)
                        self.bar.update()
                    if answer is None:
                        break
                    said.append(answer.text)
        except BaseException:
            self.run.stop.set()  # calls in flight are paid for: they are still recorded
            self.tried.set()
            raise

    async def _call(self, query: Query, said: Sequence[str], key: Key) -> Answer | None:
        """Answer to one call, recorded; None if it was given up, which is recorded too, or the run stops."""
        run, messages = self.run, query.conversation(said)
        try:
            for attempt in count(1):
                if self.refused or self.connection is None:
                    raise CallError(self.refused)
                try:
                    return await self._attempt(self.connection, messages, query.stop, key, attempt)
                except TryAgain as again:
                    run.summary.retries[again.kind] += 1
                    self._give_up(attempt, again)
                    with suppress(TimeoutError):
                        wait_s = run.policy.wait_s(key, attempt, again.wait_s)
                        await asyncio.wait_for(run.stop.wait(), wait_s)
        except CallError as error:
            run.store.put_failure(key, str(error))
            run.summary.failures.append(Failure(key, str(error)))
            self.refused = str(error) if error.whole_model else self.refused
        finally:
            self.tried.set()
        return None

    async def _attempt(
        self, connection: Connection, messages: Messages, stop: tuple[str, ...], key: Key, attempt: int
    ) -> Answer | None:
        """Charge budget and store with the most that an attempt can cost, send it, record the answer."""
        run, model, spent = self.run, self.model, 0.0
        most, limit = worst_usd(model, messages, run.parameters), run.parameters.max_tokens
        await run.budget.reserve(most)
        try:
            if run.stop.is_set():
                return None
            charge = run.store.charge(key, most)
            spent = most  # until it is known better
            run.summary.attempts += 1
            asked_at, began = now(), time.perf_counter()
            try:
                reply = await connection.ask(messages, run.parameters, stop)
            except (TryAgain, CallError) as error:
                if error.billed:
                    run.store.keep_charge(charge, getattr(error, "kind", "no text"))
                else:
                    run.store.refund(charge)
                    spent = 0.0
                raise
            took_s, counts = time.perf_counter() - began, (reply.prompt_tokens, reply.answer_tokens)
            usd = model.cost(*counts, reply.cached_tokens, reply.reasoning_tokens)
            prices = json.dumps([*model.prices, model.fee_usd_per_request])
            rest: dict[str, Any] = {"latency_s": took_s, "cost_usd": usd, "asked_at": asked_at}
            answer = Answer(**key._asdict(), **vars(reply), **rest, attempts=attempt, prices=prices)
            if answer.tokens_estimated:  # the table gets the guess, the budget the most that it can be
                run.store.keep_charge(run.store.charge(key, max(most - usd, 0.0)), "tokens not told")
            else:
                spent = usd
            run.store.put_answer(answer, charge)
        finally:
            run.budget.settle(most, spent)
        run.summary.answers += 1
        self.in_a_row = 0
        if run.budget.limit_usd is not None and usd and (spent > most + SLACK or counts[1] > limit):
            self.refused = (
                f"{model.name}: its endpoint counts {counts[1]} tokens of answer (of at most {limit}), "
                f"{counts[0]} of prompt; no budget can hold with it, so it is asked no more"
            )
            run.broken.append(self.refused)
        return answer

    def _give_up(self, attempt: int, again: TryAgain) -> None:
        """Raise CallError if another attempt is in vain, for all calls if many ended so in a row."""
        policy = self.run.policy
        if attempt == (min(policy.attempts, _AT_MOST) if again.kind in _WITHOUT_TEXT else policy.attempts):
            self.in_a_row += 1
            reason = f"{self.model.name}: no answer after {attempt} attempts, the last ended with: {again}"
            if self.in_a_row < policy.in_a_row:
                raise CallError(reason)
            raise CallError(f"{reason}; so it was with {self.in_a_row} calls in a row", whole_model=True)
        if again.wait_s > policy.longest_wait_s:
            wait = f"the endpoint asks to wait {again.wait_s:.0f} s; run again after that"
            raise CallError(f"{self.model.name}: {wait}")
