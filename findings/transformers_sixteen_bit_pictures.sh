#!/usr/bin/env bash
# Image processors of transformers 5.24.0 bring every picture to RGB (do_convert_rgb, on by default for
# Qwen-VL) by Pillow's convert("RGB"), which clips what is brighter than 255 and does not scale.
#
# Expected: a grey ramp from black to white stays one, whatever its file holds: 16-bit PNG, as scanners
#   and medical data sets write, or 32-bit float TIFF from 0 to 1.
# Behaviour: of the 16-bit ramp two values are left, and the picture is white but for its first column;
#   the float ramp is black. Nothing is said of it.
# Seen (2026-11-28):
#   8-bit PNG: 256 values, mean 127.5
#   16-bit PNG: 2 values, mean 254.0
#   float TIFF: 2 values, mean 0.0
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q "transformers==5.24.0" "pillow==13.0.0" "numpy==2.4.0"

cat > "$place/ramp.py" <<'PYTHON'
import io
import sys

import numpy as np
from PIL import Image
from transformers.image_transforms import convert_to_rgb

RAMP = np.tile(np.arange(256) / 255, (8, 1))


def seen(values: np.ndarray, kind: str) -> np.ndarray:
    """The first band of a picture after it went through a file and the processors' conversion."""
    file = io.BytesIO()
    Image.fromarray(values).save(file, kind)
    return np.asarray(convert_to_rgb(Image.open(file)))[..., 0]


eight = seen((RAMP * 255).round().astype(np.uint8), "PNG")
sixteen = seen((RAMP * 65535).round().astype(np.uint16), "PNG")
floats = seen(RAMP.astype(np.float32), "TIFF")
for name, found in (("8-bit PNG", eight), ("16-bit PNG", sixteen), ("float TIFF", floats)):
    print(f"{name}: {len(np.unique(found))} values, mean {found.mean():.1f}")
as_described = len(np.unique(eight)) == 256 and len(np.unique(sixteen)) == 2 and floats.max() <= 1
sys.exit(0 if as_described else 1)
PYTHON
"$place/venv/bin/python" "$place/ramp.py" 2> "$place/stderr"
