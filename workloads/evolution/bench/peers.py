"""Data sets for the benchmark and the peers that learn from them.

  peers.py data FOLDER SPLITS ROWS        writes NAME-SPLIT-{train,test}.csv and prints what there is
  peers.py run PEER TRAIN TEST TASK SECONDS SEED   prints the score on TEST as JSON
  peers.py lightgbm ROWS COLUMNS TREES     prints the seconds that training takes
"""
import json
import sys
import time
import warnings

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")


def made(rows):
    from sklearn import datasets as d

    yield "breast_cancer", "Binary", d.load_breast_cancer(as_frame=True).frame
    yield "diabetes", "Regression", d.load_diabetes(as_frame=True).frame
    yield "wine", "Multiclass", d.load_wine(as_frame=True).frame
    yield "digits", "Multiclass", d.load_digits(as_frame=True).frame
    for name, task, generate in generators():
        yield name, task, generate(rows)


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


def data(folder, splits, rows):
    from sklearn.model_selection import train_test_split

    listed = []
    for name, task, table in made(rows):
        for split in range(splits):
            stratify = None if task == "Regression" else table["target"]
            train, test = train_test_split(table, test_size=0.3, random_state=split, stratify=stratify)
            paths = [f"{folder}/{name}-{split}-{side}.csv" for side in ("train", "test")]
            train.to_csv(paths[0], index=False)
            test.to_csv(paths[1], index=False)
            listed.append({"name": name, "task": task, "split": split, "rows": len(train), "columns": table.shape[1] - 1, "train": paths[0], "test": paths[1]})
    print(json.dumps(listed))


def score(task, y, predicted):
    from sklearn.metrics import log_loss, r2_score, roc_auc_score

    if task == "Binary":
        return roc_auc_score(y, predicted[:, 1])
    if task == "Multiclass":
        return -log_loss(y, predicted)
    return r2_score(y, predicted)


def run(peer, train_path, test_path, task, seconds, seed):
    train, test = pd.read_csv(train_path), pd.read_csv(test_path)
    for column in train.columns:
        if not pd.api.types.is_numeric_dtype(train[column]):
            levels = pd.CategoricalDtype(train[column].dropna().unique())
            train[column], test[column] = train[column].astype(levels), test[column].astype(levels)
    x, y = train.drop(columns="target"), train["target"]
    tx, ty = test.drop(columns="target"), test["target"]
    started = time.time()
    model = fitted(peer, x, y, task, seconds, seed)
    spent = time.time() - started
    predicted = model.predict(tx) if task == "Regression" else model.predict_proba(tx)
    print("\n" + json.dumps({"score": float(score(task, ty, np.asarray(predicted))), "seconds": spent}))


def fitted(peer, x, y, task, seconds, seed):
    if peer == "lightgbm":
        import lightgbm

        kind = lightgbm.LGBMRegressor if task == "Regression" else lightgbm.LGBMClassifier
        return kind(random_state=seed, n_jobs=2, verbose=-1).fit(x, y)
    if peer == "flaml":
        from flaml import AutoML

        model = AutoML()
        metric = {"Binary": "roc_auc", "Multiclass": "log_loss", "Regression": "r2"}[task]
        model.fit(x, y, task="regression" if task == "Regression" else "classification", metric=metric, time_budget=seconds, seed=seed, n_jobs=2, verbose=0)
        return model
    import tpot

    kind = tpot.TPOTRegressor if task == "Regression" else tpot.TPOTClassifier
    scorer = {"Binary": "roc_auc", "Multiclass": "neg_log_loss", "Regression": "r2"}[task]
    model = kind(scorers=[scorer], max_time_mins=seconds / 60, n_jobs=2, random_state=seed, verbose=0)
    return model.fit(x.astype({c: "object" for c in x.columns if str(x[c].dtype) == "category"}), y)


def train_seconds(rows, columns, trees):
    import lightgbm

    x = (np.sin(np.arange(rows * columns, dtype=np.float64) * 12.9898) * 43758.5453 % 1).astype(np.float32).reshape(rows, columns)
    y = (x[:, 0] + x[:, 1] * x[:, 2] > 0.75).astype(np.float32)
    parameters = {"objective": "binary", "num_leaves": 31, "learning_rate": 0.1, "num_threads": 1, "verbosity": -1, "force_col_wise": True, "deterministic": True, "seed": 1, "feature_pre_filter": False, "max_bin": 255, "min_data_in_leaf": 20}
    started = time.time()
    lightgbm.train(parameters, lightgbm.Dataset(x, y), trees)
    print(json.dumps(time.time() - started))


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    if command == "data":
        data(rest[0], int(rest[1]), int(rest[2]))
    elif command == "run":
        run(rest[0], rest[1], rest[2], rest[3], float(rest[4]), int(rest[5]))
    else:
        train_seconds(*map(int, rest))
