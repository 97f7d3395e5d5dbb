"""faiss over the same hashes (32 bytes each) and queries: milliseconds a query within distance 31, single thread."""
import json, sys, time
import faiss, numpy as np

faiss.omp_set_num_threads(1)
data = np.fromfile(sys.argv[1], np.uint8).reshape(-1, 32)
queries = np.fromfile(sys.argv[2], np.uint8).reshape(-1, 32)
result = {}

def timed(index, name, queries):
    times, found = [], []
    for q in queries:
        begun = time.perf_counter()
        lims, _, ids = index.range_search(q[None], 32)
        times.append(1000 * (time.perf_counter() - begun))
        found.append(int(lims[-1]))
    result[name] = {"p50": float(np.median(times)), "found": found}

flat = faiss.IndexBinaryFlat(256)
flat.add(data)
timed(flat, "faiss flat", queries[: 20 if len(data) > 2_000_000 else 60])
if len(data) <= 2_000_000:
    multi = faiss.IndexBinaryMultiHash(256, 16, 16)
    multi.nflip = 1
    multi.add(data)
    timed(multi, "faiss multi-hash", queries[:60])
print(json.dumps(result))
