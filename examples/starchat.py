#!/usr/bin/env python3
"""libstarchat from Python: one file, no packages, by ctypes.

    import starchat
    with starchat.Model("smollm2:135m-instruct") as model:
        print(model.encode("def fib(n):"))
        for text in model.complete("def fib(n):", max_tokens=32, temperature=0):
            print(text, end="", flush=True)
        print(model.chat([{"role": "user", "content": "Say hi."}], max_tokens=32))

Any option of `starchat complete --help` that is a number or a word may be given by its name (temperature=0.2, top_p=0.9, seed=1). STARCHAT_LIBRARY names the
library where it is not installed. As a program: starchat.py MODEL PROMPT prints the completion, starchat.py MODEL --tokens TEXT the ids of a text."""
import ctypes
import ctypes.util
import os
import queue
import sys
import threading

_ON_TEXT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_char), ctypes.c_size_t)


class _Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("where", ctypes.c_char * 48), ("message", ctypes.c_char * 480)]


class _Text(ctypes.Structure):
    _fields_ = [("data", ctypes.POINTER(ctypes.c_char)), ("len", ctypes.c_size_t)]


class _Tokens(ctypes.Structure):
    _fields_ = [("id", ctypes.POINTER(ctypes.c_int32)), ("len", ctypes.c_size_t)]


class _Message(ctypes.Structure):
    _fields_ = [("role", ctypes.c_char_p), ("content", ctypes.c_char_p)]


class _ModelConfig(ctypes.Structure):
    _fields_ = [("path", ctypes.c_char_p), ("chat_template", ctypes.c_char_p), ("adapter", ctypes.c_char_p), ("no_tokenizer", ctypes.c_bool)]


class StarchatError(Exception):
    """One sentence for people."""


def _load():
    names = [os.environ.get("STARCHAT_LIBRARY"), ctypes.util.find_library("starchat"), "libstarchat.so"]
    lib = ctypes.CDLL(next(n for n in names if n))
    for name in ("sc_options_for", "sc_model_tokenizer", "sc_version"):
        getattr(lib, name).restype = ctypes.c_void_p if name != "sc_version" else ctypes.c_char_p
    return lib


class _Config:
    """A config struct that the library itself fills: no layout is known here but that it is smaller than this."""

    def __init__(self, lib, table, **options):
        self.at, self.kept, rows = ctypes.create_string_buffer(4096), [], ctypes.c_void_p(lib.sc_options_for(table.encode()))
        lib.sc_options_defaults(rows, self.at)
        for key, value in options.items():
            text, err = str(value).lower().encode() if isinstance(value, bool) else str(value).encode(), _Error()
            self.kept.append(text)                              # strings are borrowed
            if lib.sc_options_set(rows, self.at, key.encode(), text, ctypes.byref(err)):
                raise StarchatError(err.message.decode())


class Model:
    """A model with its tokenizer, its template and a session. Not for several threads at once."""

    def __init__(self, name, chat_template=None, adapter=None, context=0, **runtime):
        self.lib, self.err, self.runtime, self.model, self.session = _load(), _Error(), ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
        path = _Text()
        self._check(self.lib.sc_store_resolve(ctypes.byref(path), name.encode(), None, ctypes.byref(self.err)))
        config = _ModelConfig(self._take(path), chat_template and chat_template.encode(), adapter and adapter.encode(), False)
        self._check(self.lib.sc_runtime_open(ctypes.byref(self.runtime), _Config(self.lib, "runtime", **runtime).at, ctypes.byref(self.err)))
        self._check(self.lib.sc_model_open(ctypes.byref(self.model), self.runtime, ctypes.byref(config), ctypes.byref(self.err)))
        self._check(self.lib.sc_session_open(ctypes.byref(self.session), self.model, _Config(self.lib, "session", context=context).at, ctypes.byref(self.err)))
        self.tokenizer = ctypes.c_void_p(self.lib.sc_model_tokenizer(self.model))

    def close(self):
        self.lib.sc_session_close(self.session)
        self.lib.sc_model_close(self.model)
        self.lib.sc_runtime_close(self.runtime)
        self.session = self.model = self.runtime = ctypes.c_void_p()

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.close()

    def _check(self, status):
        if status:
            raise StarchatError(self.err.message.decode(errors="replace"))

    def _take(self, text):
        data = ctypes.string_at(text.data, text.len)
        self.lib.sc_text_free(ctypes.byref(text))
        return data

    def _ids(self, tokens):
        ids = tokens.id[:tokens.len]
        self.lib.sc_tokens_free(ctypes.byref(tokens))
        return ids

    def encode(self, text, special=False):
        """The ids of a text. Without `special` no letters of it become a special token."""
        tokens, data = _Tokens(), text.encode()
        self._check(self.lib.sc_encode(ctypes.byref(tokens), self.tokenizer, data, ctypes.c_size_t(len(data)), ctypes.c_bool(special), ctypes.byref(self.err)))
        return self._ids(tokens)

    def decode(self, ids, skip_special=False):
        text, array = _Text(), (ctypes.c_int32 * len(ids))(*ids)
        self._check(self.lib.sc_decode(ctypes.byref(text), self.tokenizer, array, ctypes.c_size_t(len(ids)), ctypes.c_bool(skip_special), ctypes.byref(self.err)))
        return self._take(text).decode()

    def encode_chat(self, messages):
        """The ids of a conversation by the model's template, up to where the assistant begins."""
        tokens = _Tokens()
        array = (_Message * len(messages))(*[_Message(m["role"].encode(), m["content"].encode()) for m in messages])
        self._check(self.lib.sc_encode_chat(ctypes.byref(tokens), self.model, array, ctypes.c_size_t(len(messages)), ctypes.byref(self.err)))
        return self._ids(tokens)

    def generate(self, ids, **options):
        """What follows the tokens, piece by piece. Whoever stops asking ends it."""
        pieces, is_over = queue.Queue(), threading.Event()
        done, config, array = ctypes.create_string_buffer(256), _Config(self.lib, "sample", **options), (ctypes.c_int32 * len(ids))(*ids)

        def emit(_, data, n):
            pieces.put(ctypes.string_at(data, n).decode())
            return int(is_over.is_set())

        def work(callback=_ON_TEXT(emit)):
            status = self.lib.sc_session_sync(self.session, array, ctypes.c_size_t(len(ids)), ctypes.byref(self.err))
            pieces.put(status or self.lib.sc_session_generate(done, self.session, config.at, callback, None, ctypes.byref(self.err)))

        thread = threading.Thread(target=work)
        thread.start()
        try:
            while isinstance(piece := pieces.get(), str):
                yield piece
            self._check(piece)
        finally:
            is_over.set()
            thread.join()

    def complete(self, prompt, **options):
        return self.generate(self.encode(prompt), **options)

    def chat(self, messages, **options):
        """One answer, whole."""
        return "".join(self.generate(self.encode_chat(messages), **options))


def main():
    if len(sys.argv) < 3:
        sys.exit("usage: starchat.py MODEL PROMPT | MODEL --tokens TEXT")
    try:
        with Model(sys.argv[1]) as model:
            if sys.argv[2] == "--tokens":
                print(*model.encode(sys.argv[3]))
                return
            for text in model.complete(sys.argv[2], max_tokens=32, temperature=0):
                print(text, end="", flush=True)
            print()
    except StarchatError as why:
        sys.exit(f"starchat.py: {why}")


if __name__ == "__main__":
    main()
