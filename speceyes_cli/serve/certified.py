"""From `--certificate` and `--audit` to the promise that an endpoint watches."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from speceyes_cli.analysis.certificate import Certificate, require_setting
from speceyes_cli.analysis.watching.audited_run import loosest_thresholds
from speceyes_cli.analysis.watching.harm_test import Watched
from speceyes_cli.core.chat import Role
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.run.info import RunConfig
from speceyes_cli.host.manager import Host
from speceyes_cli.host.planning.models import Load
from speceyes_cli.host.planning.options import RunOptions
from speceyes_cli.host.planning.plans import make_config
from speceyes_cli.serve.audit_file import AuditFile
from speceyes_cli.serve.promise import Promise


def require_audits_possible(
    certificate: Certificate | None, share: float | None, file: Path | None, *, steps: bool
) -> None:
    """Raise `UsageError` where there is nothing to audit for, nothing to step on or to keep."""
    if share is not None and certificate is None:
        raise UsageError("--audit watches a certificate's promise: name it with --certificate.")
    if steps and share is None:
        raise UsageError("--stricter-on-alarm needs audits: name their share with --audit.")
    if file is not None and share is None:
        raise UsageError("--audit-file keeps what audits find: name their share with --audit.")


def require_served(
    certificate: Certificate,
    run: RunOptions,
    hashes: Mapping[str, str],
    loads: Mapping[Role, Load],
    host: Host,
) -> None:
    """Raise `UsageError` where the endpoint answers otherwise than the certificate's run did.

    Of which samples is left out: that they are of the same kind is what audits are for.
    """
    method, dataset = host.methods.get(run.method), host.datasets.get(run.dataset)
    config: RunConfig = make_config(run, method, dataset, (), hashes, loads, host)
    require_setting(certificate, config, samples=False)


def make_promise(
    certificate: Certificate, gate: Gate, share: float | None, file: Path | None, *, steps: bool
) -> Promise:
    """The promise; its test has the certificate's own loss and risk.

    It goes on from what the file holds. Raises `DataError` for a file that is not this one's.
    """
    watched = None if share is None else Watched(certificate.max_loss, certificate.risk, share)
    kept = None
    if file is not None and share is not None:
        kept = AuditFile(file, certificate, share, gate.threshold)
    return Promise(gate, loosest_thresholds(certificate), watched, steps=steps, file=kept)
