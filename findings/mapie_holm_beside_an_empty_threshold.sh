#!/usr/bin/env bash
# MAPIE 1.6.0, risk control of binary classification: BinaryClassificationController with its
# default correction (Bonferroni-Holm) and the risk "precision".
#
# Expected: a threshold above all scores predicts nothing, so that nothing can be said of its
# precision; the other thresholds, clear of the target, are valid as they are without it.
# Behaviour: its p-value is NaN, NaN enters Holm's procedure, and no threshold at all is valid,
# without a word about why. With fwer_method="fixed_sequence" the others stay valid.
# Seen (2026-11-28): Holm without it [0.5, 0.6, 0.7, 0.8, 0.9]; with 1.5 beside [];
#   fixed sequence [0.5, 0.6, 0.7, 0.8, 0.9]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet mapie==1.6.0
"$work/venv/bin/python" - <<'PY'
import sys
import warnings

import numpy as np
from mapie.risk_control import BinaryClassificationController

generator = np.random.default_rng(0)
scores = generator.uniform(size=512)
truth = (generator.uniform(size=512) > 0.3 * (1 - scores)).astype(int)


def valid(thresholds, **options):
    controller = BinaryClassificationController(
        predict_function=lambda x: np.hstack([1 - x, x]),
        risk="precision",
        target_level=0.8,
        confidence_level=0.9,
        best_predict_param_choice="recall",
        list_predict_params=np.array(thresholds),
        **options,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        controller.calibrate(scores.reshape(-1, 1), truth)
    return sorted(np.asarray(controller.valid_predict_params).tolist())


usual = [0.5, 0.6, 0.7, 0.8, 0.9]
without, beside = valid(usual), valid([1.5, *usual])
sequence = valid([1.5, *usual[::-1]], fwer_method="fixed_sequence")
print("Seen: Holm without it", without, "; with 1.5 beside", beside, "; fixed sequence", sequence)
sys.exit(without != usual or beside != [] or sequence != usual)
PY
