#!/usr/bin/env bash
# Pillow 13.0.0.
#
# Expected: decoding a still picture takes memory for its pixels once, 4 bytes each, whatever its
# format; so a limit on pixels is a limit on memory, as it is for PNG and JPEG.
# Behaviour: every WebP is decoded as an animation. A still RGB picture without transparency takes
# 16 bytes a pixel at its peak, four times as much as the same picture as PNG or JPEG.
# Seen: png 1.0, jpeg 1.0, webp 4.0 times 4 bytes a pixel, for 4000 x 4000 pixels.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet pillow==13.0.0

cat > "$folder/write.py" <<'PYTHON'
import sys

from PIL import Image

picture = Image.linear_gradient("L").resize((4000, 4000)).convert("RGB")
for suffix in ("png", "jpeg", "webp"):
    picture.save(f"{sys.argv[1]}/picture.{suffix}")
PYTHON

cat > "$folder/read.py" <<'PYTHON'
import resource
import sys

from PIL import Image

Image.init()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with Image.open(sys.argv[1]) as picture:
    picture.load()
taken = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
print(round(taken / (picture.width * picture.height * 4), 1))
PYTHON

"$folder/env/bin/python" "$folder/write.py" "$folder"
png=$("$folder/env/bin/python" "$folder/read.py" "$folder/picture.png")
jpeg=$("$folder/env/bin/python" "$folder/read.py" "$folder/picture.jpeg")
webp=$("$folder/env/bin/python" "$folder/read.py" "$folder/picture.webp")
echo "Seen: png $png, jpeg $jpeg, webp $webp times 4 bytes a pixel"
python3 - "$png" "$jpeg" "$webp" <<'PYTHON'
import sys

png, jpeg, webp = map(float, sys.argv[1:])
sys.exit(0 if max(png, jpeg) < 1.5 and webp > 3.5 else 1)
PYTHON
