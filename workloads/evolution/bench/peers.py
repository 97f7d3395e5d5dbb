"""Data sets for the benchmark and the peers that learn from them.

A process answers one request a line on stdin, {"call": NAME, "args": [...]}, until stdin ends:
  data FOLDER SPLITS ROWS NAMES               writes NAME-SPLIT-{train,test}.csv and lists them; all sets where NAMES is null
  run PEER TRAIN TEST TASK SECONDS SEED       the score on TEST, the seconds that learning took, and those after which the best was found where a peer tells
  lightgbm ROWS COLUMNS TREES                 the seconds that training takes
Each answer is a line {"result": ...} or {"error": ...}; lines {"phase": "run"} and {"phase": "finish"} before it stand around what has a time limit.
"""
import json
import os
import queue
import signal
import sys
import threading
import time
import warnings
from contextlib import contextmanager, suppress

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")


def serve():
    answers = os.fdopen(os.dup(1), "w")
    # What libraries print is no answer.
    os.dup2(2, 1)

    def say(message):
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    calls = {"data": data, "run": run, "lightgbm": train_seconds}
    requests = queue.SimpleQueue()
    threading.Thread(target=listen, args=(requests,), daemon=True).start()
    while True:
        request = json.loads(requests.get())
        try:
            say({"result": calls[request["call"]](*request["args"], phase=lambda name: say({"phase": name}))})
        except Exception as error:
            say({"error": " ".join(f"{type(error).__name__}: {error}".split())[:160]})


def listen(requests):
    for line in sys.stdin:
        requests.put(line)
    # Whoever asked is gone: TPOT's processes end with this one, which leads their group.
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def sets():
    """Name, task and what makes the table of a given number of rows, or of its own."""
    from sklearn import datasets as d

    return [
        ("breast_cancer", "Binary", lambda rows: d.load_breast_cancer(as_frame=True).frame),
        ("diabetes", "Regression", lambda rows: d.load_diabetes(as_frame=True).frame),
        ("wine", "Multiclass", lambda rows: d.load_wine(as_frame=True).frame),
        ("digits", "Multiclass", lambda rows: d.load_digits(as_frame=True).frame),
        *generators(),
    ]


def generators():
    def frame(x, y):
        data = pd.DataFrame(x, columns=[f"x{i}" for i in range(x.shape[1])])
        data["target"] = y
        return data

    def noise(rows):
        from sklearn.datasets import make_classification

        return frame(*make_classification(rows, 30, n_informative=6, n_redundant=4, flip_y=0.15, random_state=1))

    def interactions(rows):
        r = np.random.default_rng(2)
        x = r.normal(size=(rows, 12))
        z = x[:, 0] * x[:, 1] + np.sin(2 * x[:, 2]) * x[:, 3] + 0.5 * r.normal(size=rows)
        return frame(x, (z > 0).astype(int))

    def missing(rows):
        data = noise(rows)
        r = np.random.default_rng(3)
        for column in data.columns[:-1]:
            data.loc[r.random(rows) < 0.25, column] = np.nan
        return data

    def imbalance(rows):
        from sklearn.datasets import make_classification

        return frame(*make_classification(rows, 20, n_informative=5, weights=[0.95], flip_y=0.02, random_state=4))

    def categories(rows):
        r = np.random.default_rng(5)
        effect = r.normal(size=200)
        code = (200 * r.beta(1, 3, size=rows)).astype(int).clip(0, 199)
        x = r.normal(size=(rows, 5))
        z = effect[code] + 0.7 * x[:, 0] + 0.7 * r.normal(size=rows)
        data = frame(x, (z > 0).astype(int))
        data.insert(0, "shop", [f"s{c}" for c in code])
        data.insert(1, "colour", r.choice(["red", "green", "blue"], rows))
        return data

    def wide(rows):
        r = np.random.default_rng(6)
        x = r.normal(size=(max(200, rows // 4), 300))
        return frame(x, (x[:, :8].sum(axis=1) + r.normal(size=len(x)) > 0).astype(int))

    def friedman(rows):
        from sklearn.datasets import make_friedman1

        return frame(*make_friedman1(rows, 15, noise=1.5, random_state=7))

    return [
        ("noise", "Binary", noise),
        ("interactions", "Binary", interactions),
        ("missing", "Binary", missing),
        ("imbalance", "Binary", imbalance),
        ("categories", "Binary", categories),
        ("wide", "Binary", wide),
        ("friedman", "Regression", friedman),
    ]


def data(folder, splits, rows, names, phase):
    from sklearn.model_selection import train_test_split

    known = [name for name, _, _ in sets()]
    unknown = [name for name in names or [] if name not in known]
    if unknown:
        raise ValueError(f"no set is called {', '.join(unknown)}; there are {', '.join(known)}")
    listed = []
    for name, task, table_of in sets():
        if names is not None and name not in names:
            continue
        table = table_of(rows)
        for split in range(splits):
            stratify = None if task == "Regression" else table["target"]
            train, test = train_test_split(table, test_size=0.3, random_state=split, stratify=stratify)
            paths = [f"{folder}/{name}-{rows}-{split}-{side}.csv" for side in ("train", "test")]
            train.to_csv(paths[0], index=False)
            test.to_csv(paths[1], index=False)
            listed.append({"name": name, "task": task, "split": split, "rows": len(train), "columns": table.shape[1] - 1, "train": paths[0], "test": paths[1]})
    return listed


def score(task, y, predicted):
    from sklearn.metrics import log_loss, r2_score, roc_auc_score

    if task == "Binary":
        return roc_auc_score(y, predicted[:, 1])
    if task == "Multiclass":
        return -log_loss(y, predicted)
    return r2_score(y, predicted)


def run(peer, train_path, test_path, task, seconds, seed, phase):
    train, test = pd.read_csv(train_path), pd.read_csv(test_path)
    for column in train.columns:
        if not pd.api.types.is_numeric_dtype(train[column]):
            levels = pd.CategoricalDtype(train[column].dropna().unique())
            train[column], test[column] = train[column].astype(levels), test[column].astype(levels)
            if peer == "tpot":
                train[column], test[column] = train[column].astype("object"), test[column].astype("object")
    x, y = train.drop(columns="target"), train["target"]
    tx, ty = test.drop(columns="target"), test["target"]
    with learners[peer](task, seconds, seed) as fitted:
        phase("run")
        started = time.time()
        model = fitted(x, y)
        spent = time.time() - started
        phase("finish")
        predicted = model.predict(tx) if task == "Regression" else model.predict_proba(tx)
        value = float(score(task, ty, np.asarray(predicted)))
    if not np.isfinite(value):
        raise ValueError(f"its score is {value}")
    found = getattr(model, "time_to_find_best_model", None)
    return {"score": value, "seconds": spent, **({} if found is None else {"found": float(found)})}


@contextmanager
def lightgbm_defaults(task, seconds, seed):
    import lightgbm

    kind = lightgbm.LGBMRegressor if task == "Regression" else lightgbm.LGBMClassifier
    yield lambda x, y: kind(random_state=seed, n_jobs=2, verbose=-1).fit(x, y)


@contextmanager
def flaml(task, seconds, seed):
    from flaml import AutoML

    model = AutoML()
    metric = {"Binary": "roc_auc", "Multiclass": "log_loss", "Regression": "r2"}[task]
    kind = "regression" if task == "Regression" else "classification"

    def fitted(x, y):
        model.fit(x, y, task=kind, metric=metric, time_budget=seconds, seed=seed, n_jobs=2, verbose=0)
        return model

    yield fitted


@contextmanager
def tpot(task, seconds, seed):
    """With two processes of its own that have loaded TPOT before its clock starts, and end with it: a pipeline that hangs costs no later run."""
    from dask.distributed import Client, LocalCluster
    from tpot import TPOTClassifier, TPOTRegressor

    kind = TPOTRegressor if task == "Regression" else TPOTClassifier
    scorer = {"Binary": "roc_auc", "Multiclass": "neg_log_loss", "Regression": "r2"}[task]
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "memory_limit": None, "silence_logs": 50, "dashboard_address": None}
    cluster = LocalCluster(**options, env={"OMP_NUM_THREADS": "1"})
    client = Client(cluster)

    def fitted(x, y):
        # It looks at its clock only when a pipeline is done or has had its time, ten minutes by default.
        times = {"max_time_mins": seconds / 60, "max_eval_time_mins": seconds / 120}
        gaps = bool(x.isna().to_numpy().any() or (x.dtypes == "object").any())
        model = kind(scorers=[scorer], **times, preprocessing=gaps, client=client, n_jobs=2, random_state=seed, verbose=0)
        return model.fit(x, y)

    try:
        client.run(load_tpot)
        yield fitted
    finally:
        with suppress(Exception):
            client.close()
            cluster.close(timeout=30)


def load_tpot():
    import tpot  # noqa: F401


learners = {"lightgbm": lightgbm_defaults, "flaml": flaml, "tpot": tpot}


def train_seconds(rows, columns, trees, phase):
    import lightgbm

    x = (np.sin(np.arange(rows * columns, dtype=np.float64) * 12.9898) * 43758.5453 % 1).astype(np.float32).reshape(rows, columns)
    y = (x[:, 0] + x[:, 1] * x[:, 2] > 0.75).astype(np.float32)
    parameters = {"objective": "binary", "num_leaves": 31, "learning_rate": 0.1, "num_threads": 1, "verbosity": -1, "force_col_wise": True, "deterministic": True, "seed": 1, "feature_pre_filter": False, "max_bin": 255, "min_data_in_leaf": 20}
    phase("run")
    started = time.time()
    lightgbm.train(parameters, lightgbm.Dataset(x, y), trees)
    return time.time() - started


if __name__ == "__main__":
    serve()
