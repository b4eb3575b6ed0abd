"""Damage every kind of file that the program reads, over and over, and look for what goes wrong.

    python tests/faults/malformed_inputs.py --count 20000

Genuine files are written once, each by the library that makes such files; a copy is damaged and
read as the program reads it. What may come of it is an answer or one of the program's own errors:
anything else is a traceback. Inputs are read in processes of their own, a hundred to each, which
tell the longest time and the most memory; one that does not come back in time is named.
"""

from __future__ import annotations

import argparse
import functools
import io
import json
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from speceyes_cli.core.errors import SpecEyesError
from speceyes_cli.host.manager import Host, build_host

BATCH = 100
SECONDS = 10
MEMORY = 2 * 2**30
PICTURES = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
SPLICES = (
    *(b"\x00", b"\xff\xfe", b"\r", b"\\ud800", b"NaN", b"1e999", b"-Infinity", b"9" * 5000),
    *(
        b"[" * 3000,
        b'{"a":' * 3000,
        b'"',
        b"\t",
        b"\n\n",
        b"version https://git-lfs.github.com/spec/v1",
    ),
)
"""What is put into a file somewhere."""


class Reader(NamedTuple):
    """One kind of file, and how the program reads it."""

    name: str
    write: Callable[[Path], list[Path]]
    """Write genuine files into a folder; gives those that may be damaged."""
    read: Callable[[Path], None]
    """Read what is in the folder, to its end."""


@functools.cache
def host() -> Host:
    """The program's plugins, found once."""
    return build_host()


def damage(data: bytes, chance: random.Random) -> bytes:
    """The bytes with one to three things wrong."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(out) + 1)
        match chance.randrange(6):
            case 0:
                del out[place:]
            case 1:
                out[place:place] = chance.choice(SPLICES)
            case 2:
                out[place : place + chance.randrange(1, 40)] = chance.randbytes(chance.randrange(9))
            case 3:
                out[place:place] = out[chance.randrange(len(out) + 1) :][:2000]
            case 4 if out:
                for _ in range(chance.choice((1, 8, 64))):
                    out[chance.randrange(len(out))] = chance.randrange(256)
            case _:
                out[place : place + 1] = chance.choice(SPLICES)
    return bytes(out)


def encoded(kind: str = "PNG", side: int = 40) -> bytes:
    out = io.BytesIO()
    Image.effect_noise((side, side), 50).convert("RGB").save(out, kind)
    return out.getvalue()


def write_picture(kind: str) -> Callable[[Path], list[Path]]:
    def write(folder: Path) -> list[Path]:
        (folder / "picture").write_bytes(encoded(kind))
        return [folder / "picture"]

    return write


def read_picture(folder: Path) -> None:
    from speceyes_cli.core.pictures.loading import load_picture  # noqa: PLC0415 - in the reader

    load_picture(folder / "picture", "picture")


def write_jsonl(folder: Path) -> list[Path]:
    (folder / "a.png").write_bytes(encoded())
    rows = [
        {"image": "a.png", "question": "What?", "options": ["x", "y"], "answer": "y", "id": f"{n}"}
        for n in range(4)
    ]
    (folder / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [folder / "q.jsonl", folder / "a.png"]


def write_vstar(folder: Path) -> list[Path]:
    place = folder / "direct_attributes"
    place.mkdir()
    (place / "a.jpg").write_bytes(encoded("JPEG"))
    (place / "a.json").write_text(
        json.dumps(
            {"question": "What?", "options": ["x", "y"], "target_object": ["z"], "bbox": [1]}
        )
    )
    return [place / "a.json", place / "a.jpg"]


def hr_rows() -> dict[str, list[Any]]:
    import base64  # noqa: PLC0415 - in the reader

    names = ("index", "question", "answer", "category", *"ABCD", "cycle_category")
    row = ("0", "What?", "A", "single", "w", "x", "y", "z", "0")
    table: dict[str, list[Any]] = {
        name: [value] * 3 for name, value in zip(names, row, strict=True)
    }
    return table | {"image": [base64.b64encode(encoded(side=200)).decode(), "0", "1"]}


def write_tsv(folder: Path) -> list[Path]:
    table = hr_rows()
    lines = ["\t".join(table), *("\t".join(row) for row in zip(*table.values(), strict=True))]
    (folder / "hr_bench_4k.tsv").write_text("\n".join(lines) + "\n")
    return [folder / "hr_bench_4k.tsv"]


def write_parquet(folder: Path) -> list[Path]:
    pq.write_table(pa.table(hr_rows()), folder / "hr_bench_4k.parquet")
    return [folder / "hr_bench_4k.parquet"]


def read_samples(dataset: str, split: str, order: str = "shuffle:0") -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        from speceyes_cli.core.digests import digest_row  # noqa: PLC0415 - in the reader
        from speceyes_cli.core.errors import PictureError  # noqa: PLC0415 - in the reader
        from speceyes_cli.host.specs import DataSource  # noqa: PLC0415 - in the reader

        spec = host().datasets.get(dataset)
        source = DataSource(str(folder), order)
        spec.check(split, source)
        spec.fingerprint(split, source)
        for sample in spec.open(split, source):
            sample.id.encode()
            digest_row(sample)
            sample.picture.digest()
            try:
                sample.picture.open()
            except PictureError as error:
                str(error).encode()

    return read


def write_run(folder: Path) -> list[Path]:
    """A run of the needle benchmark's first samples, whose pair comes along."""
    from typer.testing import CliRunner  # noqa: PLC0415 - in the reader

    from speceyes_cli.app import build_app  # noqa: PLC0415 - in the reader

    command = ["infer", "--dataset", "needle", "--limit", "2", "--out", str(folder / "run")]
    done = CliRunner().invoke(build_app(host()), command, obj=host())
    assert done.exit_code == 0, done.output
    return [folder / "run" / name for name in ("run.json", "run.sqlite", "records.jsonl")]


def read_run_folder(folder: Path) -> None:
    from speceyes_cli.core.judging.judging import open_judging  # noqa: PLC0415 - in the reader
    from speceyes_cli.host.gathering import find_all, gather_rows, take_latest  # noqa: PLC0415

    gather_rows(find_all([folder]), host(), take_latest)
    with open_judging(folder / "run") as judging:
        judging.claims()


def read_export(folder: Path) -> None:
    (folder / "run" / "run.sqlite").unlink(missing_ok=True)
    read_run_folder(folder)


def write_upstream(folder: Path) -> list[Path]:
    place, judged = folder / "eval_results", folder / "judge_results"
    place.mkdir()
    judged.mkdir()
    stems = [
        f"vstar_direct_attributes_DeepEyes-7B_{rest}"
        for rest in ("baseline_1_None_None", "Qwen3-VL-2B_8_min_0.98")
    ]
    row = {"status": "ok", "judge_tc": "no", "use_model": "small", "confidence_score": 0.99}
    found = [place / "latency_summary.json"]
    found[0].write_text(json.dumps({f"{stem}.jsonl": 30.5 for stem in stems}))
    summary = {"all_acc": 90.0, "small_ratio": 50.0, "all_cnt": 4, "yes_cnt": 2, "no_cnt": 2}
    for stem in stems:
        found += [place / f"{stem}.jsonl", judged / f"{stem}_acc.jsonl"]
        found[-2].write_text((json.dumps(row) + "\n") * 4)
        found[-1].write_text(json.dumps({**summary, "small_tokens": 3.5}, indent=2))
    return found


def read_upstream(folder: Path) -> None:
    from speceyes_cli.host.gathering import find_all, gather_rows, take_latest  # noqa: PLC0415

    gather_rows(find_all([folder / "eval_results"]), host(), take_latest)


def write_certificate_file(folder: Path) -> list[Path]:
    (folder / "certificate.json").write_text('{"kind": "speceyes-threshold-certificate", "n": 1}')
    return [folder / "certificate.json"]


def read_certificate_file(folder: Path) -> None:
    from speceyes_cli.analysis.certificate import read_certificate  # noqa: PLC0415 - in the reader

    read_certificate(folder / "certificate.json")


def write_prompts(folder: Path) -> list[Path]:
    (folder / "own.toml").write_text("picture = 'At {path}, {width} by {height}.'\nscreen = '?'\n")
    return [folder / "own.toml"]


def read_prompts(folder: Path) -> None:
    from speceyes_cli.core.chat import Picture  # noqa: PLC0415 - in the reader
    from speceyes_cli.core.samples import Sample  # noqa: PLC0415 - in the reader
    from speceyes_cli.host.planning.wording import read_prompts_file  # noqa: PLC0415 - in the reader
    from speceyes_cli.host.specs import AgentOptions  # noqa: PLC0415 - in the reader

    sample = Sample("a", "b", Picture("a", lambda: Image.new("RGB", (9, 9))), "?")
    texts = read_prompts_file(folder / "own.toml")
    agent = host().agents.get("thyme").factory(AgentOptions(prompts=texts))
    agent.open(sample)
    agent.screen(sample)


def write_model(folder: Path) -> list[Path]:
    config = {"model_type": "qwen3_vl", "text_config": {"vocab_size": 1000}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    return [folder / "config.json"]


def read_model(folder: Path) -> None:
    from speceyes_cli.host.specs import EngineOptions  # noqa: PLC0415 - in the reader

    spec = next(spec for spec in host().engines if spec.name == "transformers")
    options = EngineOptions(model=str(folder), role="small")
    spec.check(options)
    spec.digest(options)


READERS = (
    *(Reader(kind, write_picture(kind), read_picture) for kind in PICTURES),
    Reader("jsonl", write_jsonl, read_samples("jsonl", "questions")),
    Reader("vstar", write_vstar, read_samples("vstar", "direct_attributes")),
    Reader("tsv", write_tsv, read_samples("hrbench", "hrbench_4k")),
    Reader("parquet", write_parquet, read_samples("hrbench", "hrbench_4k", "dataset")),
    Reader("run", write_run, read_run_folder),
    Reader("export", write_run, read_export),
    Reader("upstream", write_upstream, read_upstream),
    Reader("certificate", write_certificate_file, read_certificate_file),
    Reader("prompts", write_prompts, read_prompts),
    Reader("model", write_model, read_model),
)


def out_of_time(_number: int, _frame: object) -> None:
    """The alarm's handler."""
    raise TimeoutError


def try_some(seed: int, count: int, genuine: Path) -> dict[str, Any]:
    """Read damaged inputs in this process; what went wrong, the longest time, the memory."""
    chance = random.Random(seed)
    wrong: list[str] = []
    longest = 0.0
    signal.signal(signal.SIGALRM, out_of_time)
    for number in range(count):
        reader = chance.choice(READERS)
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "input"
            shutil.copytree(genuine / reader.name, folder)
            files = (genuine / f"{reader.name}.files").read_text().splitlines()
            file = folder / chance.choice(files)
            file.write_bytes(damage(file.read_bytes(), chance))
            began = time.monotonic()
            signal.alarm(2 * SECONDS)
            try:
                reader.read(folder)
            except SpecEyesError:
                pass
            except BaseException:  # noqa: BLE001 - that is what is looked for
                wrong.append(
                    f"{reader.name}, seed {seed}, input {number}: {traceback.format_exc()}"
                )
            finally:
                signal.alarm(0)
            longest = max(longest, time.monotonic() - began)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"wrong": wrong, "seconds": longest, "memory": memory}


def write_genuine(folder: Path) -> None:
    """Every reader's genuine files in a folder of its own, and a list of those to be damaged."""
    for reader in READERS:
        own = folder / reader.name
        own.mkdir()
        files = reader.write(own)
        names = "\n".join(str(file.relative_to(own)) for file in files)
        (folder / f"{reader.name}.files").write_text(names)


def main() -> None:
    """The command line of this script; exit code 1 when anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--some", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.some is not None:
        sys.stdout.write(json.dumps(try_some(arguments.seed, arguments.count, arguments.some)))
        return
    began, wrong, longest, memory = time.monotonic(), list[str](), 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        write_genuine(Path(folder))
        for number in range(-(-arguments.count // BATCH)):
            seed, count = arguments.seed + number, min(BATCH, arguments.count - number * BATCH)
            command = [sys.executable, __file__, "--some", folder, "--seed", str(seed)]
            done = subprocess.run(
                [*command, "--count", str(count)], capture_output=True, text=True, check=False
            )
            if done.returncode:
                wrong.append(f"seed {seed}: the process ended by {done.returncode}\n{done.stderr}")
                continue
            told = json.loads(done.stdout)
            wrong += told["wrong"]
            longest, memory = max(longest, told["seconds"]), max(memory, told["memory"])
    for one in wrong[:20]:
        sys.stderr.write(f"{one}\n")
    sys.stdout.write(
        f"{arguments.count} inputs, {len(wrong)} tracebacks, longest {longest:.1f} s, "
        f"{memory / 2**20:.0f} MiB at most (seed {arguments.seed}, "
        f"{time.monotonic() - began:.0f} s)\n"
    )
    sys.exit(bool(wrong) or longest > SECONDS or memory > MEMORY)


if __name__ == "__main__":
    main()
