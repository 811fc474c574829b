#!/usr/bin/env python3
"""Training over several processes, as a user starts it: mpirun of Open MPI and of MPICH, whichever are installed and have a module.
Every number of ranks and every stage must give the bytes of one process. Usage: tests/cli/test_ranks.py PROGRAM [TEST...]
Last line: "N passed, N failed"."""

import functools
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

PROGRAM = str(pathlib.Path(sys.argv[1]).resolve())
ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRATCH = pathlib.Path(tempfile.mkdtemp(prefix="starchat-ranks-"))
LAUNCHERS = {"openmpi": ["mpirun.openmpi", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "--mca", "btl_vader_single_copy_mechanism", "none"], "mpich": ["mpirun.mpich"]}

COMMON = {"vocab_size": 267, "bos_token_id": 261, "eos_token_id": 261, "initializer_range": 0.1}
CONFIGS = {
    "llama": {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 160,
              "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": True, **COMMON},
    "gpt": {"architectures": ["GPTBigCodeForCausalLM"], "model_type": "gpt_bigcode", "n_embd": 96, "n_layer": 3, "n_head": 4, "n_inner": 192, "n_positions": 128, "multi_query": True,
            "activation_function": "gelu_pytorch_tanh", "layer_norm_epsilon": 1e-5, **COMMON},
}
RECIPE = {"dataset_name": "dialogues.jsonl", "dialogue_template": "no_system", "block_size": 64, "max_steps": 6, "total_train_batch_size": 5, "learning_rate": 0.005, "test_size": 0.1,
          "evaluation_strategy": "steps", "eval_steps": 3, "save_steps": 2, "logging_steps": 2, "eval_samples": 1, "report_to": "none"}
KINDS = {
    "full": {}, "full_kept": {"recompute": False, "optim": "adamw_8bit"}, "bf16": {"weights": "bf16"}, "stochastic": {"weights": "bf16_stochastic", "optim": "adamw_8bit"},
    "lora": {"lora_r": 16, "lora_dropout": 0.1}, "qlora": {"lora_r": 4, "quantize_base": "q8_0"},
}


class Skipped(Exception):
    pass


@functools.cache
def modules():
    """Those whose module is built and whose launcher can start anything at all here."""
    found = []
    for name, line in LAUNCHERS.items():
        if not shutil.which(line[0]) or not (pathlib.Path(PROGRAM).parent / f"starchat-{name}.so").exists():
            continue
        tried = subprocess.run([*line, "-n", "2", "true"], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        if tried.returncode == 0:
            found.append(name)
        else:
            print(f"skipped: {line[0]} cannot start `true` here: {' '.join(tried.stderr.split())[:200]}")
    return found


def set_up():
    for name, config in CONFIGS.items():
        (SCRATCH / f"{name}.json").write_text(json.dumps(config))
        subprocess.run([PROGRAM, "init", f"{name}.json", name, "--tokenizer", ROOT / "tests/golden/tokenizers/bytes/tokenizer.json", "--seed", "7", "-q"], cwd=SCRATCH, check=True)
    with open(SCRATCH / "dialogues.jsonl", "w") as f:
        for i in range(60):
            f.write(json.dumps({"messages": [{"role": "user", "content": f"say {i}"}, {"role": "assistant", "content": f"{i} " * (1 + i % 5)}]}) + "\n")


def recipe(name, **changes):
    lines = [f"{key}: {json.dumps(value)}" for key, value in {**RECIPE, "output_dir": name, **changes}.items()]
    (SCRATCH / f"{name}.yaml").write_text("\n".join(lines) + "\n")
    return SCRATCH / name


def command(name, launcher=None, ranks=1, *more, quiet=True):
    line = [PROGRAM, "train", f"{name}.yaml", "--threads", "1", *(["-q"] if quiet else []), *more]
    return line if ranks == 1 else [*LAUNCHERS[launcher], "-n", str(ranks), *line]


def train(name, launcher=None, ranks=1, *more, ok=True, quiet=True):
    done = subprocess.run(command(name, launcher, ranks, *more, quiet=quiet), cwd=SCRATCH, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    hangs = "MPICH's MPI_Finalize does not return" in done.stderr      # a fault of Debian 12's MPICH, when all is written
    assert not ok or done.returncode == 0 or (launcher == "mpich" and hangs), (name, launcher, ranks, done.stderr[-2000:])
    return done


def outcome(output):
    """Losses of steps and evaluations, answers, and the bytes of the weights."""
    events = [json.loads(line) for line in (output / "events.jsonl").read_text().splitlines()]
    told = [(e["event"], e["step"], e.get("loss"), e.get("grad_norm"), e.get("low"), e.get("answer")) for e in events if e["event"] in ("step", "eval", "sample")]
    weights = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(output.glob("*.safetensors"))}
    assert weights and len([t for t in told if t[0] == "step"]) == 6
    return told, weights


def compare(model, kind, runs):
    alone = recipe(f"{model}-{kind}", model_name_or_path=model, **KINDS[kind])
    train(alone.name)
    expected = outcome(alone)
    for launcher, ranks, stage in runs:
        if launcher not in modules():
            continue
        name = f"{model}-{kind}-{launcher}-{ranks}-{stage}"
        output = recipe(name, model_name_or_path=model, zero=stage, **KINDS[kind])
        train(name, launcher, ranks)
        assert outcome(output) == expected, (name, [(a, b) for a, b in zip(outcome(output)[0], expected[0]) if a != b][:2], outcome(output)[1] == expected[1])


def test_full_llama():
    compare("llama", "full", [("openmpi", 2, 0), ("openmpi", 3, 1), ("openmpi", 2, 2), ("openmpi", 3, 3), ("mpich", 2, 3)])


def test_full_gpt():
    compare("gpt", "full", [("openmpi", 2, 3), ("mpich", 3, 2)])


def test_lora():
    compare("llama", "lora", [("openmpi", 2, 3)])
    compare("gpt", "lora", [("openmpi", 3, 3), ("mpich", 2, 2)])


def test_other_kinds():
    for kind in ("full_kept", "bf16", "stochastic", "qlora"):
        compare("llama", kind, [("openmpi", 2, 3)])
    compare("gpt", "stochastic", [("openmpi", 3, 1)])


def test_matrix():
    """All of it, where STARCHAT_MATRIX=1 asks for it: both models, full and LoRA, 2, 3, 4 and 8 ranks of each MPI."""
    if not os.environ.get("STARCHAT_MATRIX"):
        raise Skipped("STARCHAT_MATRIX=1 runs 32 jobs")
    for model in CONFIGS:
        for kind in ("full", "lora"):
            compare(model, kind, [(launcher, ranks, 3) for launcher in LAUNCHERS for ranks in (2, 3, 4, 8)])
            print(f"       {model}, {kind}: 2, 3, 4 and 8 ranks of {' and '.join(modules())} give the bytes of 1")


def test_preferences():
    with open(SCRATCH / "pairs.jsonl", "w") as f:
        for i in range(40):
            f.write(json.dumps({"prompt": f"say {i}", "chosen": f"{i}!", "rejected": f"no {i * 7}"}) + "\n")
    for loss in ("dpo", "orpo"):
        changes = {"model_name_or_path": "llama", "dataset_name": "pairs.jsonl", "loss_type": loss, "lora_r": 8}
        alone = recipe(loss, **changes)
        train(loss)
        output = recipe(f"{loss}-3", **changes)
        train(f"{loss}-3", modules()[0], 3)
        assert outcome(output) == outcome(alone)


def test_plan_says_what_is_sent():
    for stage in (0, 2, 3):
        output = recipe(f"sent{stage}", model_name_or_path="llama", zero=stage, max_steps=20, logging_steps=1, evaluation_strategy="no", eval_samples=0, save_strategy="no", trace=True)
        train(output.name, modules()[0], 3)
        events = [json.loads(line) for line in (output / "events.jsonl").read_text().splitlines()]
        ranks = [e["ranks"] for e in events if e["event"] == "ranks"][1:]
        sent = sum(r["sent_bytes"] for step in ranks for r in step) / len(ranks) / 3
        plan = json.loads(subprocess.run([PROGRAM, "plan", f"{output.name}.yaml", "--ranks", "3", "--json"], cwd=SCRATCH, capture_output=True, check=True).stdout)
        assert abs(plan["traffic_bytes_per_step"] / sent - 1) < 0.03, (stage, plan["traffic_bytes_per_step"], sent)
        trace = json.loads((output / "trace.json").read_text())["traceEvents"]
        assert {e["pid"] for e in trace} == {0, 1, 2} and {"leaf, forward and back", "reduce"} <= {e["name"] for e in trace}
        assert all(e["ts"] >= 0 and e["dur"] >= 0 for e in trace if e["ph"] == "X")


def go_on(name, output, launcher, ranks):
    """Starts a job again: it must take up its newest checkpoint, for beginning anew would give the same bytes too."""
    newest = max((int(p.name.split("-")[1]) for p in output.glob("checkpoint-*") if not p.name.endswith(".tmp")), default=0)
    said = train(name, launcher, ranks, quiet=False).stderr
    assert (f"going on from step {newest} of" in said) == (newest > 0), (newest, said[:500])


# ---- faults ----------------------------------------------------------------------------------------------------------------------

FAULTS = int(os.environ.get("STARCHAT_FAULTS", "4"))
MOST_SECONDS = 10


def processes(output):
    """Pids of the ranks of the job that writes to `output`, in the order of ranks."""
    found = []
    for p in pathlib.Path("/proc").iterdir():
        try:
            line = (p / "cmdline").read_bytes().split(b"\0")
            env = dict(v.split(b"=", 1) for v in (p / "environ").read_bytes().split(b"\0") if b"=" in v)
        except (OSError, ValueError):
            continue
        if pathlib.Path(line[0].decode()).name == pathlib.Path(PROGRAM).name and f"{output}.yaml".encode() in line:
            found.append((int(env.get(b"OMPI_COMM_WORLD_RANK", env.get(b"PMI_RANK", b"0"))), int(p.name)))
    return [pid for _, pid in sorted(found)]


def last_step(output):
    try:
        return (output / "events.jsonl").read_bytes().count(b'"event":"step"')
    except OSError:
        return 0


class Disk:
    """A small file system for the output, filled and freed; needs root."""

    def __init__(self, place):
        self.place = place
        self.is_there = False

    def __enter__(self):
        self.place.mkdir()
        self.is_there = os.geteuid() == 0 and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", self.place], capture_output=True).returncode == 0
        return self

    def fill(self):
        with open(self.place / "junk", "wb", buffering=0) as f:
            try:
                while True:
                    f.write(bytes(1 << 20))
            except OSError:
                pass

    def free(self):
        (self.place / "junk").unlink(missing_ok=True)

    def __exit__(self, *error):
        if self.is_there:
            subprocess.run(["umount", "-l", self.place], check=True)


def one_fault(name, kind, launcher, ranks, after, victim, disk, expected):
    """Starts a job, harms it after `after` seconds from its first step, waits for its end and starts it again with one rank less."""
    output = SCRATCH / disk.place.name / name
    recipe(name, model_name_or_path="llama", max_steps=FAULT_STEPS, save_steps=20, save_total_limit=2, evaluation_strategy="no", eval_samples=0, output_dir=str(output))
    child = subprocess.Popen(command(name, launcher, ranks), cwd=SCRATCH, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while last_step(output) < 1 and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(after)
    pids = processes(name)
    if len(pids) != ranks or child.poll() is not None:
        child.communicate(timeout=60)
        shutil.rmtree(output)
        return None                                        # it was done before
    begin, before = time.monotonic(), last_step(output)
    if kind == "disk":
        disk.fill()
    else:
        os.kill(pids[victim], {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}[kind])
    try:
        _, messages = child.communicate(timeout=60)
    finally:
        for pid in processes(name):
            os.kill(pid, signal.SIGKILL)
        disk.free()
    seconds = time.monotonic() - begin
    went_on = kind == "disk" and child.returncode == 0
    assert went_on or child.returncode != 0, messages
    assert seconds < MOST_SECONDS, (name, kind, seconds, messages)
    is_named = f"rank {victim} (process {pids[victim]} on host" in messages
    # Where a rank is killed, mpirun may end the others before they can say so; when it is its first, often. Then the fault is tried again.
    was_faster = kind == "kill" and not is_named and (not messages.strip() or "noticed that process rank" in messages)
    if kind == "stop" or (kind == "kill" and victim and not was_faster):
        assert is_named, messages
    if not went_on:
        go_on(name, output, launcher, max(1, ranks - 1))
    assert weights_of(output) == expected, (name, kind, "other bytes after going on")
    shutil.rmtree(output)
    return None if was_faster and victim else (seconds, before)


FAULT_STEPS = 400


def weights_of(output):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(output.glob("*.safetensors"))}


def test_faults():
    import random
    dice = random.Random(20261129)
    undisturbed = recipe("undisturbed", model_name_or_path="llama", max_steps=FAULT_STEPS, save_steps=20, save_total_limit=2, evaluation_strategy="no", eval_samples=0)
    begin = time.monotonic()
    train("undisturbed", modules()[0], 3)
    length = time.monotonic() - begin
    expected = weights_of(undisturbed)
    figures, n, tries = [], 0, 0
    with Disk(SCRATCH / "disk") as disk:
        kinds = os.environ.get("STARCHAT_KINDS", "kill stop").split() + (["disk"] if disk.is_there and "STARCHAT_KINDS" not in os.environ else [])
        while n < FAULTS and tries < 3 * FAULTS:
            kind, launcher = kinds[n % len(kinds)], modules()[n // len(kinds) % len(modules())]
            victim, tries = dice.randrange(3), tries + 1
            found = one_fault(f"fault{tries}", kind, launcher, 3, dice.uniform(0, 0.5 * length), victim, disk, expected)
            if found:
                figures.append((kind, launcher, victim, round(found[0], 2), found[1]))
                n += 1
    for figure in figures:
        print("       %s, %s, rank %d: ended after %.2f s, at step %d" % figure)
    assert n == FAULTS


def test_other_ranks_are_refused():
    """Another recipe, other data on one of the ranks: told at the start, by all in one sentence."""
    recipe("one", model_name_or_path="llama", output_dir="refused")
    recipe("two", model_name_or_path="llama", output_dir="refused", learning_rate=0.001)
    launcher = modules()[0]
    line = [*LAUNCHERS[launcher], "-n", "1", PROGRAM, "train", "one.yaml", "-q", ":", "-n", "1", PROGRAM, "train", "two.yaml", "-q"]
    done = subprocess.run(line, cwd=SCRATCH, capture_output=True, text=True, timeout=60)
    told = [text for text in done.stderr.splitlines() if text.startswith("starchat: ")]
    assert done.returncode != 0 and told == ["starchat: the recipe is not the same on rank 0 and rank 1; start all ranks with the same program, recipe and data"], done.stderr
    assert not (SCRATCH / "refused/run.json").exists()


def test_another_number_of_rows_is_refused():
    name = "rows"
    recipe(name, model_name_or_path="llama", total_train_batch_size=0, per_device_train_batch_size=2, max_steps=3000, evaluation_strategy="no", save_total_limit=2)
    child = subprocess.Popen(command(name, modules()[0], 3), cwd=SCRATCH, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (SCRATCH / name / "checkpoint-4").exists():
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    child.wait(60)
    assert child.returncode != 0
    done = train(name, ok=False)
    assert done.returncode == 1 and "was made with 6 rows a step, but recipe and ranks give 2; set total_train_batch_size to 6" in done.stderr, done.stderr


# ---- several hosts: network namespaces, as root, where STARCHAT_CLUSTER=1 asks for it ------------------------------------------------


CLUSTER = str(ROOT / "tools/cluster.sh")


class Hosts:
    def __init__(self, n, *options):
        if not os.environ.get("STARCHAT_CLUSTER"):
            raise Skipped("STARCHAT_CLUSTER=1 makes hosts of network namespaces, as root")
        self.n, self.options = n, options

    def __enter__(self):
        subprocess.run([CLUSTER, "down"], capture_output=True)
        subprocess.run([CLUSTER, "up", str(self.n), *self.options], check=True, capture_output=True)
        return self

    def line(self, name, mpi):
        return [CLUSTER, "run", str(self.n), "--mpi", mpi, "--", *command(name)]

    def __exit__(self, *error):
        subprocess.run([CLUSTER, "down"], check=True, capture_output=True)


def test_hosts_give_the_same_bytes():
    alone = recipe("hosts-alone", model_name_or_path="llama", lora_r=16)
    full = recipe("hosts-alone-full", model_name_or_path="gpt")
    train("hosts-alone"), train("hosts-alone-full")
    for n, mpi, options in ((2, "openmpi", ()), (3, "openmpi", ("--delay", "5ms", "--loss", "1%")), (2, "mpich", ("--delay", "5ms", "--loss", "1%"))):
        with Hosts(n, *options) as hosts:
            for expected, changes in ((alone, {"model_name_or_path": "llama", "lora_r": 16}), (full, {"model_name_or_path": "gpt"})):
                name = f"hosts-{n}-{mpi}-{expected.name}"
                output = recipe(name, **changes)
                begin = time.monotonic()
                done = subprocess.run(hosts.line(name, mpi), cwd=SCRATCH, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
                assert done.returncode == 0, done.stderr[-2000:]
                assert outcome(output) == outcome(expected), name
                print(f"       {n} hosts, {mpi}, {' '.join(options) or 'plain'}, {'LoRA' if 'lora_r' in changes else 'full'}: same bytes, {time.monotonic() - begin:.1f} s")


def test_cut_cable():
    """Both sides end by themselves; what goes on gives the undisturbed bytes. Cuts last for good, as far as the job is concerned."""
    import random
    dice = random.Random(7)
    changes = {"model_name_or_path": "llama", "max_steps": FAULT_STEPS, "save_steps": 20, "save_total_limit": 2, "evaluation_strategy": "no", "eval_samples": 0}
    undisturbed = recipe("not-cut", **changes)
    train("not-cut")
    for i in range(int(os.environ.get("STARCHAT_CUTS", "2"))):
        with Hosts(3) as hosts:
            name, victim = f"cut{i}", dice.randrange(1, 3)
            output = recipe(name, **changes)
            log = SCRATCH / f"{name}.log"                    # a file: daemons of other hosts would keep a pipe open
            child = subprocess.Popen(hosts.line(name, "openmpi"), cwd=SCRATCH, stdout=subprocess.DEVNULL, stderr=open(log, "w"), stdin=subprocess.DEVNULL)
            deadline = time.monotonic() + 60
            while last_step(output) < 1 and child.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(dice.uniform(0, 3))
            subprocess.run([CLUSTER, "cut", str(victim)], check=True, capture_output=True)
            begin, step = time.monotonic(), last_step(output)
            child.wait(60)
            seconds, messages = time.monotonic() - begin, log.read_text()
            print(f"       cable of host {victim} cut at step {step}: the job ended after {seconds:.2f} s")
            assert seconds < MOST_SECONDS and f"rank {victim} (process" in messages, (seconds, messages)
            far = [pid for pid in processes(name) if pathlib.Path(f"/proc/{pid}/stat").read_text().split()[3] != "1"]
            assert not far, "a rank is left on the host that was cut off"
        go_on(name, output, modules()[0], 2)
        assert weights_of(output) == weights_of(undisturbed), "other bytes after going on"


def main():
    wanted = sys.argv[2:]
    tests = [(n, f) for n, f in globals().items() if n.startswith("test_") and (not wanted or n in wanted)]
    failed = 0
    if not modules():
        print("skipped: tests/cli/test_ranks.py needs Open MPI or MPICH, and its module (make mpi)")
        print("0 passed, 0 failed")
        return 0
    try:
        set_up()
        for name, run in tests:
            try:
                run()
                print("ok    ", name)
            except Skipped as reason:
                print(f"skipped: {name}: {reason}")
            except Exception:
                failed += 1
                print("FAILED", name)
                traceback.print_exc(limit=3, file=sys.stdout)
    finally:
        if not os.environ.get("STARCHAT_KEEP"):
            shutil.rmtree(SCRATCH)
    print(f"{len(tests) - failed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
