"""How much faster judging many answers at once is than one by one, on a local endpoint.

    python benchmarks/judge_throughput.py --samples 1000

The endpoint takes 50 ms an answer, in a process of its own. Both sides are the real judge over a
real run folder, verdicts kept on disk as they come; only `--concurrency` differs. The time is that
of judging, after the server has been found.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

ANSWER_SECONDS = 0.05
REPLY = json.dumps(
    {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "judge",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "1"},
            }
        ],
    }
).encode()
MODELS = b'{"object": "list", "data": [{"id": "judge", "object": "model"}]}'


def serve(ports: multiprocessing.Queue[int]) -> None:
    """The endpoint, for ever."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                body = MODELS
                if b"content-length:" in head:
                    length = head.split(b"content-length:")[1].split(b"\r\n")[0]
                    await reader.readexactly(int(length))
                    await asyncio.sleep(ANSWER_SECONDS)
                    body = REPLY
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                    b"content-length: %d\r\n\r\n" % len(body) + body
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        ports.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


@contextmanager
def endpoint() -> Iterator[str]:
    """The address of the running endpoint."""
    ports: multiprocessing.Queue[int] = multiprocessing.Queue()
    process = multiprocessing.Process(target=serve, args=(ports,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ports.get()}/v1"
    finally:
        process.terminate()
        process.join()


def make_run(folder: Path, samples: int) -> Path:
    """A run whose answers no rule can judge, each different."""
    from speceyes_cli.core.chat import Answer, Picture
    from speceyes_cli.core.gate.decision import Gate
    from speceyes_cli.core.gate.scores import min_score
    from speceyes_cli.core.run.record_builder import build_record
    from speceyes_cli.core.run.store import open_store
    from speceyes_cli.core.samples import Sample
    from speceyes_cli.core.scheduling.trajectories import Finished
    from speceyes_cli.host.manager import build_host
    from speceyes_cli.host.planning.options import RunOptions
    from speceyes_cli.host.planning.plans import plan_run

    picture = folder / "dot.png"
    Image.new("RGB", (32, 32)).save(picture)
    data = folder / "one.jsonl"
    data.write_text('{"image": "dot.png", "question": "?", "answer": "a fox"}\n')
    options = RunOptions(dataset="jsonl", data=str(data), method="draft")
    info = plan_run(options, (), build_host()).info
    with open_store(folder / "run", info, "fresh") as store:
        for number in range(samples):
            sample = Sample(
                id=str(number),
                split=info.config.splits[0],
                picture=Picture("dot", lambda: Image.open(picture)),
                question=f"What animal is number {number}?",
                answer="a fox",
            )
            said = Answer(f"the red one, number {number}", "small")
            finished = Finished(f"q/{number}", said, None, None, (), 0.0)
            gate = Gate("min", min_score)
            store.add(build_record(sample, number, finished, gate, None))
    return folder / "run"


def measure(run: Path, url: str, concurrency: int) -> float:
    """Seconds to judge every answer of the run."""
    from speceyes_judges.llm.judge import LlmJudge

    from speceyes_cli.core.judging.judging import judge_claims, open_judging
    from speceyes_cli.host.specs import JudgeOptions

    cache = run.parent / f"cache-{time.time_ns()}.sqlite"
    judge = LlmJudge(JudgeOptions(api_url=url, concurrency=concurrency, cache=cache))
    with open_judging(run) as judging:
        judging.forget()
        claims = judging.claims()
        judging.bind(judge.prepare(claims))
        began = time.perf_counter()
        judge_claims(judging, judge, claims, lambda _judged: None)
        took = time.perf_counter() - began
        assert len(judging.verdicts) == len(claims)
        assert {note.provenance for note in judging.verdicts.values()} == {"llm"}
    judge.close()
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=1_000)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, endpoint() as url:
        run = make_run(Path(folder), arguments.samples)
        together = [measure(run, url, arguments.concurrency) for _ in range(arguments.repeats)]
        alone = measure(run, url, 1)
    print("python", *sys.argv)
    print(f"{platform.processor() or platform.machine()}, {len(os.sched_getaffinity(0))} cores")
    print(f"one by one: {alone:.2f} s for {arguments.samples} answers")
    spread = f"{min(together):.2f} to {max(together):.2f}"
    middle = statistics.median(together)
    print(f"{arguments.concurrency} at once: {middle:.2f} s ({spread}, {len(together)} repeats)")
    print(
        f"ratio: {alone / middle:.1f} ({alone / max(together):.1f} to {alone / min(together):.1f})"
    )


if __name__ == "__main__":
    main()
