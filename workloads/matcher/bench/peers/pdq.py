"""Hashes raw RGB buffers by pdqhash: argv[1] holds width, height (uint32) and pixels for each; JSON to stdout."""
import json, struct, sys, time
import numpy as np, pdqhash

data = open(sys.argv[1], "rb").read()
at, images = 0, []
while at < len(data):
    w, h = struct.unpack_from("<II", data, at)
    images.append(np.frombuffer(data, np.uint8, w * h * 3, at + 8).reshape(h, w, 3).copy())
    at += 8 + w * h * 3
out, times = [], []
for image in images:
    begun = time.perf_counter()
    bits, quality = pdqhash.compute(image)
    times.append(time.perf_counter() - begun)
    out.append([np.packbits(bits).tobytes().hex(), int(quality)])
print(json.dumps({"hashes": out, "perSecond": len(out) / sum(times)}))
