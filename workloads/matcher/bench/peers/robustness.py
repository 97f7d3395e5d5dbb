"""Hashes of the encoded files listed on stdin, one path a line: pdqhash of the picture fitted into 512, and phash."""
import json, sys
import imagehash, numpy as np, pdqhash
from PIL import Image

out = []
for line in sys.stdin:
    image = Image.open(line.strip()).convert("RGB")
    phash = "".join("1" if bit else "0" for bit in imagehash.phash(image).hash.flatten())
    image.thumbnail((512, 512))
    bits, quality = pdqhash.compute(np.asarray(image))
    out.append({"pdq": np.packbits(bits).tobytes().hex(), "phash": phash, "quality": int(quality)})
print(json.dumps(out))
