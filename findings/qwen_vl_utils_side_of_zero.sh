#!/usr/bin/env bash
# qwen-vl-utils 0.0.14 and transformers 5.24.0 both publish Qwen-VL's `smart_resize`, the rule that
# gives the size at which a picture is seen, and both refuse only what is longer than 200 times its
# width.
# Expected: the same size from both for a picture of 2800x28 pixels (100 to 1) when the area allowed
# is a little smaller than its own.
# Behaviour: shrinking takes the short side below one patch; transformers keeps one patch of it,
# qwen-vl-utils rounds it down to 0, so that the picture is to be resized to no pixels at all.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --disable-pip-version-check \
  qwen-vl-utils==0.0.14 transformers==5.24.0 torch==2.14.1 torchvision==0.29.1

"$place/env/bin/python" - <<'PYTHON'
from qwen_vl_utils.vision_process import smart_resize as utility
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize as processor

FACTOR = 28
LEAST, MOST = 4 * FACTOR**2, 64 * FACTOR**2
sizes = {rule.__module__.split(".")[0]: rule(28, 2800, FACTOR, LEAST, MOST) for rule in (utility, processor)}
print("Seen:", ", ".join(f"{name} gives {width}x{height}" for name, (height, width) in sizes.items()))
raise SystemExit(sizes != {"qwen_vl_utils": (0, 2240), "transformers": (28, 2240)})
PYTHON
