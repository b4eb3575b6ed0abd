#!/usr/bin/env bash
# transformers 5.24.0, Qwen2-VL family's image processor (used by Qwen2.5-VL and Qwen3-VL too).
#
# Expected: with min_pixels == max_pixels == 160*160 and a factor of 32, every square picture is
# shown at 160x160, the one square whose area lies within the bounds.
# Behaviour: the side is found through a square root, then floored or ceiled to the factor; where
# the root is off by a rounding error the picture falls to 128x128 (below the minimum asked for) or
# rises to 192x192 (above the maximum), without a word.
# Seen (2026-11-28), squares with sides 33 to 2,999:
#   bounds 25600..25600: 128x128: 121, 160x160: 2842, 192x192: 4
#   bounds 25599..25601: 160x160: 2967
# So a fixed size is had by leaving a pixel of room on either side, not by equal bounds.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet transformers==5.24.0 torch==2.14.0 \
  torchvision==0.29.0 pillow==12.3.0
cat > "$folder/sizes.py" <<'PY'
from collections import Counter

from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize


def shown(least, most):
    sizes = Counter(smart_resize(side, side, 32, least, most) for side in range(33, 3000))
    told = ", ".join(f"{h}x{w}: {n}" for (h, w), n in sorted(sizes.items()))
    print(f"bounds {least}..{most}: {told}")
    return dict(sizes)


assert shown(25600, 25600) == {(128, 128): 121, (160, 160): 2842, (192, 192): 4}
assert shown(25599, 25601) == {(160, 160): 2967}
PY
"$folder/env/bin/python" "$folder/sizes.py"
