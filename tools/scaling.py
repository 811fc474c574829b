#!/usr/bin/env python3
"""How training over ranks scales: a small model of computing and network, held against measured runs, and what it says of clusters.

    tools/scaling.py measure WORK [--program build/starchat] [--leaves 8] [--seconds ...]   runs 1, 2, 3, 4 and 8 ranks on this machine
    tools/scaling.py compare WORK                      fits the model to 1 and 2 ranks and says how far it is from the others
    tools/scaling.py predict [--gflops 3000] [--gbits 100] [--latency 5e-6] [--tokens 2048] [--rows 4096]

One step of stage 3 is walked through as src/train/shards.c does it: per round a leaf on each rank; weights of a block gathered one
ahead of the pass, forward and back; a block's gradient reduced when it is complete; messages one job after the other beside the
computing. A job of b bytes among n ranks takes latency (n - 1) + b (n - 1) / n / bandwidth. Standard library only."""
import argparse
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
RANKS = (1, 2, 3, 4, 8)


# ---- one step -----------------------------------------------------------------------------------------------------------------


def walk(n, rounds, blocks, block_bytes, outside_bytes, forward, back, update, bandwidth, latency, ahead=1):
    """Seconds of a step of `rounds` full rounds on n ranks, and of these how many the work stood still. forward, back: of one block."""
    def job(size):
        return latency * (n - 1) + size * (n - 1) / n / bandwidth if n > 1 else 0.0

    work = free = still = 0.0                      # when the work and when the messages are ready for what comes next
    held = []                                      # the blocks in the two places

    def gather(b, now):
        nonlocal free, held
        if b in held:
            return 0.0
        held = ([h for h in held if h % 2 != b % 2]) + [b]
        free = max(free, now) + job(block_bytes)
        return free

    free = job(outside_bytes)                      # embeddings, head and small tensors, once a step
    work = still = free
    for _ in range(rounds):
        order = [(b, forward, False) for b in range(blocks)] + [(b, back, True) for b in reversed(range(blocks))]
        ready, reduced = {}, {}
        for i, (b, seconds, goes_back) in enumerate(order):
            at = ready.pop(b, 0.0) or gather(b, work)
            if goes_back:
                at = max(at, reduced.get(b % 2, 0.0))            # the place of its gradient must be empty
            still += max(0.0, at - work)
            work = max(work, at)
            following = order[i + 1][0] if i + 1 < len(order) else None
            if following is not None and following != b:
                done = gather(following, work)
                if done:
                    ready[following] = done
            work += seconds
            if goes_back:
                free = max(free, work) + job(block_bytes)
                reduced[b % 2] = free
        free = max(free, work) + job(outside_bytes)
        still += max(0.0, free - work)
        work = max(work, free)
    return work + update, still


# ---- this machine -----------------------------------------------------------------------------------------------------------------


CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 267, "hidden_size": 512, "num_hidden_layers": 12, "num_attention_heads": 8, "num_key_value_heads": 8,
          "intermediate_size": 1536, "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": True, "initializer_range": 0.02,
          "bos_token_id": 261, "eos_token_id": 261}


def measure(work, program, leaves):
    work.mkdir(parents=True, exist_ok=True)
    (work / "config.json").write_text(json.dumps(CONFIG))
    if not (work / "model").exists():
        subprocess.run([program, "init", "config.json", "model", "--tokenizer", str(ROOT / "tests/golden/tokenizers/bytes/tokenizer.json"), "--seed", "7", "-q"], cwd=work, check=True)
    with open(work / "dialogues.jsonl", "w") as f:
        for i in range(400):
            f.write(json.dumps({"messages": [{"role": "user", "content": f"count from {i}"}, {"role": "assistant", "content": " ".join(str(i + k) for k in range(60))}]}) + "\n")
    recipe = {"model_name_or_path": "model", "dataset_name": "dialogues.jsonl", "dialogue_template": "no_system", "block_size": 256, "max_steps": 5, "total_train_batch_size": leaves, "learning_rate": 1e-4,
              "evaluation_strategy": "no", "save_strategy": "no", "eval_samples": 0, "report_to": "none", "logging_steps": 1, "gradient_checkpointing": False, "output_dir": "out", "zero": 3}
    (work / "recipe.yaml").write_text("".join(f"{k}: {json.dumps(v)}\n" for k, v in recipe.items()))
    found = {}
    for turn in range(2):                          # there and back, so that a machine that grows slower does not favour one
        for n in RANKS if turn == 0 else reversed(RANKS):
            shutil.rmtree(work / "out", ignore_errors=True)
            line = [program, "train", "recipe.yaml", "--threads", "1", "-q"]
            if n > 1:
                line = ["mpirun.openmpi", "--allow-run-as-root", "--oversubscribe", "-n", str(n), *line]
            subprocess.run(line, cwd=work, check=True, stdout=subprocess.DEVNULL)
            events = [json.loads(text) for text in open(work / "out/events.jsonl")]
            steps = [e for e in events if e["event"] == "step"][1:]
            seconds = sorted(e["tokens"] / e["tokens_per_second"] / e["step"] for e in steps)
            ranks = [e["ranks"] for e in events if e["event"] == "ranks"][1:]
            # of all ranks together, a step
            sums = {k: sum(r[k] for e in ranks for r in e) / len(ranks) for k in ranks[0][0]} if ranks else {}
            found.setdefault(str(n), []).append({"step": seconds[len(seconds) // 2], **sums})
            print(n, "ranks:", round(seconds[len(seconds) // 2], 3), "s a step", flush=True)
    (work / "measured.json").write_text(json.dumps({"leaves": leaves, "cores": os.cpu_count(), "runs": found}, indent=1))


def compare(work):
    """Ranks of one machine share its cores: computing and messages of all of them take turns on them. The fit: a leaf's seconds
    (1 rank), and what a byte costs a core, with all that comes with it (2 ranks). 3, 4 and 8 ranks are then predicted."""
    m = json.loads((work / "measured.json").read_text())
    leaves, cores = m["leaves"], m["cores"]
    mean = {int(n): {k: sum(r[k] for r in runs) / len(runs) for k in runs[0]} for n, runs in m["runs"].items()}
    alone = mean[1]["step"]
    byte = max(0.0, 2 * mean[2]["step"] - alone) / mean[2]["sent_bytes"]
    print(f"a leaf {alone / leaves:.3f} s, a byte {byte * 1e9:.2f} ns of a core\n")
    print("| ranks | sent by all, MB a step | measured s a step | model | model / measured |\n|---|---|---|---|---|")
    worst = 0.0
    for n in RANKS:
        sent = mean[n].get("sent_bytes", 0.0)
        modelled = alone if n == 1 else (alone + byte * sent) / min(n, cores)
        worst = max(worst, abs(modelled / mean[n]["step"] - 1))
        print(f"| {n} | {sent / 1e6:,.0f} | {mean[n]['step']:.3f} | {modelled:.3f} | {modelled / mean[n]['step']:.2f} |")
    print(f"\nlargest difference {100 * worst:.0f} % (bar: 15 %)")
    return worst > 0.15


# ---- clusters -------------------------------------------------------------------------------------------------------------------------


STARCODER = {"blocks": 40, "block": 4 * (6144 * (6144 + 2 * 128) + 6144 * 6144 + 2 * 6144 * 24576), "outside": 4 * (49152 + 8192) * 6144}


def predict(a):
    model = STARCODER
    block_weights, tokens = model["block"] / 4, a.tokens
    operations = 2 * tokens * (block_weights + 2 * 6144 * tokens / 2)
    forward = operations / (a.gflops * 1e9)
    back = 2 * forward
    head = 3 * 2 * tokens * 49152 * 6144 / (a.gflops * 1e9)
    bandwidth = a.gbits * 1e9 / 8
    print(f"Prediction, not measured: StarCoder-15.5B, everything trained in f32, rows of {tokens} tokens, {a.rows} rows a step, each rank {a.gflops:g} GFLOP/s and {a.gbits:g} Gbit/s, {a.latency * 1e6:g} us a message\n")
    print("| ranks | rounds | s a step | tokens/s | of N times one rank | standing still | states a rank |\n|---|---|---|---|---|---|---|")
    one = None
    for n in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096):
        rounds = math.ceil(a.rows / n)
        walked = min(rounds, 6)                    # all rounds but the first are alike
        update = 16 * 15.5e9 / n / 20e9            # moments and values once through memory, 20 GB/s
        seconds, still = walk(n, walked, model["blocks"], model["block"], model["outside"], forward, back, update, bandwidth, a.latency)
        if rounds > walked:
            fewer, fewer_still = walk(n, walked - 1, model["blocks"], model["block"], model["outside"], forward, back, update, bandwidth, a.latency)
            seconds, still = seconds + (seconds - fewer) * (rounds - walked), still + (still - fewer_still) * (rounds - walked)
        seconds += rounds * head
        rate = a.rows * tokens / seconds
        one = one or rate
        print(f"| {n} | {rounds} | {seconds:,.0f} | {rate:,.0f} | {rate / one / n:.2f} | {100 * still / seconds:.0f} % | {16 * 15.5 / n:.1f} GB |")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=("measure", "compare", "predict"))
    p.add_argument("work", nargs="?", type=pathlib.Path)
    p.add_argument("--program", default=str(ROOT / "build/starchat"))
    p.add_argument("--leaves", type=int, default=8)
    p.add_argument("--gflops", type=float, default=3000)
    p.add_argument("--gbits", type=float, default=100)
    p.add_argument("--latency", type=float, default=5e-6)
    p.add_argument("--tokens", type=int, default=2048)
    p.add_argument("--rows", type=int, default=4096)
    a = p.parse_args()
    if a.what == "predict":
        return predict(a)
    if not a.work:
        p.error("WORK is missing")
    return measure(a.work.resolve(), str(pathlib.Path(a.program).resolve()), a.leaves) if a.what == "measure" else compare(a.work)


if __name__ == "__main__":
    sys.exit(main())
