"""ZeRO-3 over two processes: `mpirun starchat train` with zero: 3 beside DeepSpeed stage 3 over gloo, on the CPU: losses, tokens
a second, memory. Both train one randomly initialised Llama on the same packed rows in file order, in float32: AdamW, weight decay
of matrices, a constant learning rate, clipping at 1, one thread a rank. A step's loss is the mean over all its targets, of all ranks.

    python tools/oracle/train_deepspeed.py WORK [--program build/starchat] [--ranks 2] [--steps 50] [--side both|starchat|deepspeed|compare]

WORK keeps model, data and results, so --side can split the work; the model's seed is 4200. Prints JSON; ends with 1 if a bar is missed.
Both sides make a step of ranks x --accumulate x --rows rows of --block tokens; --checkpointing recomputes blocks in both.
tokens_per_second: of all ranks together, over all steps but the first --skip. cpu_seconds_a_step is one rank's processor time, which
  other work on the machine changes less (of starchat: the whole run's, with start and end).
beyond: the largest peak of a rank - what it held before there was a model - 16 bytes (value, gradient, two moments) x parameters / ranks.
  DeepSpeed's is the peak from the first step on (the kernel's mark is set back when the model is ready), less Python, torch, gloo and
  DeepSpeed, and also less what these import and set up in two steps of a very small model, made first; beyond_with_setup_mb counts
  that. starchat's is that of the whole process, and all of it counts: nothing is taken off for program or MPI.
--adam: fused (what DeepSpeed takes by itself on a CPU) or torch (torch.optim.AdamW), or cpu (DeepSpeedCPUAdam, with
  offload_optimizer); the first and last are compiled when first used, with ninja. --buckets hf: reduce, prefetch and persistence
  from the hidden size, as transformers' "auto"; default: DeepSpeed's own. --live: stage3_max_live_parameters and reuse distance.
--starchat-ranks 1 runs starchat in one process, without mpirun and zero: the same losses, for trying this program.

Made with Python 3.11, deepspeed 0.19.8, torch 2.15.0, transformers 5.23.0, Open MPI 4.1.4. DeepSpeed stays out of the other oracles'
environment (accelerate and TRL change what they do when they find it), so in one laid over it:
    python -m venv D && echo ORACLE/lib/python3.11/site-packages > D/lib/python3.11/site-packages/oracle.pth
    D/bin/pip install wheel setuptools && DS_BUILD_OPS=0 D/bin/pip install --no-build-isolation deepspeed==0.19.8
This file cannot be called deepspeed.py: every script of this folder would import it for the package.
"""
import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time

SEED = 4200
MODELS = {
    "123m": {"hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 12, "num_attention_heads": 12, "num_key_value_heads": 12},
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2},
}
HYPER = {"learning_rate": 3e-4, "adam_beta1": 0.9, "adam_beta2": 0.999, "adam_epsilon": 1e-8, "weight_decay": 0.01, "max_grad_norm": 1.0}
BARS = {"loss_difference": 1e-3, "speed": 1.5, "beyond": 0.5}


# ---- memory of a process -------------------------------------------------------------------------------------------------


def memory(pid="self"):
    """Bytes: VmRSS, VmHWM, RssAnon, RssFile, RssShmem."""
    with open(f"/proc/{pid}/status") as f:
        fields = dict(line.split(":", 1) for line in f if line.startswith(("VmHWM", "VmRSS", "Rss")))
    return {k: int(v.split()[0]) * 1024 for k, v in fields.items()}


class Watch(threading.Thread):
    """Looks at a process ten times a second: keeps what it was made of when it was largest."""

    def __init__(self, pid="self"):
        super().__init__(daemon=True)
        self.pid, self.largest, self.done = pid, {}, threading.Event()

    def run(self):
        while not self.done.wait(0.1):
            try:
                now = memory(self.pid)
            except OSError:
                return
            if now.get("VmRSS", 0) > self.largest.get("VmRSS", 0):
                self.largest = now


def wrap(into, command):
    """Runs one rank of the program; its peak goes to the directory `into`."""
    process = subprocess.Popen(command)
    watch = Watch(process.pid)
    watch.start()
    _, status, usage = os.wait4(process.pid, 0)
    watch.done.set()
    rank = os.environ.get("OMPI_COMM_WORLD_RANK", "0")
    with open(os.path.join(into, f"rank{rank}.json"), "w") as f:
        json.dump({"peak": usage.ru_maxrss * 1024, "cpu_seconds": usage.ru_utime + usage.ru_stime, "at_largest": watch.largest}, f)
    return os.waitstatus_to_exitcode(status)


# ---- DeepSpeed: one rank ---------------------------------------------------------------------------------------------------


def read_rows(directory, block):
    """Rows of a data set packed with chop; the layout is in src/data/data.h."""
    import numpy as np
    with open(os.path.join(directory, "dataset.json")) as f:
        shard, = json.load(f)["splits"]["train"]["shards"]
    with open(os.path.join(directory, shard["file"]), "rb") as f:
        data = f.read()
    assert data[:8] == b"SCTOKENS"
    rows, segments, tokens = (int(x) for x in np.frombuffer(data, "<u8", 3, 16))
    assert tokens == rows * block
    at = 64 + 8 * (rows + 1) + 32 * segments
    assert (np.frombuffer(data, "u1", tokens, at + 4 * tokens) >> 3 & 1).all()           # every token is trained
    return np.frombuffer(data, "<i4", tokens, at).reshape(rows, block)


def deepspeed_config(a, hidden):
    zero = {"stage": 3, "stage3_max_live_parameters": a.live, "stage3_max_reuse_distance": a.live}
    if a.buckets == "hf":
        zero.update(reduce_bucket_size=hidden * hidden, stage3_prefetch_bucket_size=int(0.9 * hidden * hidden), stage3_param_persistence_threshold=10 * hidden)
    if a.adam == "cpu":
        zero["offload_optimizer"] = {"device": "cpu"}
    return {"train_micro_batch_size_per_gpu": a.rows, "gradient_accumulation_steps": a.accumulate, "gradient_clipping": HYPER["max_grad_norm"], "zero_optimization": zero,
            "steps_per_print": 1 << 30,
            "optimizer": {"type": "AdamW", "params": {"lr": HYPER["learning_rate"], "betas": [HYPER["adam_beta1"], HYPER["adam_beta2"]], "eps": HYPER["adam_epsilon"],
                                                      "torch_adam": a.adam == "torch"}}}


def make_groups(model):
    """Matrices decay; what is shared out tells its own shape."""
    parts = list(model.parameters())
    return [{"params": [p for p in parts if len(p.ds_shape) > 1], "weight_decay": HYPER["weight_decay"]}, {"params": [p for p in parts if len(p.ds_shape) < 2], "weight_decay": 0.0}]


def warm_up(a):
    """Two steps of a very small model, thrown away: what PyTorch and DeepSpeed import and set up at the first use is then there."""
    import deepspeed
    import torch
    import transformers
    from transformers.integrations import HfDeepSpeedConfig

    config = deepspeed_config(a, 64)
    kept = HfDeepSpeedConfig(config)
    small = transformers.LlamaConfig(vocab_size=64, **MODELS["tiny"])
    with deepspeed.zero.Init(config_dict_or_path=config):
        model = transformers.LlamaForCausalLM(small)
    engine = deepspeed.initialize(model=model, model_parameters=make_groups(model), config=config)[0]
    ids = torch.zeros(a.rows, 16, dtype=torch.long)
    for _ in range(2 * a.accumulate):
        engine.backward(engine(input_ids=ids, labels=ids, num_items_in_batch=16).loss)
        engine.step()
    engine.destroy()
    del kept


def worker(a):
    import gc

    import deepspeed
    import torch
    import transformers
    from transformers.integrations import HfDeepSpeedConfig

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    deepspeed.init_distributed(dist_backend="gloo")
    rank, ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
    rows = torch.tensor(read_rows(a.path("data"), a.block), dtype=torch.long)
    torch.distributed.barrier()
    before = memory()["VmRSS"]
    warm_up(a)
    gc.collect()
    torch.distributed.barrier()
    warm = memory()["VmRSS"]

    hidden = transformers.AutoConfig.from_pretrained(a.path("model")).hidden_size
    config = deepspeed_config(a, hidden)
    kept = HfDeepSpeedConfig(config)                       # from_pretrained shares the parameters out as it loads them
    model = transformers.AutoModelForCausalLM.from_pretrained(a.path("model"), dtype=torch.float32, attn_implementation="sdpa")
    model.config.use_cache = False
    if a.checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    engine, optimizer, _, _ = deepspeed.initialize(model=model, model_parameters=make_groups(model), config=config)
    engine.train()
    loading = memory()
    with open("/proc/self/clear_refs", "w") as f:
        f.write("5")                                       # VmHWM begins anew

    out = {"loss": [], "grad_norm": [], "seconds": []}
    each = a.rows * a.accumulate * ranks
    count = each * (a.block - 1)
    watch = Watch()
    watch.start()
    processor = time.process_time()
    for step in range(a.steps):
        begin = time.perf_counter()
        total = 0.0
        for micro in range(a.accumulate):
            first = step * each + (micro * ranks + rank) * a.rows
            ids = rows[[i % len(rows) for i in range(first, first + a.rows)]]
            loss = engine(input_ids=ids, labels=ids, num_items_in_batch=count).loss    # sum of the cross-entropies / count
            total += loss.item()
            engine.backward(loss * ranks * a.accumulate)   # it divides by both
            engine.step()
        whole = torch.tensor(total, dtype=torch.float64)
        torch.distributed.all_reduce(whole)
        out["seconds"].append(time.perf_counter() - begin)
        out["loss"].append(whole.item())
        out["grad_norm"].append(float(engine.get_global_grad_norm()))
        if rank == 0 and (step % 10 == 9 or step < 3):
            print(f"DeepSpeed: step {step + 1}, loss {out['loss'][-1]:.5f}, {out['seconds'][-1]:.2f} s", file=sys.stderr, flush=True)
    watch.done.set()
    out.update(cpu_seconds=time.process_time() - processor, before=before, warm=warm, loaded=loading["VmRSS"], peak_loading=loading["VmHWM"], peak=memory()["VmHWM"], at_largest=watch.largest,
               parameters=sum(p.ds_numel for p in model.parameters()), config=config,
               optimizer=f"{type(optimizer.optimizer).__module__}.{type(optimizer.optimizer).__name__}", backend=torch.distributed.get_backend(),
               versions={m.__name__: m.__version__ for m in (deepspeed, torch, transformers)})
    with open(a.path(f"deepspeed/rank{rank}.json"), "w") as f:
        json.dump(out, f)
    del kept
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


# ---- both sides ------------------------------------------------------------------------------------------------------------


def settings(a):
    """What both sides must have run with to be compared."""
    return {k: getattr(a, k) for k in ("ranks", "steps", "rows", "accumulate", "checkpointing")}


def begin(a, name):
    """An empty directory for the ranks of one side."""
    directory = a.path(name)
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    with open(os.path.join(directory, "settings.json"), "w") as f:
        json.dump(settings(a), f)
    return directory


def environment():
    return {**{k: v for k, v in os.environ.items() if k != "OPENBLAS_CORETYPE"}, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false",
            "PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]}                                   # ninja is there


def prepare(a):
    """Model and data, once."""
    os.makedirs(a.work, exist_ok=True)
    made = {"model": a.model, "block": a.block, "text": a.text, "tokenizer": a.tokenizer}
    if os.path.exists(a.path("made.json")):
        with open(a.path("made.json")) as f:
            if json.load(f) != made:
                raise SystemExit(f"{a.work} was made with other options; take another directory")
        return
    with open(a.tokenizer) as f:
        vocab = max(json.load(f)["model"]["vocab"].values()) + 1
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": vocab, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
              "hidden_act": "silu", "tie_word_embeddings": True, "initializer_range": 0.02, "attention_bias": False, "torch_dtype": "float32", **MODELS[a.model]}
    for name, text in (("config.json", json.dumps(config)), ("template.jinja", "{{ messages[0]['content'] }}")):
        with open(a.path(name), "w") as f:
            f.write(text)
    quiet = {"check": True, "stdout": subprocess.DEVNULL}
    subprocess.run([a.program, "init", a.path("config.json"), a.path("model"), "--tokenizer", a.tokenizer, "--seed", str(SEED), "--overwrite", "--quiet"], **quiet)
    subprocess.run([a.program, "data", "prepare", a.text, "--tokenizer", a.path("model"), "--template", a.path("template.jinja"), "--out", a.path("data"), "--block-size", str(a.block),
                    "--packing", "chop", "--train-on", "all", "--overwrite", "--quiet"], **quiet)
    with open(a.path("made.json"), "w") as f:
        json.dump(made, f)


def run_deepspeed(a):
    begin(a, "deepspeed")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    options = [x for k in ("rows", "accumulate", "steps", "block", "adam", "buckets", "live") for x in (f"--{k}", str(getattr(a, k)))]
    subprocess.run([sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", str(a.ranks), "--master_addr", "127.0.0.1", "--master_port", str(port), os.path.abspath(__file__),
                    a.work, "--worker", *options, *(["--checkpointing"] if a.checkpointing else [])], check=True, env=environment())


def run_starchat(a):
    into = begin(a, "starchat")
    shutil.rmtree(a.path("out"), ignore_errors=True)       # a finished run would only be told
    recipe = dict(HYPER, model_name_or_path=a.path("model"), dataset_name=a.path("data"), dialogue_template=a.path("template.jinja"), block_size=a.block, packing="chop", train_on="all",
                  optim="adamw_torch", max_steps=a.steps, total_train_batch_size=a.rows * a.accumulate * a.ranks, lr_scheduler_type="constant", shuffle="false", output_dir=a.path("out"),
                  overwrite_output_dir="true", evaluation_strategy="no", save_strategy="no", report_to="none", gradient_checkpointing=str(a.checkpointing).lower())
    with open(a.path("recipe.yaml"), "w") as f:
        f.writelines(f"{k}: {v}\n" for k, v in recipe.items())
    command = [sys.executable, os.path.abspath(__file__), "--wrap", into, a.program, "train", a.path("recipe.yaml"), "--threads", "1", "--quiet"]
    if a.starchat_ranks > 1:
        command = [*a.mpirun.split(), "-n", str(a.starchat_ranks), *command, *a.zero.split()]
    subprocess.run(command, check=True, env=environment(), stdout=subprocess.DEVNULL)


def read_ranks(a, name, ranks):
    out = []
    for file in ("settings", *(f"rank{rank}" for rank in range(ranks))):
        with open(a.path(f"{name}/{file}.json")) as f:
            out.append(json.load(f))
    if out[0] != settings(a):
        raise SystemExit(f"{name} ran with {out[0]}, asked is {settings(a)}")
    return out[1:]


def parts(at):
    return {k: round(v / 1e6, 1) for k, v in at.items() if k.startswith("Rss")}


def side(a, loss, grad_norm, seconds, ranks, parameters, more):
    """What one side is judged by; `ranks`: what each left, `warm` is what it held before there was a model."""
    states = 16 * parameters // len(ranks)
    peak, before = max(((r["peak"], r.get("warm", 0)) for r in ranks), key=lambda x: x[0] - x[1])
    steady = seconds[a.skip:] or seconds
    tokens = a.rows * a.accumulate * a.ranks * a.block
    return {"first_loss": loss[0], "last_loss": loss[-1], "last_grad_norm": grad_norm[-1], "tokens_per_second": round(tokens * len(steady) / sum(steady), 1),
            "median_step_seconds": round(statistics.median(steady), 3), "cpu_seconds_a_step": round(max(r["cpu_seconds"] for r in ranks) / len(seconds), 3),
            "peak_mb": round(peak / 1e6, 1), "before_mb": round(before / 1e6, 1), "states_mb": round(states / 1e6, 1),
            "beyond_mb": round((peak - before - states) / 1e6, 1), "ranks": len(ranks), "at_largest_mb": [parts(r["at_largest"]) for r in ranks], **more}


def compare(a):
    theirs = read_ranks(a, "deepspeed", a.ranks)
    ours = read_ranks(a, "starchat", a.starchat_ranks)
    t = theirs[0]
    with open(a.path("out/events.jsonl")) as f:
        steps = [e for e in map(json.loads, f) if e["event"] == "step"]
    if [e["step"] for e in steps] != list(range(1, a.steps + 1)):    # ranks that do not know of each other would all write
        raise SystemExit(f"{a.path('out/events.jsonl')} has {len(steps)} steps, expected each of {a.steps} once")
    tokens = a.rows * a.accumulate * a.ranks * a.block
    found = {
        "starchat": side(a, [e["loss"] for e in steps], [e["grad_norm"] for e in steps], [tokens / e["tokens_per_second"] for e in steps], ours, t["parameters"], {}),
        "deepspeed": side(a, t["loss"], t["grad_norm"], t["seconds"], theirs, t["parameters"],
                          {"beyond_with_setup_mb": round(max(r["peak"] - r["before"] for r in theirs) / 1e6 - 16 * t["parameters"] / a.ranks / 1e6, 1),
                           "loaded_mb": round(max(r["loaded"] for r in theirs) / 1e6, 1), "peak_loading_mb": round(max(r["peak_loading"] for r in theirs) / 1e6, 1),
                           "optimizer": t["optimizer"], "backend": t["backend"], "config": t["config"]}),
    }
    s, d = found["starchat"], found["deepspeed"]
    result = {"loss_difference": max(abs(e["loss"] - x) for e, x in zip(steps, t["loss"])), "speed": s["tokens_per_second"] / d["tokens_per_second"], "beyond": s["beyond_mb"] / d["beyond_mb"]}
    missed = [k for k, bar in BARS.items() if (result[k] < bar if k == "speed" else result[k] > bar)]
    grad_norm = max(abs(e["grad_norm"] - x) / max(x, 1e-12) for e, x in zip(steps, t["grad_norm"]))
    print(json.dumps({**result, "bars": BARS, "missed": missed, "grad_norm_difference_relative": grad_norm, "steps": len(steps), "tokens_a_step": tokens, "parameters": t["parameters"],
                      **found, "versions": t["versions"]}, indent=1))
    return 1 if missed else 0


def main():
    if sys.argv[1:2] == ["--wrap"]:
        sys.exit(wrap(sys.argv[2], sys.argv[3:]))
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("work")
    p.add_argument("--program", default="build/starchat")
    p.add_argument("--side", choices=["both", "starchat", "deepspeed", "compare"], default="both")
    p.add_argument("--model", choices=MODELS, default="123m")
    p.add_argument("--tokenizer", default="../shared/data/tokenizers/gpt2/tokenizer.json")
    p.add_argument("--text", default="../shared/data/eval/wikitext2/test.txt")
    p.add_argument("--ranks", type=int, default=2)
    p.add_argument("--steps", type=int, default=50)
    p.add_argument("--skip", type=int, default=5, help="steps that are not timed")
    p.add_argument("--block", type=int, default=512)
    p.add_argument("--rows", type=int, default=1, help="of a rank at a time")
    p.add_argument("--accumulate", type=int, default=1)
    p.add_argument("--checkpointing", action="store_true")
    p.add_argument("--adam", choices=["fused", "torch", "cpu"], default="fused")
    p.add_argument("--buckets", choices=["hf", "default"], default="hf")
    p.add_argument("--live", type=int, default=10**9)
    p.add_argument("--starchat-ranks", type=int, help="as --ranks")
    p.add_argument("--zero", default="zero=3", help="what starchat is told beside the recipe, with more than one rank")
    p.add_argument("--mpirun", default="mpirun.openmpi --allow-run-as-root --oversubscribe --bind-to none")
    p.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    a = p.parse_args()
    a.work, a.program = os.path.abspath(a.work), os.path.abspath(a.program)
    a.starchat_ranks = a.starchat_ranks or a.ranks
    a.path = lambda name: os.path.join(a.work, name)
    if a.worker:
        worker(a)
        return
    prepare(a)
    if a.side in ("both", "deepspeed"):
        run_deepspeed(a)
    if a.side in ("both", "starchat"):
        run_starchat(a)
    if a.side in ("both", "compare"):
        sys.exit(compare(a))


main()
