"""Small files in the very formats in which the benchmarks are published."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

HR_COLUMNS = ("index", "question", "answer", "category", "A", "B", "C", "D", "cycle_category")


class Genuine:
    """Writes benchmark files; every method returns what it wrote."""

    def picture(self, number: int = 0, kind: str = "JPEG") -> bytes:
        """An encoded picture; another number is another picture."""
        out = io.BytesIO()
        Image.new("RGB", (32, 24), (number * 40 % 256, number % 256, 99)).save(out, kind)
        return out.getvalue()

    def base64(self, number: int = 0) -> str:
        return base64.b64encode(self.picture(number)).decode()

    def vstar(self, folder: Path, sizes: Mapping[str, int] | None = None) -> Path:
        """Folders with a JSON file beside each picture, the right option first."""
        for split, size in (sizes or {"direct_attributes": 3, "relative_position": 2}).items():
            (folder / split).mkdir(parents=True)
            for number in range(size):
                stem = folder / split / f"sa_{10 - number}"
                stem.with_suffix(".jpg").write_bytes(self.picture(number))
                self.vstar_json(stem.with_suffix(".json"), number)
        for other in ("OCR", "GPT4V-hard"):
            (folder / other).mkdir()
            (folder / other / "0.json").write_text("{}")
        return folder

    def vstar_json(self, file: Path, number: int = 0, **changes: Any) -> Path:
        question = {
            "target_object": ["glove"],
            "bbox": [[564, 142, 155, 157]],
            "question": f"What is the material of the glove {number}?",
            "options": ["rubber", "cotton", "kevlar", "leather"],
        }
        kept = {key: value for key, value in (question | changes).items() if value is not ...}
        file.write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")
        return file

    def vstar_line(self, number: int = 0, **changes: Any) -> dict[str, Any]:
        """A line of test_questions.jsonl; its pictures are those of `vstar`."""
        text = (
            f"What is the material of the glove {number}?\n(A) cotton\n(B) rubber\n(C) kevlar\n"
            "(D) leather\nAnswer with the option's letter from the given choices directly."
        )
        line = {
            "image": f"direct_attributes/sa_{10 - number}.jpg",
            "text": text,
            "category": "direct_attributes",
            "label": "B",
            "question_id": str(number),
        }
        return {key: value for key, value in (line | changes).items() if value is not ...}

    def lines(self, file: Path, rows: Sequence[Any], ending: str = "\n") -> Path:
        text = [
            row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows
        ]
        file.write_bytes("".join(line + ending for line in text).encode())
        return file

    def hr_rows(self, questions: int = 2) -> list[dict[str, str]]:
        """Each question four times, its options rotated by one each time."""
        options = ["red", "blue", "green", "white"]
        return [
            {
                "index": str(4 * question + cycle),
                "question": f"What colour is the boat {question}?",
                "answer": "ABCD"[cycle],
                "category": ("single", "cross")[question % 2],
                **{"ABCD"[(place + cycle) % 4]: text for place, text in enumerate(options)},
                "cycle_category": str(cycle),
                "image": self.base64(question),
            }
            for question in range(questions)
            for cycle in range(4)
        ]

    def hr_tsv(self, file: Path, rows: Sequence[Mapping[str, str]], ending: str = "\n") -> Path:
        """A TSV as pandas writes it: fields quoted where they must be."""
        with file.open("w", encoding="utf-8", newline="") as out:
            table = csv.DictWriter(
                out, (*HR_COLUMNS, "image"), delimiter="\t", lineterminator=ending
            )
            table.writeheader()
            table.writerows(rows)
        return file

    def hr_parquet(
        self, file: Path, rows: Sequence[Mapping[str, Any]], image: str = "base64"
    ) -> Path:
        """The same as parquet, the picture as base64 text, bytes or a struct."""
        import pyarrow as pa  # noqa: PLC0415 - heavy

        def cell(row: Mapping[str, Any]) -> Any:
            data = base64.b64decode(row["image"])
            return {"base64": row["image"], "bytes": data, "struct": {"bytes": data, "path": None}}[
                image
            ]

        table: dict[str, Any] = {name: [row[name] for row in rows] for name in HR_COLUMNS}
        table["index"] = pa.array([int(row["index"]) for row in rows])
        table["image"] = [cell(row) for row in rows]
        return self.parquet(file, table)

    def pope_rows(self, size: int = 12) -> list[dict[str, Any]]:
        """Six questions to a picture."""
        return [
            {
                "id": str(number),
                "question_id": str(number + 1),
                "question": f"Is there a snowboard {number} in the image?",
                "answer": ("yes", "no")[number % 2],
                "image_source": f"COCO_val2014_{number // 6:012}",
                "image": {"bytes": self.picture(number // 6), "path": None},
                "category": "adversarial",
            }
            for number in range(size)
        ]

    def pope(self, folder: Path, rows: Sequence[Mapping[str, Any]] | None = None) -> Path:
        """The files under Full/, the same rows in each split."""
        (folder / "Full").mkdir(parents=True)
        rows = self.pope_rows() if rows is None else rows
        for split in ("adversarial", "popular", "random"):
            named = [{**row, "category": split} for row in rows]
            table = {name: [row[name] for row in named] for name in named[0]}
            self.parquet(folder / "Full" / f"{split}-00000-of-00001.parquet", table)
        return folder

    def zoom_rows(self, size: int = 4) -> list[dict[str, Any]]:
        """Multiple choice in two layouts, a number, and yes or no, again and again."""
        kinds = (
            (
                "What is written on the sign {}?\nA. STOP\nB. GO\nC. SLOW\nD. None of the above",
                "B",
                "mcq",
            ),
            ("What colour is the cup {}?\n(A) red\n(B) blue\nor violet", "(B)", "mcq"),
            ("How many birds are on the roof {}?", "3", "oq"),
            ("Is the door {} open?", "yes", "oq"),
        )
        rows = []
        for number in range(size):
            query, response, kind = kinds[number % len(kinds)]
            rows.append(
                {
                    "id": str(number),
                    "query": query.format(number),
                    "response": response,
                    "image": {"bytes": self.picture(number), "path": None},
                    "crop_image": {"bytes": b"", "path": None},
                    "question_type": kind,
                }
            )
        return rows

    def zoombench(self, folder: Path, rows: Sequence[Mapping[str, Any]] | None = None) -> Path:
        """The one file under data/."""
        (folder / "data").mkdir(parents=True)
        rows = self.zoom_rows() if rows is None else rows
        table = {name: [row[name] for row in rows] for name in rows[0]}
        return self.parquet(folder / "data" / "test.parquet", table)

    def mme_rows(self, size: int = 4) -> list[dict[str, Any]]:
        """Perception and reasoning in turn, options with their letters."""
        texts = ("red", "(A) or (B)", 'it\'s 3, or "4"', "green")
        listed = [*texts, "This image doesn't feature the content."]
        return [
            {
                "bytes": self.base64(number),
                "index": number,
                "question": f"What colour is the van {number}?",
                "multi-choice options": [
                    f"({letter}) {text}" for letter, text in zip("ABCDE", listed, strict=True)
                ],
                "answer": "D",
                "category": ("Perception/Remote Sensing", "Reasoning/Monitoring")[number % 2],
                "l2-category": "color",
            }
            for number in range(size)
        ]

    def mme_parquet(self, folder: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
        """One of the files under data/, its pictures base64 text."""
        import pyarrow as pa  # noqa: PLC0415 - heavy

        (folder / "data").mkdir(parents=True)
        table: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
        listed = "multi-choice options"
        table[listed] = pa.array(table[listed], pa.list_(pa.string()))
        return self.parquet(folder / "data" / "train-00000-of-00001.parquet", table)

    def mme_tsv(
        self, file: Path, rows: Sequence[Mapping[str, Any]], options: Callable[[Any], str] = repr
    ) -> Path:
        """The same as a TSV, each list in Python's words."""
        listed = "multi-choice options"
        file.parent.mkdir(parents=True, exist_ok=True)
        named = [
            {**{k: v for k, v in row.items() if k != "bytes"}, listed: options(row[listed])}
            | {"image": row["bytes"]}
            for row in rows
        ]
        with file.open("w", encoding="utf-8", newline="") as out:
            table = csv.DictWriter(out, list(named[0]), delimiter="\t", lineterminator="\n")
            table.writeheader()
            table.writerows(named)
        return file

    def parquet(self, file: Path, table: Mapping[str, Any]) -> Path:
        import pyarrow as pa  # noqa: PLC0415 - heavy
        import pyarrow.parquet as pq  # noqa: PLC0415 - heavy

        pq.write_table(pa.table(dict(table)), file, row_group_size=5)
        return file


@pytest.fixture
def genuine() -> Genuine:
    return Genuine()
