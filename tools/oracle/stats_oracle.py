#!/usr/bin/env python3
"""Writes tests/golden/stats/*.json: what scipy, statsmodels, scikit-learn, krippendorff and choix say of seeded data, for tests/unit/test_stats.c.

Where no library has the thing (Plackett and Luce with ties, Elo, penalties), it is computed here from its definition in the slowest
way: all orders of a tie, a general minimiser polished by Newton's steps.

Usage: stats_oracle.py tests/golden/stats
Made with the versions that each file names; seed 8.
"""
import importlib.metadata as md
import itertools
import json
import math
import sys
from pathlib import Path

import choix
import krippendorff
import numpy as np
from scipy import optimize, stats
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import cohen_kappa_score
import statsmodels.api as sm
from statsmodels.stats.inter_rater import fleiss_kappa
from statsmodels.stats.proportion import proportion_confint

SEED = 8
rng = np.random.default_rng(SEED)
OUT = Path(sys.argv[1])
VERSIONS = {p: md.version(p) for p in ("numpy", "scipy", "scikit-learn", "statsmodels", "krippendorff", "choix")}


def clean(x):
    """NaN becomes null."""
    if isinstance(x, dict):
        return {k: clean(v) for k, v in x.items()}
    if isinstance(x, (list, tuple, np.ndarray)):
        return [clean(v) for v in x]
    if isinstance(x, (bool, np.bool_)):
        return bool(x)
    if isinstance(x, (int, np.integer)):
        return int(x)
    x = float(x)
    return None if math.isnan(x) else x


def write(name, **content):
    head = {"script": "tools/oracle/stats_oracle.py", "versions": VERSIONS, "seed": SEED}
    rows = ",\n".join(json.dumps(k) + ": [\n" + ",\n".join(json.dumps(clean(r)) for r in v) + "\n]" for k, v in content.items())
    (OUT / f"{name}.json").write_text(json.dumps(head)[:-1] + ",\n" + rows + "\n}\n")


# ---- shares ---------------------------------------------------------------------------------------------------------
def shares():
    tests, intervals, t_tests = [], [], []
    for k, n, p in [(0, 1, .5), (1, 1, .5), (0, 10, .5), (3, 10, .3), (5, 10, .5), (7, 20, .2), (1, 20, .6), (20, 20, .9), (0, 30, .02), (110, 115, .5), (56, 115, .5), (60, 115, .5),
                    (400, 1000, .45), (5, 1000, .001), (12, 1000, .001), (500, 1000, .5), (100000, 200500, .5), (3, 7, 1 / 3), (2, 6, 1 / 3), (999, 1000, .9999), (70, 100, .8), (90, 100, .8)]:
        tests.append({"k": k, "n": n, "p": p, "value": stats.binomtest(k, n, p).pvalue})
    for k, n in [(0, 1), (1, 1), (0, 10), (10, 10), (1, 2), (110, 115), (1, 1000), (999, 1000), (50, 100), (3, 17), (40000, 100000)]:
        low, high = proportion_confint(k, n, method="beta")
        wilson = proportion_confint(k, n, method="wilson")
        intervals.append({"k": k, "n": n, "low": 0.0 if k == 0 else low, "high": 1.0 if k == n else high, "wilson_low": wilson[0], "wilson_high": wilson[1]})
    for t, v in [(0, 1), (1, 1), (12.7, 1), (2, 2), (-2.1, 5.5), (1e-3, 30), (3, 100), (10, 10), (40, 8), (1.96, 1e6), (5, 1e5), (0.3, 0.7)]:
        t_tests.append({"t": t, "freedom": v, "p": 2 * stats.t.sf(abs(t), v), "quantile_975": stats.t.ppf(.975, v), "quantile_9": stats.t.ppf(.9, v)})
    write("shares", binomial=tests, intervals=intervals, t=t_tests)


# ---- order ----------------------------------------------------------------------------------------------------------
def order():
    rows = []
    cases = [(rng.normal(size=n), None) for n in (3, 4, 5, 10, 57, 400)]
    cases += [(rng.integers(0, 5, n).astype(float), rng.integers(0, 4, n).astype(float)) for n in (2, 3, 6, 20, 115, 960)]
    cases += [(np.array([1., 2.]), np.array([5., 3.])), (np.array([1., 2.]), np.array([3., 3.])), (np.array([2., 2., 2.]), np.array([1., 2., 3.])), (np.array([1., 2., 3., 4.]), np.array([10., 20., 30., 40.])),
              (np.array([1., 2., 3., 4.]), np.array([4., 3., 2., 1.])), (np.array([1., 2., 3.]), np.array([7., 7., 7.])), (1e9 + rng.normal(size=50), 1e9 + rng.normal(size=50)), (np.array([4.]), np.array([2.])),
              (np.arange(12.), np.repeat([1., 2., 3.], 4))]
    for x, y in cases:
        if y is None:
            y = 0.4 * x + rng.normal(size=len(x))
        n = len(x)
        with np.errstate(all="ignore"):
            varies = n >= 2 and np.ptp(x) > 0 and np.ptp(y) > 0
            nan = (math.nan, math.nan)
            pearson = tuple(stats.pearsonr(x, y)) if varies else nan
            spearman = tuple(stats.spearmanr(x, y)) if varies else nan
            if varies and n == 2:
                pearson, spearman = (pearson[0], 1.0), (spearman[0], 1.0)
            kendall = nan if not varies else (pearson[0], 2 * stats.norm.sf(1)) if n == 2 else tuple(stats.kendalltau(x, y, method="asymptotic"))
            line = None
            if n >= 3 and np.ptp(x) > 0:
                fit = sm.OLS(y, sm.add_constant(x)).fit()
                if np.abs(fit.resid).max() > 1e-9:
                    line = [fit.params[0], fit.params[1], fit.bse[1], fit.pvalues[1], *fit.conf_int()[1]]
        rows.append({"x": x, "y": y, "mean": np.mean(x), "sd": np.std(x, ddof=1) if n > 1 else math.nan, "quantiles": [np.quantile(x, q) for q in (0, .025, .5, .9, 1)], "ranks": stats.rankdata(x),
                     "pearson": pearson, "spearman": spearman, "kendall": kendall, "line": line or []})
    write("order", rows=rows)


# ---- agreement ------------------------------------------------------------------------------------------------------
def kappa_weighted(a, b, k):
    i = np.arange(k)
    w = (i[:, None] - i[None, :]) ** 2.0
    o = np.zeros((k, k))
    for x, y in zip(a, b):
        o[x, y] += 1
    e = np.outer(o.sum(1), o.sum(0)) / len(a)
    return 1 - (w * o).sum() / (w * e).sum() if (w * e).sum() > 0 else math.nan


def agreement():
    two, many, alpha, numbers = [], [], [], []
    for n, k in [(1, 2), (2, 2), (10, 2), (50, 3), (115, 3), (960, 10), (30, 5)]:
        a = rng.integers(0, k, n)
        b = np.where(rng.random(n) < .5, a, rng.integers(0, k, n))
        two.append({"a": a, "b": b, "k": k})
    two += [{"a": np.array([1, 1, 1]), "b": np.array([1, 1, 1]), "k": 3}, {"a": np.array([0, 1, 2, 1]), "b": np.array([0, 1, 2, 1]), "k": 3}, {"a": np.array([0, 0, 1, 1]), "b": np.array([1, 1, 0, 0]), "k": 2},
            {"a": np.array([1, 1, 1]), "b": np.array([2, 2, 0]), "k": 3}]
    for r in two:
        a, b, k = r["a"], r["b"], r["k"]
        constant = len(set(a) | set(b)) < 2
        r["kappa"] = math.nan if constant else cohen_kappa_score(a, b)
        r["weighted"] = math.nan if constant else cohen_kappa_score(a, b, weights="quadratic", labels=list(range(k)))
        assert constant or abs(r["weighted"] - kappa_weighted(a, b, k)) < 1e-12
    for items, raters, k in [(10, 2, 2), (40, 5, 3), (100, 3, 7), (1, 4, 2)]:
        counts = np.array([np.bincount(rng.integers(0, k, raters), minlength=k) for _ in range(items)])
        many.append({"counts": counts.ravel(), "items": items, "k": k, "value": fleiss_kappa(counts)})
    many.append({"counts": [3, 0, 3, 0], "items": 2, "k": 2, "value": math.nan})
    for items, raters, values, missing in [(12, 2, 5, 0), (12, 4, 5, .25), (60, 3, 3, .4), (200, 6, 10, .2), (15, 5, 100, .3), (5, 2, 2, 0)]:
        truth = rng.integers(0, values, items)
        r = np.where(rng.random((items, raters)) < .6, truth[:, None], rng.integers(0, values, (items, raters))).astype(float)
        r[rng.random((items, raters)) < missing] = np.nan
        row = {"ratings": r.ravel(), "items": items, "raters": raters}
        for level in ("nominal", "ordinal", "interval"):
            row[level] = krippendorff.alpha(reliability_data=r.T, level_of_measurement=level)
        alpha.append(row)
    # Krippendorff's own example with missing data (4 observers, 12 units): .743, .815, .849.
    own = [[1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None], [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3], [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None], [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None]]
    own = np.array(own, dtype=float)
    row = {"ratings": own.T.ravel(), "items": 12, "raters": 4}
    for level, known in (("nominal", .743), ("ordinal", .815), ("interval", .849)):
        row[level] = krippendorff.alpha(reliability_data=own, level_of_measurement=level)
        assert abs(row[level] - known) < 6e-4
    alpha.append(row)
    for n in (2, 30):
        a, b = rng.normal(size=n), rng.normal(size=n)
        d = a - b
        z = stats.norm.ppf(.975)
        numbers.append({"a": a, "b": b, "bias": d.mean(), "sd": d.std(ddof=1), "low": d.mean() - z * d.std(ddof=1), "high": d.mean() + z * d.std(ddof=1)})
    write("agreement", two=two, many=many, alpha=alpha, bland_altman=numbers)


# ---- ratings --------------------------------------------------------------------------------------------------------
def maximum(loss_terms, n, ridge):
    """Maximum of sum chosen.r - sum w log sum e^r - ridge/2 r.r, by BFGS and then Newton to the last digits."""
    def value(r):
        return -sum(w * (r[c] - np.log(np.exp(r[list(s)]).sum())) for c, s, w in loss_terms) + ridge / 2 * (r @ r)

    def slopes(r):
        g, h = -ridge * r, ridge * np.eye(n)
        for c, s, w in loss_terms:
            s = list(s)
            p = np.exp(r[s]) / np.exp(r[s]).sum()
            g[c] += w
            g[s] -= w * p
            h[np.ix_(s, s)] += w * (np.diag(p) - np.outer(p, p))
        return g, h

    r = optimize.minimize(value, np.zeros(n), method="BFGS").x
    r -= r.mean()
    for _ in range(20):
        g, h = slopes(r)
        r = r + np.linalg.lstsq(h, g, rcond=None)[0]
        r -= r.mean()
    assert np.abs(slopes(r)[0]).max() < 1e-9
    return r


def matches_of(strength, count, ties):
    out = []
    for _ in range(count):
        i, j = rng.choice(len(strength), 2, replace=False)
        won = float(rng.random() < 1 / (1 + math.exp(strength[j] - strength[i])))
        out.append([int(i), int(j), .5 if rng.random() < ties else won])
    return out


def ratings():
    pairs, rankings, elo = [], [], []
    for n, count, ties, ridge in [(2, 10, .2, 0), (3, 60, 0, 0), (4, 200, .3, 0), (7, 900, .2, 0), (5, 30, 0, 1.0), (3, 4, 0, .5)]:
        m = matches_of(rng.normal(size=n), count, ties)
        weight = [float(w) for w in rng.choice([1, 3], count)] if ties else [1.0] * count
        terms = [t for (i, j, s), w in zip(m, weight) for t in ((i, (i, j), w * s), (j, (i, j), w * (1 - s)))]
        r = maximum(terms, n, ridge)
        if ties == 0 and ridge == 0:                                    # choix knows neither ties nor this penalty
            c = choix.opt_pairwise(n, [(i, j) if s == 1 else (j, i) for i, j, s in m], tol=1e-12)
            assert np.abs(c - c.mean() - r).max() < 1e-4
        pairs.append({"n": n, "matches": m, "weight": weight, "ridge": ridge, "r": r})
    for n, items, shown, levels, ridge in [(3, 30, 3, 99, 0), (5, 60, 4, 99, 0), (4, 40, 4, 3, 0), (7, 50, 7, 3, 0), (4, 3, 3, 2, .7), (2, 30, 2, 2, 0)]:
        strength, rank, terms, plain = rng.normal(size=n), np.zeros((items, n), dtype=int), [], []
        for item in range(items):
            who = rng.choice(n, shown, replace=False)
            score = strength[who] + rng.gumbel(size=shown)
            if levels < 99:
                score = np.digitize(score, np.quantile(score, np.arange(1, levels) / levels))
            rank[item, who] = stats.rankdata(-score, method="min" if item % 2 else "dense")
            groups = [[int(w) for w in who if rank[item, w] == x] for x in sorted(set(rank[item, who]))]
            for at, group in enumerate(groups):
                after = [w for g in groups[at + 1:] for w in g]
                orders = list(itertools.permutations(group))
                for one in orders:
                    for k, chosen in enumerate(one):
                        terms.append((chosen, tuple(one[k:]) + tuple(after), 1 / len(orders)))
            plain.append(tuple(w for g in groups for w in g))
        merged = {}
        for c, s, w in terms:
            key = (c, tuple(sorted(s)))
            merged[key] = merged.get(key, 0) + w
        r = maximum([(c, s, w) for (c, s), w in merged.items()], n, ridge)
        if levels == 99:
            c = choix.opt_rankings(n, plain, tol=1e-12)
            assert np.abs(c - c.mean() - r).max() < 1e-4
        rankings.append({"n": n, "items": items, "rank": rank.ravel(), "ridge": ridge, "r": r})
    for n, count, k in [(2, 1, 32), (4, 100, 4)]:
        m = matches_of(rng.normal(size=n), count, .2)
        r = [1000.0] * n
        for i, j, s in m:
            e = 1 / (1 + 10 ** ((r[j] - r[i]) / 400))
            r[i] += k * (s - e)
            r[j] += k * ((1 - s) - (1 - e))
        elo.append({"n": n, "matches": m, "k": k, "r": r})
    write("ratings", pairs=pairs, rankings=rankings, elo=elo)


# ---- logistic and isotonic regression -------------------------------------------------------------------------------
def logistic():
    rows = []
    for n, k, fractional, weighted, ridge in [(30, 1, False, False, 0), (100, 3, False, False, 0), (200, 4, True, True, 0), (60, 3, False, True, .5), (500, 5, True, False, 2)]:
        x = rng.normal(size=(n, k))
        x[:, 0] = 1
        p = 1 / (1 + np.exp(-x @ rng.normal(size=k)))
        y = np.round(p * 2 + rng.normal(size=n) * .5) / 2 if fractional else (rng.random(n) < p).astype(float)
        y = np.clip(y, 0, 1)
        w = rng.choice([1.0, .5, 3.0], n) if weighted else np.ones(n)
        penalised = [False] + [True] * (k - 1)
        penalty = np.diag([ridge if q else 0.0 for q in penalised])
        b = np.zeros(k)
        for _ in range(60):
            q = 1 / (1 + np.exp(-x @ b))
            h = x.T @ (x * (w * q * (1 - q))[:, None]) + penalty
            b = b + np.linalg.solve(h, x.T @ (w * (y - q)) - penalty @ b)
        error = np.sqrt(np.diag(np.linalg.inv(h)))
        groups = rng.permutation(np.arange(n) // 3)
        pull = np.zeros((groups.max() + 1, k))
        np.add.at(pull, groups, x * (w * (y - 1 / (1 + np.exp(-x @ b))))[:, None])
        inverse = np.linalg.inv(h)
        clustered = np.sqrt(np.diag(inverse @ (pull.T @ pull) @ inverse) * len(pull) / (len(pull) - 1))
        if ridge == 0 and not weighted:
            robust = sm.GLM(y, x, family=sm.families.Binomial()).fit(tol=1e-14, maxiter=200, cov_type="cluster", cov_kwds={"groups": groups})
            scale = (n - 1) / (n - k)                                    # statsmodels corrects for features too
            assert np.abs(robust.bse / np.sqrt(scale) - clustered).max() < 1e-8
        if ridge == 0:
            fit = sm.GLM(y, x, family=sm.families.Binomial(), freq_weights=w).fit(tol=1e-14, maxiter=200)
            assert np.abs(fit.params - b).max() < 1e-8 and np.abs(fit.bse - error).max() < 1e-7
        elif not fractional:                                            # scikit-learn penalises all features, so the constant goes in as intercept
            fit = LogisticRegression(C=1 / ridge, tol=1e-12, max_iter=10000, solver="newton-cholesky").fit(x[:, 1:], y, sample_weight=w)
            assert np.abs(np.concatenate([fit.intercept_, fit.coef_[0]]) - b).max() < 1e-6
        rows.append({"rows": n, "k": k, "x": x.ravel(), "y": y, "weight": w, "penalised": penalised, "ridge": ridge, "b": b, "error": error, "cluster": groups, "clustered": clustered})
    write("logistic", rows=rows)


def isotonic():
    rows = []
    for n, values in [(1, 5), (2, 2), (10, 5), (40, 8), (300, 1000)]:
        x = rng.integers(1, values + 1, n).astype(float)
        y = np.round(x / values * 3 + rng.normal(size=n), 3)
        w = rng.choice([1.0, 2.0, .25], n)
        at = np.concatenate([np.linspace(-1, values + 2, 37), np.unique(x)])
        for weight in (None, w):
            fit = IsotonicRegression(out_of_bounds="clip").fit(x, y, sample_weight=weight)
            rows.append({"x": x, "y": y, "weight": np.ones(n) if weight is None else weight, "at": at, "value": fit.predict(at)})
    write("isotonic", rows=rows)


OUT.mkdir(parents=True, exist_ok=True)
shares()
order()
agreement()
ratings()
logistic()
isotonic()
