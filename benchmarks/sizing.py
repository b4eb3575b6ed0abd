"""How many users a cascade holds: a closed queueing model, its simulation, and a measured check.

    python benchmarks/sizing.py check [--seconds 20] [--clients 1 8 32]
    python benchmarks/sizing.py predict --users 100 1000 10000 --devices 8 --think 60 \\
        --alpha 0.7 --beta 0.7 --turns 2.5 --screen 0.03,0.004 --draft 0.02,0.002 --agent 0.4,0.03

A phase `a,b` is the time of one batch: a seconds and b more for each question in it. `check` fits
these on the embedded pair, then lets clients that never think ask it, and sets what was measured
beside what the model says. docs/sizing.md explains both.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import os
import platform
import random
import statistics
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from speceyes_cli.core.chat import Role
from speceyes_cli.core.scheduling.batching import Waiting, next_batch

if TYPE_CHECKING:
    from speceyes_cli.serve.queue import RequestQueue
    from speceyes_cli.serve.service import Service

PHASES = ("screen", "draft", "agent")


@dataclass(frozen=True)
class Cost:
    """Seconds of a batch of n: fixed + each * n."""

    fixed: float
    each: float

    def batch(self, size: int) -> float:
        return self.fixed + self.each * size


@dataclass(frozen=True)
class Cascade:
    """The decision's rates, and what its phases cost."""

    alpha: float
    beta: float
    turns: Sequence[int]
    """Turns of agent loops, drawn from with equal chance."""
    costs: Mapping[str, Cost]
    batch: int = 8

    def visits(self) -> dict[str, float]:
        agent = (1 - self.alpha * self.beta) * statistics.mean(self.turns)
        return {"screen": 1.0, "draft": self.beta, "agent": agent}

    def draw(self, chance: random.Random) -> deque[str]:
        """The phases of one question."""
        passed = chance.random() < self.beta
        phases = ["screen", "draft"] if passed else ["screen"]
        if not passed or chance.random() >= self.alpha:
            phases += ["agent"] * chance.choice(self.turns)
        return deque(phases)

    def work(self, batch: int) -> float:
        """Device seconds of one question when every batch has this size."""
        return sum(n * self.costs[p].batch(batch) / batch for p, n in self.visits().items())


@dataclass(frozen=True)
class Load:
    """Who asks, and what answers."""

    users: int
    think: float
    """Mean seconds between an answer and the next question."""
    devices: int = 1
    window: int = 32
    """Questions alive at once on each device."""


@dataclass
class Figures:
    rate: float
    """Answers a second."""
    latencies: list[float] = field(repr=False)

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def bounds(cascade: Cascade, load: Load) -> tuple[float, float]:
    """Most answers a second and least mean latency (asymptotic bounds of a closed network)."""
    alone, full = cascade.work(1), cascade.work(cascade.batch)
    rate = min(load.users / (alone + load.think), load.devices / full)
    return rate, max(alone, load.users * full / load.devices - load.think)


@dataclass(eq=False)
class Question:
    asked: float
    plan: deque[str]
    age: int = 0
    turn: int = 0
    """Turns of the agent that are done."""
    overtaken: int = 0


class Device:
    """One scheduler: a window of live questions, batched by its own rule."""

    def __init__(self, cascade: Cascade, window: int) -> None:
        self.cascade, self.window = cascade, window
        self.queue: deque[Question] = deque()
        self.live = 0
        self.ready: list[Question] = []
        self.busy = False

    def admit(self) -> None:
        while self.queue and self.live < self.window:
            question = self.queue.popleft()
            self.live += 1
            self.ready.append(question)

    def finish(self, batch: Sequence[Question]) -> list[Question]:
        """A batch is done: its questions go on to their next phase, or are given back."""
        self.busy = False
        for question in batch:
            question.turn += question.plan.popleft() == "agent"
            question.overtaken = 0
            if question.plan:
                self.ready.append(question)
        ended = [question for question in batch if not question.plan]
        self.live -= len(ended)
        return ended

    def next_batch(self) -> tuple[list[Question], float] | None:
        self.admit()
        if self.busy or not self.ready:
            return None
        self.ready.sort(key=lambda question: question.age)
        role: Role = "large"  # the roles share a device, so one name does for both
        most = {role: self.cascade.batch}
        waiting = [
            Waiting(role, q.plan[0], q.turn, alone=False, overtaken=q.overtaken) for q in self.ready
        ]
        batch = [self.ready[place] for place in next_batch(waiting, most)]
        self.ready = [question for question in self.ready if question not in batch]
        for question in self.ready:
            question.overtaken += 1
        return batch, self.cascade.costs[batch[0].plan[0]].batch(len(batch))


def simulate(cascade: Cascade, load: Load, seconds: float, seed: int = 0) -> Figures:
    """Discrete events, the first fifth of the time thrown away as warm-up."""
    chance, numbers = random.Random(seed), itertools.count()  # noqa: S311 - a seed must repeat it
    devices = [Device(cascade, load.window) for _ in range(load.devices)]
    events: list[tuple[float, int, Any]] = []
    latencies: list[float] = []
    warm = seconds / 5

    def pause() -> float:
        return chance.expovariate(1 / load.think) if load.think else 0.0

    def start(device: Device, now: float) -> None:
        found = device.next_batch()
        if found:
            device.busy = True
            heapq.heappush(events, (now + found[1], next(numbers), (device, found[0])))

    for _ in range(load.users):
        heapq.heappush(events, (pause(), next(numbers), None))
    while events and events[0][0] < seconds:
        now, number, what = heapq.heappop(events)
        if what is None:
            device = min(devices, key=lambda d: d.live + len(d.queue))
            device.queue.append(Question(now, cascade.draw(chance), number))
        else:
            device, batch = what
            for question in device.finish(batch):
                if now >= warm:
                    latencies.append(now - question.asked)
                heapq.heappush(events, (now + pause(), next(numbers), None))
        start(device, now)
    return Figures(len(latencies) / (seconds - warm), latencies)


class Timed:
    """An engine that notes the phase, size and seconds of each batch."""

    def __init__(self, engine: Any, notes: list[tuple[str, int, float]]) -> None:
        self._engine, self._notes = engine, notes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def generate(self, asks: Sequence[Any]) -> Any:
        began = time.perf_counter()
        replies = self._engine.generate(asks)
        self._notes.append((asks[0].phase, len(asks), time.perf_counter() - began))
        return replies


def fit(notes: Sequence[tuple[str, int, float]], phase: str) -> Cost:
    """Least squares over the batches of a phase; never negative."""
    points = [(n, seconds) for found, n, seconds in notes if found == phase]
    if not points:
        return Cost(0.0, 0.0)
    sizes, times = zip(*points, strict=True)
    if len(set(sizes)) == 1:
        return Cost(statistics.mean(times), 0.0)
    each = max(0.0, statistics.linear_regression(sizes, times).slope)
    return Cost(max(0.0, statistics.mean(times) - each * statistics.mean(sizes)), each)


def ask_for(
    desk: RequestQueue, service: Service, samples: Sequence[Any], clients: int, seconds: float
) -> Figures:
    """Clients that never think, for a while; the first fifth is thrown away."""
    numbers, latencies = itertools.count(), list[float]()
    records: list[Any] = []
    began = time.perf_counter()
    end, warm = began + seconds, began + seconds / 5

    def client() -> None:
        from dataclasses import replace

        while (now := time.perf_counter()) < end:
            number = next(numbers)
            sample = replace(samples[number % len(samples)], id=f"q{number}")
            start = partial(service.start, sample, service.gate)
            answered = desk.submit(sample, service.gate, start).result()
            records.append(answered.record)
            if warm <= time.perf_counter() < end:
                latencies.append(time.perf_counter() - now)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    figures = Figures(len(latencies) / (end - warm), latencies)
    figures.records = records  # type: ignore[attr-defined]
    return figures


def learn(notes: Sequence[tuple[str, int, float]], records: Sequence[Any], batch: int) -> Cascade:
    """The cascade's rates and costs as they were measured."""
    screened = [r for r in records if r.passed_screen is not None]
    drafted = [r for r in records if r.draft is not None]
    turns = [len(r.details["turns"]) for r in records if r.details.get("turns")]
    return Cascade(
        alpha=sum(r.draft.accepted for r in drafted) / max(1, len(drafted)),
        beta=sum(r.passed_screen for r in screened) / max(1, len(screened)),
        turns=turns or [1],
        costs={phase: fit(notes, phase) for phase in PHASES},
        batch=batch,
    )


def check(options: argparse.Namespace) -> None:
    """Fit the model at one number of clients, and try it at others."""
    from speceyes_cli.host.manager import build_host
    from speceyes_cli.host.planning.models import close_engines, load_engines
    from speceyes_cli.host.specs import DataSource
    from speceyes_cli.serve.plan import ServeOptions, plan_service
    from speceyes_cli.serve.queue import RequestQueue

    host = build_host()
    plan = plan_service(ServeOptions(batch_size=options.batch), host)
    notes: list[tuple[str, int, float]] = []
    loaded = load_engines(plan.loads, lambda line: print(line, file=sys.stderr))
    engines: dict[Any, Any] = {role: Timed(engine, notes) for role, engine in loaded.items()}
    dataset = host.datasets.get("needle")
    rows = dataset.open(dataset.splits[0], DataSource())
    samples = list(itertools.islice(rows, 200))
    desk = RequestQueue(plan.service, engines)
    window = desk.capacity - plan.service.limits.waiting
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; embedded pair")
    try:
        records: list[Any] = []
        for clients in (1, 4, window):  # to fit on: batches of every size
            records += ask_for(desk, plan.service, samples, clients, options.seconds).records  # type: ignore[attr-defined]
        cascade = learn(notes, records, options.batch)
        print(f"fitted: alpha {cascade.alpha:.3f}, beta {cascade.beta:.3f}, ", end="")
        print(f"turns {statistics.mean(cascade.turns):.2f}; {len(records)} questions")
        for phase, cost in cascade.costs.items():
            print(f"  {phase}: {1000 * cost.fixed:.1f} ms + {1000 * cost.each:.1f} ms each")
        print(
            "clients | answers/s measured, simulated, bound | p50 s | p95 s (measured, simulated)"
        )
        for clients in options.clients:
            real = ask_for(desk, plan.service, samples, clients, options.seconds)
            load = Load(clients, 0.0, window=window)
            told = simulate(cascade, load, max(60.0, options.seconds))
            print(
                f"{clients:7} | {real.rate:.2f}, {told.rate:.2f}, {bounds(cascade, load)[0]:.2f}"
                f" | {real.percentile(0.5):.2f}, {told.percentile(0.5):.2f}"
                f" | {real.percentile(0.95):.2f}, {told.percentile(0.95):.2f}"
                f" | simulated / measured rate {told.rate / max(real.rate, 1e-9):.2f}"
            )
    finally:
        desk.close(60)
        close_engines(loaded)


def predict(options: argparse.Namespace) -> None:
    """The simulation and the bounds for numbers of users."""
    low = int(options.turns)
    share = round(100 * (options.turns - low))
    turns = [low] * (100 - share) + [low + 1] * share
    costs = {phase: Cost(*map(float, getattr(options, phase).split(","))) for phase in PHASES}
    cascade = Cascade(options.alpha, options.beta, turns, costs, options.batch)
    print(f"device seconds a question: {cascade.work(1):.3f} alone, ", end="")
    print(f"{cascade.work(options.batch):.3f} in batches of {options.batch}")
    print("  users | answers/s (most) | mean s (least) | p95 s")
    for users in options.users:
        load = Load(users, options.think, options.devices, 4 * options.batch)
        told = simulate(cascade, load, options.seconds)
        most, least = bounds(cascade, load)
        mean = statistics.mean(told.latencies) if told.latencies else float("nan")
        row = f"{users:7} | {told.rate:.2f} ({most:.2f}) | {mean:.2f} ({least:.2f})"
        print(f"{row} | {told.percentile(0.95):.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    checking = commands.add_parser("check", help="fit and check on the embedded pair")
    checking.add_argument("--seconds", type=float, default=20.0)
    checking.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    predicting = commands.add_parser("predict", help="simulate a deployment")
    predicting.add_argument("--users", type=int, nargs="+", default=[100, 1_000, 10_000])
    predicting.add_argument("--devices", type=int, default=1)
    predicting.add_argument("--think", type=float, default=60.0)
    predicting.add_argument("--alpha", type=float, required=True)
    predicting.add_argument("--beta", type=float, required=True)
    predicting.add_argument("--turns", type=float, required=True)
    for phase in PHASES:
        predicting.add_argument(f"--{phase}", required=True, metavar="A,B")
    predicting.add_argument("--seconds", type=float, default=600.0, help="simulated time")
    for command in (checking, predicting):
        command.add_argument("--batch", type=int, default=8)
    options = parser.parse_args()
    print(f"python {' '.join(sys.argv)}")
    {"check": check, "predict": predict}[options.command](options)


if __name__ == "__main__":
    main()
