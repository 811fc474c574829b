"""Checks what `starchat init` and `starchat convert` write against readers that are not ours: transformers and
safetensors for directories, gguf-py and transformers' own GGUF loader for GGUF, and llama.cpp if --llama-cpp is given.

  golden      every model of tests/golden/models: directory -> GGUF -> directory; transformers' logits of the result
              against the golden ones
  random      a model of each architecture from `init` with a small tokenizer: our log-probabilities of 16 greedy steps
              against transformers on the same directory, and on every GGUF type that it reads; every tensor as gguf-py
              expands it against the directory made from that GGUF; token ids of the way back; llama.cpp's logits and token ids
  smollm2     SmolLM2's GGUF file as a directory: transformers' greedy tokens against ours

The bar of numbers: 1e-4 of the range of the logits, float32 activations. Exit 1 on any miss.

Usage: convert_check.py STARCHAT SCRATCH [--smollm2 FILE.gguf] [--llama-cpp DIRECTORY]
  DIRECTORY: where `npm install node-llama-cpp@3.22.1 --ignore-scripts` was run (needs node)
Made with: torch 2.15.0, transformers 5.23.0, gguf 0.19.0 (requirements.txt), llama.cpp v0.5.0 of node-llama-cpp 3.22.1.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

import gguf
import numpy as np
import torch
import transformers
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden/models"
FAMILIES = ROOT / "tests/golden/tokenizers/families"
BAR, STEPS = 1e-4, 16
LLAMA_CPP_BAR = {"f32": 4e-3, "q8_0": 5e-2}
TYPES = ["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q4_k_m", "q5_k_m", "q6_k"]
PROMPTS = ["def greet(name):", "int main(void) { return 0; }", "Zahlen 12345 und Wörter"]
SIZES = dict(hidden_size=256, intermediate_size=512, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
             max_position_embeddings=128, vocab_size=640, initializer_range=0.08)
# name: tokenizer family, config. No windows: llama.cpp and the GGUF loader of transformers do not read them. The latter
# does not read starcoder2's rope base either, so it is the default one.
MODELS = {
    "gpt_bigcode": ("starcoder", dict(
        model_type="gpt_bigcode", n_embd=256, n_head=4, n_inner=512, n_layer=3, n_positions=128, vocab_size=640,
        multi_query=True, activation_function="gelu_pytorch_tanh", initializer_range=0.08)),
    "starcoder2": ("starcoder", dict(SIZES, model_type="starcoder2", rope_theta=1e4, sliding_window=None, use_bias=True)),
    "llama": ("llama3", dict(SIZES, model_type="llama", tie_word_embeddings=False, rope_theta=5e5)),
    "llama_tied": ("gpt2", dict(SIZES, model_type="llama", tie_word_embeddings=True, rms_norm_eps=1e-5)),
    "qwen2": ("qwen2", dict(SIZES, model_type="qwen2", tie_word_embeddings=True, rope_theta=1e6)),
}
GGUF_LOADER = {"starcoder2", "llama", "llama_tied", "qwen2"}    # what transformers reads from GGUF

failures = []


def report(good, what):
    print(("ok      " if good else "FAILED  ") + what, flush=True)
    if not good:
        failures.append(what)


def run(args, text=None):
    """Output of the program; a failure ends the check."""
    done = subprocess.run([str(a) for a in args], input=text, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, args))}\n{done.stderr}")
    return done.stdout


class Ours:
    """The program under test."""

    def __init__(self, program):
        self.program = program

    def convert(self, source, target, kind=None):
        run([self.program, "convert", source, target, "--overwrite", "--quiet"] + (["--type", kind] if kind else []))
        return target

    def complete(self, model, prompt, steps, alternatives=0):
        out = run([self.program, "complete", model, "-p", prompt, "-n", steps, "--temp", "0", "--repeat-penalty", "1", "--json",
                   "--ignore-eos", "--logprobs", alternatives, "--activations", "f32", "--cache-type", "f32", "--threads", "1", "-q"])
        return json.loads(out)

    def tokenize(self, model, texts):
        lines = "".join(json.dumps({"text": t}) + "\n" for t in texts)
        return [json.loads(line)["ids"] for line in run([self.program, "tokenize", model, "--jsonl"], lines).split("\n") if line]


def load(path, **options):
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager", **options)
    return model.eval()


def logits_of(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids]), use_cache=False).logits[0]


def worst_difference(model, prompt_ids, answer):
    """Our log-probabilities at each step against the model's, relative to the range of its logits."""
    ids, worst = prompt_ids + answer["ids"], 0.0
    logits = logits_of(model, ids)
    for i, step in enumerate(answer["logprobs"]):
        row = logits[len(prompt_ids) + i - 1].double()
        expected = torch.log_softmax(row, 0)
        if int(row.argmax()) != step["id"]:
            return float("inf")
        for other in step["top"]:
            worst = max(worst, abs(other["logprob"] - float(expected[other["id"]])) / float(row.max() - row.min()))
    return worst


# ---- golden models: there and back -----------------------------------------------------------------------------------


def check_golden(ours, scratch):
    worst = 0.0
    for folder in sorted(p for p in GOLDEN.iterdir() if (p / "golden.json").exists()):
        golden = json.loads((folder / "golden.json").read_text())
        expected = np.fromfile(folder / "logits.f32", "<f4").reshape(golden["logits_shape"])
        ours.convert(folder, scratch / "golden.gguf")
        back = ours.convert(scratch / "golden.gguf", scratch / "golden")
        found = logits_of(load(back), golden["prompt"]).numpy()
        span = expected.max(1) - expected.min(1)
        error = float((np.abs(found - expected).max(1) / span).max())
        worst = max(worst, error)
        if error > BAR:
            report(False, f"golden {folder.name}: {error:.1e} of the logit range")
    report(worst <= BAR, f"golden models as GGUF and back in transformers: at most {worst:.1e} of the logit range")


# ---- random models -----------------------------------------------------------------------------------------------------


def make_model(ours, name, scratch, kind):
    family, config = MODELS[name]
    path = scratch / f"{name}.config.json"
    path.write_text(json.dumps(config))
    out = scratch / f"{name}-{kind}"
    run([ours.program, "init", path, out, "--tokenizer", FAMILIES / f"{family}.json", "--type", kind, "--seed", "3",
         "--overwrite", "--quiet"])
    return out


def prompt_ids(folder):
    """With the begin token where the tokenizer adds one."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return [tokenizer(prompt)["input_ids"] for prompt in PROMPTS]


def check_directory(ours, name, kind, folder):
    model = load(folder)
    worst = 0.0
    for prompt, ids in zip(PROMPTS, prompt_ids(folder)):
        worst = max(worst, worst_difference(model, ids, ours.complete(folder, prompt, STEPS, 100)))
    report(worst <= BAR, f"{name} {kind} directory in transformers: {worst:.1e} of the logit range")


def unpermute(weight, heads):
    """Rows from interleaved rope pairs back to halves."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def tensors_of(folder):
    out = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as f:
            out.update({name: f.get_tensor(name).float().numpy() for name in f.keys()})
    return out


def check_tensors(ours, name, kind, file, scratch):
    """Every tensor as gguf-py reads it against the directory made from the file; names as gguf-py maps them."""
    reader = gguf.GGUFReader(file)
    back = tensors_of(ours.convert(file, scratch / "expanded", "f32"))
    arch = bytes(reader.fields["general.architecture"].parts[-1]).decode()
    enum = next(k for k, v in gguf.MODEL_ARCH_NAMES.items() if v == arch)
    config = MODELS[name][1]
    names = gguf.get_tensor_name_map(enum, config.get("num_hidden_layers", config.get("n_layer")))
    expected = {names.get_name(n, try_suffixes=(".weight", ".bias")): v for n, v in back.items()}
    found = {t.name: gguf.dequantize(t.data, t.tensor_type) for t in reader.tensors}
    bad = sorted(set(expected) ^ set(found))
    for tensor in set(expected) & set(found):
        value = found[tensor].reshape(expected[tensor].shape)
        if arch == "llama" and tensor.endswith(("attn_q.weight", "attn_k.weight")):
            value = unpermute(value, config["num_attention_heads" if "attn_q" in tensor else "num_key_value_heads"])
        if not np.array_equal(value, expected[tensor]):
            bad.append(tensor)
    types = sorted({t.tensor_type.name for t in reader.tensors})
    report(not bad, f"{name} {kind}: {len(found)} tensors ({', '.join(types)}) equal in gguf-py" + (f", but {bad[:3]}" if bad else ""))


def check_loader(ours, name, kind, file, ids):
    model = load(file.parent, gguf_file=file.name)
    worst = worst_difference(model, ids, ours.complete(file, PROMPTS[0], STEPS, 100))
    report(worst <= BAR, f"{name} {kind}: transformers' GGUF loader: {worst:.1e} of the logit range")


def check_tokenizer(ours, name, folder, back):
    texts = [json.loads(line)["text"] for line in (FAMILIES / f"{MODELS[name][0]}.jsonl").read_text(encoding="utf-8").split("\n") if line]
    one, two = AutoTokenizer.from_pretrained(folder), AutoTokenizer.from_pretrained(back)
    same = all(one(t)["input_ids"] == two(t)["input_ids"] for t in texts) and one.get_vocab() == two.get_vocab()
    report(same and one.get_added_vocab() == two.get_added_vocab(), f"{name}: tokenizer of the way back in transformers, {len(texts)} texts")


LLAMA_CPP = """
import {getLlama, LlamaLogLevel} from "node-llama-cpp";
import {appendFileSync, readFileSync} from "fs";
const llama = await getLlama({gpu: false, build: "never", logLevel: LlamaLogLevel.error, maxThreads: 1});
for (const job of JSON.parse(readFileSync(process.argv[2]))) {
    const model = await llama.loadModel({modelPath: job.file});
    const context = await model.createContext({contextSize: 128, experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32"});
    const sequence = context.getSequence(), rows = [];
    for (const {ids, from} of job.runs) {
        await sequence.clearHistory();
        const out = await sequence.controlledEvaluate(ids.map((id, i) => i < from ? id : [id, {generateNext: {logits: true}}]));
        rows.push(out.slice(from).map((o) => [...o.next.logits].sort((a, b) => a[0] - b[0]).map((pair) => pair[1])));
    }
    appendFileSync(process.argv[3], JSON.stringify({tokens: job.texts.map((t) => model.tokenize(t)), rows}) + "\\n");
    await model.dispose();
}
process.exit(0);
"""


def check_llama_cpp(ours, files, where, scratch):
    """Token ids of the texts, and the logits behind our greedy steps, of the same file. llama.cpp looks GELU up in a
    table of 16-bit floats, and rounds what is multiplied with Q8_0 to 8 bits."""
    script, jobs = pathlib.Path(where) / "convert_check.mjs", []
    script.write_text(LLAMA_CPP)
    for file, prompts in files:
        mine = [ours.complete(file, prompt, STEPS, 100) for prompt in PROMPTS]
        runs = [dict(ids=ids + a["ids"][:-1], **{"from": len(ids) - 1}) for ids, a in zip(prompts, mine)]
        jobs.append(dict(file=str(file), texts=PROMPTS, runs=runs, mine=mine))
    (scratch / "jobs.json").write_text(json.dumps(jobs))
    answers = scratch / "answers.jsonl"
    answers.unlink(missing_ok=True)
    done = subprocess.run(["node", script.name, scratch / "jobs.json", answers], cwd=where, capture_output=True, text=True)
    if done.returncode:
        report(False, f"llama.cpp ended with {done.returncode}: {done.stderr[-300:]}")
    for job, line in zip(jobs, answers.read_text().splitlines()):
        found, worst, same, total = json.loads(line), 0.0, 0, 0
        for answer, rows in zip(job["mine"], found["rows"]):
            for step, row in zip(answer["logprobs"], torch.tensor(rows, dtype=torch.float64)):
                expected = torch.log_softmax(row, 0)
                worst = max([worst] + [abs(o["logprob"] - float(expected[o["id"]])) / float(row.max() - row.min()) for o in step["top"]])
                same, total = same + (int(row.argmax()) == step["id"]), total + 1
        tokens = found["tokens"] == ours.tokenize(job["file"], PROMPTS)
        bar = LLAMA_CPP_BAR["q8_0" if "q8_0" in job["file"] else "f32"]
        report(tokens and worst <= bar, f"{os.path.basename(job['file'])} in llama.cpp: {worst:.1e} of the logit range, {same} of {total} greedy "
               f"tokens, token ids {'equal' if tokens else 'differ'}")


def check_random(ours, scratch, llama_cpp):
    files = []
    for name in MODELS:
        for kind in ("f32", "f16", "bf16"):
            check_directory(ours, name, kind, make_model(ours, name, scratch, kind))
        folder = scratch / f"{name}-f32"
        for kind in TYPES:
            file = ours.convert(folder, scratch / f"{name}-{kind}.gguf", kind)
            check_tensors(ours, name, kind, file, scratch)
            if name in GGUF_LOADER:
                check_loader(ours, name, kind, file, prompt_ids(folder)[0])
            if kind in ("f32", "q8_0"):
                files.append((file, prompt_ids(folder)))
        check_tokenizer(ours, name, folder, ours.convert(scratch / f"{name}-q4_0.gguf", scratch / "back"))
    if llama_cpp:
        check_llama_cpp(ours, files, llama_cpp, scratch)
    else:
        print("skipped llama.cpp (--llama-cpp)")


# ---- SmolLM2 ------------------------------------------------------------------------------------------------------------


def check_smollm2(ours, file, scratch):
    folder = ours.convert(file, scratch / "smollm2", "f32")
    model, tokenizer = load(folder), AutoTokenizer.from_pretrained(folder)
    same = total = 0
    for prompt in PROMPTS + ["The capital of France is", "Write a Python function that reverses a string."]:
        ids = tokenizer(prompt)["input_ids"]
        steps = 48
        with torch.no_grad():
            out = model.generate(torch.tensor([ids]), max_new_tokens=steps, do_sample=False, eos_token_id=-1, pad_token_id=0)
        expected = out[0, len(ids):].tolist()
        for path in (file, folder):
            found = ours.complete(path, prompt, steps)["ids"]
            same, total = same + sum(a == b for a, b in zip(found, expected)), total + len(expected)
    chat = [{"role": "user", "content": "Hi!"}]
    rendered = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    mine = run([ours.program, "template", file], json.dumps({"messages": chat, "add_generation_prompt": True}))
    report(same == total, f"SmolLM2 as a directory: {same} of {total} greedy tokens as in transformers, from GGUF and from the directory")
    report(rendered == mine, "SmolLM2: the directory's chat template in transformers and ours from GGUF")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("starchat")
    parser.add_argument("scratch", type=pathlib.Path)
    parser.add_argument("--smollm2", metavar="FILE")
    parser.add_argument("--llama-cpp", metavar="DIRECTORY")
    args = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    args.scratch.mkdir(parents=True, exist_ok=True)
    args.scratch = args.scratch.resolve()
    ours = Ours(os.path.abspath(args.starchat))
    check_golden(ours, args.scratch)
    check_random(ours, args.scratch, args.llama_cpp)
    if args.smollm2:
        check_smollm2(ours, args.smollm2, args.scratch)
    print(f"{len(failures)} failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
