"""Ask every model every query: only what is missing, within a budget, recorded as it comes.

Each model has as many workers (threads) as its card allows calls at once. A worker takes a query, asks its
missing turns one after the other, and commits each answer before it goes on.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from tqdm import tqdm

from rb_support.construct.budget import Budget, BudgetReached
from rb_support.construct.client import Connection, Reply, connect
from rb_support.construct.errors import CallError, ConstructError, TryAgain
from rb_support.construct.plan import Plan, missing_turns, plan, worst_usd
from rb_support.construct.records import Answer, Key, Messages, Model, Parameters, Query, key_of
from rb_support.construct.store import Store, now
from rb_support.construct.tokens import estimate, estimate_prompt

__all__ = ["Failure", "Plan", "Policy", "Summary", "plan", "run"]


@dataclass(frozen=True)
class Policy:
    """What is done about attempts that fail in a way that may pass.

    Attributes
    ----------
    attempts : how often a call is tried in all.
    first_wait_s : seconds before the second attempt; they double with each one, and vary by half.
    longest_wait_s : no longer than this; an endpoint that asks for more is given up.
    timeout_s : seconds of silence after which an attempt has failed.
    seed : of the variation of waits.
    in_a_row : so many calls without an answer one after the other, and a model is asked no more in this run.
    """

    attempts: int = 6
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    timeout_s: float = 120.0
    seed: int = 0
    in_a_row: int = 20

    def wait_s(self, key: Key, attempt: int, asked_s: float) -> float:
        """Seconds to wait after an attempt (from 1): at least what the endpoint asked for.

        >>> key = Key("small", "gsm8k.test.1", 0, "")
        >>> 0.5 <= Policy().wait_s(key, 1, 0) <= 1.5, Policy().wait_s(key, 1, 7)
        (True, 7)
        """
        vary = random.Random(f"{self.seed}|{key}|{attempt}").uniform(0.5, 1.5)
        return max(min(self.first_wait_s * 2 ** (attempt - 1) * vary, self.longest_wait_s), asked_s)


@dataclass(frozen=True)
class Failure:
    """A call that was given up, and why; the next run tries it again."""

    key: Key
    reason: str


@dataclass(frozen=True)
class Summary:
    """How a run went.

    Attributes
    ----------
    state : "done", "failed" (some calls were given up) or "budget" (it stopped before the budget's end).
    message : the same in a sentence.
    answers : answers recorded.
    attempts : requests sent.
    retries : attempts that failed in a way that may pass, by kind.
    failures : calls that were given up.
    spent_usd : USD of this run: answers, and the most of calls that may be on the bill.
    total_usd : the same of all runs on the store.
    seconds : how long it took.
    """

    state: str
    message: str
    answers: int
    attempts: int
    retries: dict[str, int]
    failures: tuple[Failure, ...]
    spent_usd: float
    total_usd: float
    seconds: float


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
    budget_usd : USD that the store may cost in all, earlier runs included; None for any amount.
    policy : about repeated attempts; the usual one if None.
    progress : show a bar per model on stderr.

    Raises
    ------
    StoreBusyError : if another run is writing the store.
    StoreError : if an answer cannot be written; the run stops.
    ConstructError : if two models have one name, or the budget is no amount.
    KeyboardInterrupt : on Ctrl-C, after the calls in flight have been recorded.
    """
    _refuse(models, budget_usd)
    queries = list(dict.fromkeys(queries))
    with store.held():
        store.put_queries(queries)
        store.put_models(models)
        work = _Run(
            store, parameters or Parameters(), policy or Policy(), Budget(budget_usd, store.spent_usd())
        )
        return work.go(queries, models, progress)


def _refuse(models: Sequence[Model], budget_usd: float | None) -> None:
    repeated = [name for name, count in Counter(model.name for model in models).items() if count > 1]
    if repeated:
        raise ConstructError(f"two models are called {repeated[0]!r}; give each a name of its own")
    if budget_usd is not None and not budget_usd >= 0:
        raise ConstructError(f"the budget is {budget_usd} USD; give 0 or more")


@dataclass
class _Run:
    store: Store
    parameters: Parameters
    policy: Policy
    budget: Budget
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    answers: int = 0
    attempts: int = 0
    retries: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    in_a_row: Counter[str] = field(default_factory=Counter)
    short_usd: float | None = None
    error: BaseException | None = None

    def go(self, queries: Sequence[Query], models: Sequence[Model], progress: bool) -> Summary:
        """Do all the work; the store is held."""
        began, spent = time.perf_counter(), self.budget.spent_usd
        number = self.store.start_run(self.parameters, self.budget.limit_usd)
        self.answered = self.store.answered()
        state = "interrupted"
        try:
            with ExitStack() as stack:
                self._wait(self._start(queries, models, progress, stack))
            if self.error is not None:
                raise self.error
            state = "budget" if self.short_usd is not None else "failed" if self.failures else "done"
        except ConstructError:
            state = "error"
            raise
        finally:
            self._end(number, state)
        total = self.store.spent_usd()
        return Summary(
            state,
            self._message(state, total),
            self.answers,
            self.attempts,
            dict(self.retries),
            tuple(sorted(self.failures, key=lambda failure: failure.key)),
            total - spent,
            total,
            time.perf_counter() - began,
        )

    def _end(self, number: int, state: str) -> None:
        if state != "error":  # a store that could not be written is left as it is
            self.store.end_run(number, state)

    def _message(self, state: str, total: float) -> str:
        if state == "budget":
            spent = f"${total:.6f} of ${self.budget.limit_usd:.6f} are spent"
            more = f"the next call may cost ${self.short_usd:.6f}; raise the budget to go on"
            return f"stopped within the budget: {spent}, and {more}"
        if state == "failed":
            first = self.failures[0].reason
            return f"{len(self.failures)} calls were given up, such as: {first}; run again to retry them"
        return f"all is answered; ${total:.6f} spent in all"

    # Workers

    def _start(
        self, queries: Sequence[Query], models: Sequence[Model], progress: bool, stack: ExitStack
    ) -> list[threading.Thread]:
        threads = []
        for model in models:
            missing = [len(list(missing_turns(model, q, self.answered, self.parameters))) for q in queries]
            jobs = [query for query, turns in zip(queries, missing, strict=True) if turns]
            bar = stack.enter_context(
                tqdm(total=sum(missing), desc=model.name, unit="call", disable=not progress)
            )
            source = _Jobs(jobs)
            for _ in range(min(model.concurrency, len(jobs))):
                threads.append(threading.Thread(target=self._work, args=(model, source, bar), daemon=True))
        for thread in threads:
            thread.start()
        return threads

    def _wait(self, threads: Sequence[threading.Thread]) -> None:
        try:
            self._join(threads)
        except KeyboardInterrupt:
            self.stop.set()
            self._join(threads)  # calls in flight are paid for: record them
            raise

    def _join(self, threads: Sequence[threading.Thread]) -> None:
        for thread in threads:
            while thread.is_alive():
                thread.join(timeout=0.5)

    def _work(self, model: Model, jobs: _Jobs, bar: tqdm[None]) -> None:
        connection = connect(model, self.policy.timeout_s)
        try:
            for query in jobs:
                if self.stop.is_set():
                    return
                self._ask_turns(model, query, connection, bar)
        except BudgetReached as reached:
            self.short_usd = reached.usd
            self.stop.set()
        except BaseException as error:  # told to the caller, in whose thread it is raised again
            self.error = self.error or error
            self.stop.set()
        finally:
            connection.close()

    def _ask_turns(self, model: Model, query: Query, connection: Connection, bar: tqdm[None]) -> None:
        said: list[str] = []
        for turn in range(len(query.turns)):
            key = key_of(model, query, turn, self.parameters)
            if key in self.answered:
                answer = self.store.answer(key)
            else:
                answer = self._try(model, query.conversation(said), key, connection)
                with self.lock:
                    bar.update()
            if answer is None:
                return
            said.append(answer.text)

    def _try(self, model: Model, messages: Messages, key: Key, connection: Connection) -> Answer | None:
        """Answer to one call, recorded; None if it was given up, which is recorded too, or the run stops."""
        try:
            if model.name in self.refused:
                raise CallError(self.refused[model.name])
            return self._attempts(model, messages, key, connection)
        except CallError as error:
            self._give_up(key, error)
            return None

    def _attempts(self, model: Model, messages: Messages, key: Key, connection: Connection) -> Answer | None:
        for attempt in range(1, self.policy.attempts + 1):
            if self.stop.is_set():
                return None
            try:
                return self._attempt(model, messages, key, connection, attempt)
            except TryAgain as again:
                with self.lock:
                    self.retries[again.kind] += 1
                self._pause(model, key, attempt, again)
        return None

    def _pause(self, model: Model, key: Key, attempt: int, again: TryAgain) -> None:
        if attempt == self.policy.attempts:
            raise self._no_answer(model, attempt, again)
        if again.wait_s > self.policy.longest_wait_s:
            raise CallError(
                f"{model.name}: the endpoint asks to wait {again.wait_s:.0f} s; run again after that"
            )
        self.stop.wait(self.policy.wait_s(key, attempt, again.wait_s))

    def _no_answer(self, model: Model, attempt: int, again: TryAgain) -> CallError:
        """Error of a call that was tried often enough; of the whole model if many have ended so in a row."""
        with self.lock:
            self.in_a_row[model.name] += 1
            calls = self.in_a_row[model.name]
        message = f"{model.name}: no answer after {attempt} attempts, the last ended with: {again.kind}"
        if calls < self.policy.in_a_row:
            return CallError(message)
        return CallError(f"{message}; so it was with {calls} calls in a row", whole_model=True)

    def _attempt(
        self, model: Model, messages: Messages, key: Key, connection: Connection, attempt: int
    ) -> Answer:
        most = worst_usd(model, messages, self.parameters)
        self.budget.reserve(most)
        spent = most  # until it is known better
        try:
            charge = self.store.charge(key, most)
            try:
                answer = self._exchange(model, messages, key, connection, attempt)
            except (TryAgain, CallError) as error:
                spent = self._unanswered(charge, most, error)
                raise
            self.store.put_answer(answer, charge)
            spent = answer.cost_usd
        finally:
            self.budget.settle(most, spent)
        with self.lock:
            self.answers += 1
            self.in_a_row[model.name] = 0
        return answer

    def _unanswered(self, charge: int, most: float, error: TryAgain | CallError) -> float:
        """Keep or take back the charge of an attempt without an answer; what it cost at most."""
        if isinstance(error, TryAgain) and error.billed:
            self.store.keep_charge(charge, error.kind)
            return most
        self.store.refund(charge)
        return 0.0

    def _exchange(
        self, model: Model, messages: Messages, key: Key, connection: Connection, attempt: int
    ) -> Answer:
        with self.lock:
            self.attempts += 1
        asked_at, began = now(), time.perf_counter()
        reply = connection.ask(messages, self.parameters)
        return _answer(model, messages, key, reply, asked_at, time.perf_counter() - began, attempt)

    def _give_up(self, key: Key, error: CallError) -> None:
        self.store.put_failure(key, str(error))
        with self.lock:
            self.failures.append(Failure(key, str(error)))
            if error.whole_model:
                self.refused[key.model] = str(error)


class _Jobs:
    """Queries that several workers take turns at."""

    def __init__(self, queries: Sequence[Query]) -> None:
        self._queries = iter(queries)
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[Query]:
        return self

    def __next__(self) -> Query:
        with self._lock:
            return next(self._queries)


def _answer(
    model: Model, messages: Messages, key: Key, reply: Reply, asked_at: str, latency_s: float, attempt: int
) -> Answer:
    prompt, said = reply.prompt_tokens, reply.answer_tokens
    estimated = prompt is None or said is None
    prompt = estimate_prompt(messages) if prompt is None else prompt
    said = estimate(reply.text) if said is None else said
    return Answer(
        *key,
        text=reply.text,
        prompt_tokens=prompt,
        answer_tokens=said,
        tokens_estimated=estimated,
        latency_s=latency_s,
        cost_usd=model.cost(prompt, said),
        finish_reason=reply.finish_reason,
        asked_at=asked_at,
        attempts=attempt,
        raw=reply.raw,
    )
