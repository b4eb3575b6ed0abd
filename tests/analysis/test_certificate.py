from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from speceyes_cli.analysis.certificate import (
    Certificate,
    make_certificate,
    read_certificate,
    require_data,
    require_engines,
    require_pictures,
    require_setting,
    write_certificate,
)
from speceyes_cli.analysis.certified_points import Levels, Measure
from speceyes_cli.analysis.scores import acceptable, confidences
from speceyes_cli.analysis.signed_files import digest_of
from speceyes_cli.analysis.table import read_table
from speceyes_cli.core.chat import Picture
from speceyes_cli.core.errors import DataError, UsageError
from speceyes_cli.core.gate.scores import min_score
from speceyes_cli.core.run.records import Record
from speceyes_cli.core.samples import Sample
from speceyes_cli.core.tables.summaries import LoadedRun
from tests.analysis.conftest import MakeRun, Spec
from tests.run_config import CONFIG

ENGINES = {"large": {"model": "l", "revision": "1", "batch_size": 8}}
SPECS = [
    *[Spec(0.5 + i / 300, draft_right=i > 20, agent_right=True) for i in range(140)],
    *[Spec(0.99, draft_right=False, passed=False) for _ in range(10)],
    Spec(0.3, finish="length"),
    Spec(failed=True),
]


def certify(run: LoadedRun, max_loss: float = 0.02) -> Certificate:
    table = read_table(run)
    values = acceptable(table, confidences(table, min_score))
    return make_certificate(run, table, {Measure("min", 64): values}, Levels((max_loss,), 0.1))


@pytest.fixture
def run(make_run: MakeRun) -> LoadedRun:
    made = make_run(SPECS, both_branches=True)
    return made._replace(info=made.info.model_copy(update={"engines": ENGINES}))


@pytest.fixture
def certificate(run: LoadedRun) -> Certificate:
    return certify(run)


def test_what_it_says(certificate: Certificate, run: LoadedRun) -> None:
    # The 21 harmful drafts lie at confidences up to 0.5 + 20 / 300; the screened ones never count.
    assert certificate.threshold == 0.567
    assert (certificate.n, certificate.harmful, certificate.clusters) == (151, 0, 0)
    assert (certificate.samples, certificate.errors, certificate.accepted) == (151, 1, 119)
    assert (certificate.gate, certificate.top_k) == ("min", 64)
    assert certificate.run == run.info.name
    assert certificate.engines == {"large": {"model": "l", "revision": "1"}}
    assert certificate.setting["prompt_hashes"] == CONFIG.prompt_hashes
    assert certificate.data == {"test": "1", "other": None}
    assert sum(len(scores) for scores in certificate.scores) == 141
    assert (None,) in certificate.scores  # the draft that was cut


def test_clusters_count_once(make_run: MakeRun) -> None:
    specs = [Spec(0.9, cluster=f"picture {i // 2}") for i in range(300)]
    specs[7] = Spec(0.8, draft_right=False, cluster="picture 3")
    found = certify(make_run(specs), max_loss=0.03)
    assert (found.n, found.clusters, found.harmful, found.samples) == (150, 150, 1, 300)


def test_samples_of_one_picture_count_once(run: LoadedRun) -> None:
    def paired(place: int, record: Record) -> Record:
        return record.model_copy(update={"picture_digest": f"{place // 2:032d}"[::-1]})

    records = [paired(place, record) for place, record in enumerate(run.records[:140])]
    found = certify(LoadedRun.of(run.folder, run.info, records), max_loss=0.05)
    assert (found.samples, found.n, found.clusters) == (140, 70, 70)


def test_a_certificate_of_the_first_version_is_read(
    certificate: Certificate, tmp_path: Path
) -> None:
    later = ("risk_each", "test", "cost_wrong", "cost_second", "frontier", "learned", "digest")
    fields = json.loads(certificate.model_dump_json(exclude=set(later)))
    fields["schema_version"] = 1
    (tmp_path / "c.json").write_text(json.dumps({**fields, "digest": digest_of(fields)}))
    found = read_certificate(tmp_path / "c.json")
    assert (found.threshold, found.frontier) == (certificate.threshold, ())


def test_it_is_read_as_it_was_written(certificate: Certificate, tmp_path: Path) -> None:
    write_certificate(tmp_path / "new" / "c.json", certificate)
    assert read_certificate(tmp_path / "new" / "c.json") == certificate
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["c.json"]


@pytest.mark.parametrize("field", ["threshold", "max_loss", "n", "run", "scores"])
def test_a_changed_field_is_seen(certificate: Certificate, tmp_path: Path, field: str) -> None:
    path = tmp_path / "c.json"
    write_certificate(path, certificate)
    fields = json.loads(path.read_text())
    other = {"threshold": 0.1, "max_loss": 0.01, "n": 999, "run": "x", "scores": []}
    path.write_text(json.dumps({**fields, field: other[field]}))
    with pytest.raises(DataError, match="changed after it was made"):
        read_certificate(path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "no certificate of this version"),
        ("[]", "no certificate of this version"),
        ("{}", r"no certificate of this version \(created"),
        ('{"schema_version": 3}', r"\(schema_version"),
        ('{"kind": "cookbook"}', r"\(kind"),
    ],
)
def test_files_that_are_no_certificates(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(DataError, match=told):
        read_certificate(path)
    with pytest.raises(DataError, match="There is no certificate"):
        read_certificate(tmp_path / "other.json")


def test_a_folder_that_cannot_be_written(certificate: Certificate, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        write_certificate(tmp_path / "file" / "c.json", certificate)


def test_harm_among_the_surest_is_refused(make_run: MakeRun) -> None:
    specs = [Spec(1 - 1e-9 - i * 1e-12, draft_right=False) for i in range(150)]
    with pytest.raises(DataError, match="No threshold of min that accepts a draft"):
        certify(make_run(specs))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"large": "other"}, r"large \(certificate: 'l', here: 'other'\)"),
        ({"method": "draft"}, "method"),
        ({"dataset": "pope"}, "dataset"),
        ({"option_order": "dataset"}, "option_order"),
        ({"small_max_pixels": 9}, "small_max_pixels"),
        ({"prompt_hashes": {"agent": "b", "draft": "d", "screen": "s"}}, "prompt_hashes.agent"),
    ],
)
def test_another_setting_is_refused_by_name(
    certificate: Certificate, changes: dict[str, object], told: str
) -> None:
    require_setting(certificate, CONFIG)
    with pytest.raises(UsageError, match=f"does not fit this run: {told}"):
        require_setting(certificate, CONFIG.model_copy(update=changes))


def test_other_data_are_refused(certificate: Certificate) -> None:
    require_data(certificate, CONFIG)
    require_data(certificate, CONFIG.model_copy(update={"splits": ("test",)}))
    with pytest.raises(UsageError, match="does not speak for the split 'third'"):
        require_data(certificate, CONFIG.model_copy(update={"splits": ("third",)}))
    changed = CONFIG.model_copy(update={"data_fingerprint": {"test": "2", "other": None}})
    with pytest.raises(UsageError, match=r"fingerprint of test \(certificate: '1', here: '2'\)"):
        require_data(certificate, changed)


def test_an_exchanged_picture_is_refused(run: LoadedRun) -> None:
    def sample(name: str, digest: str | None) -> Sample:
        picture = Picture(name, lambda: Image.new("RGB", (1, 1)), lambda: digest)
        return Sample(name, "test", picture, "?")

    def digest(name: str) -> str:
        return f"{int(name.removeprefix('s')):016d}" * 2

    def digested(record: Record) -> Record:
        return record.model_copy(update={"picture_digest": digest(record.sample_id)})

    records = [digested(record) for record in run.records]
    bound = certify(LoadedRun.of(run.folder, run.info, records))
    name = next(record.sample_id for record in run.records if record.split == "test")
    same = [sample(name, digest(name)), sample(name, None), sample("stranger", "c" * 32)]
    require_pictures(bound, same)
    require_pictures(certify(run), [sample(name, "b" * 32)])
    with pytest.raises(UsageError, match=f"the picture of test/{name} is another"):
        require_pictures(bound, [*same, sample(name, "b" * 32)])


def test_another_revision_is_refused(certificate: Certificate) -> None:
    require_engines(certificate, {"large": {"model": "l", "revision": "1", "batch_size": 1}})
    require_engines(certificate, {"large": {"model": "moved/l", "revision": "1"}})
    with pytest.raises(UsageError, match=r"the engine large.revision \(certificate: '1', here"):
        require_engines(certificate, {"large": {"model": "l", "revision": "2"}})


@pytest.mark.parametrize("field", ["engine", "dtype", "attention"])
def test_number_format_attention_and_engine_are_bound(make_run: MakeRun, field: str) -> None:
    engine = {"engine": "transformers", "revision": "1", "dtype": "float32", "attention": "sdpa"}
    made = make_run(SPECS, both_branches=True)
    info = made.info.model_copy(update={"engines": {"small": engine}})
    bound = certify(made._replace(info=info))
    require_engines(bound, {"small": engine})
    with pytest.raises(UsageError, match=rf"the engine small.{field} \(certificate: "):
        require_engines(bound, {"small": {**engine, field: "another"}})
