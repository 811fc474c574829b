# starchat: `make` builds build/starchat, `make test` runs the fast tests, `make check` everything. See README.md.
VERSION  := 0.1.0
RELEASED := 2026-11-30
# Where `make install` puts things, below DESTDIR.
PREFIX     ?= /usr/local
LIBDIR     ?= $(PREFIX)/lib
SYSCONFDIR ?= $(PREFIX)/etc
UNITDIR    ?= $(PREFIX)/lib/systemd/system
ZSHDIR     ?= $(PREFIX)/share/zsh/site-functions
CC      ?= cc
BUILD   ?= build
OPT     ?= -O2
SANITIZE ?=
JOBS    ?= $(shell nproc)

PACKAGES := jansson libpcre2-8 libutf8proc libcurl libcrypto zlib libzstd liblz4 yaml-0.1 libevent sqlite3 libseccomp
WARN   := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wdouble-promotion -Wvla -Werror
CFLAGS_ALL = -std=c11 -D_GNU_SOURCE -g $(OPT) $(SANITIZE) $(WARN) -fno-math-errno -fno-trapping-math -fvisibility=hidden -fPIC -fno-semantic-interposition -pthread \
             -Iinclude -Isrc -I$(BUILD) -DSC_VERSION='"$(VERSION)"' -DSC_RELEASED='"$(RELEASED)"' $(CPPFLAGS) $(shell pkg-config --cflags $(PACKAGES)) $(CFLAGS)
LIBS    = $(shell pkg-config --libs $(PACKAGES)) -lm -ldl -pthread
# READLINE=0 builds without readline (GPL): plain lines, no history.
READLINE ?= 1
CMD_LIBS := $(if $(filter 1,$(READLINE)),-lreadline)

LIB_SRC  := $(filter-out src/cmd/%,$(wildcard src/*.c src/*/*.c))
CMD_SRC  := $(filter-out src/cmd/terminal_$(if $(filter 1,$(READLINE)),plain,readline).c,$(wildcard src/cmd/*.c))
LIB_OBJ  := $(LIB_SRC:src/%.c=$(BUILD)/%.o) $(BUILD)/embedded/page.o $(BUILD)/embedded/tasks.o $(BUILD)/embedded/protocols.o $(BUILD)/embedded/judge_prompts.o $(BUILD)/embedded/judge_report.o $(BUILD)/embedded/eval_beside.o $(addprefix $(BUILD)/embedded/sandbox_,enter.o candidate.o checker.o plain.o) $(addprefix $(BUILD)/embedded/eval_,draw.o collect.o libraries.o)
LIB_OBJ  += $(BUILD)/embedded/rank_page.o
CMD_OBJ  := $(CMD_SRC:src/%.c=$(BUILD)/%.o) $(BUILD)/embedded/prompt_ta.o
TESTS    := $(patsubst tests/unit/%.c,$(BUILD)/%,$(wildcard tests/unit/test_*.c))
# Tests of the AVX-512 kernels for machines without them, where SIMDe (libsimde-dev) is installed.
SIMDE_TESTS := $(if $(wildcard /usr/include/simde/x86/avx512.h),$(addprefix $(BUILD)/simde_,kernels gradients learn))
FUZZERS  := $(patsubst tests/fuzz/%.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))

.PHONY: all mpi test setup-test setup-docs check check-clients lint asan ubsan tsan fuzz fuzz-programs bench install uninstall deb tarball clean demo docs site api-docs check-docs examples FORCE
.SECONDARY:
# The shared library is the static one's objects: a sanitizer has nothing to see in it, and could not be loaded with it.
SONAME := libstarchat.so.$(firstword $(subst ., ,$(VERSION)))
all: $(BUILD)/starchat $(BUILD)/libstarchat.a $(if $(SANITIZE),,$(BUILD)/libstarchat.so)

$(BUILD)/starchat: $(CMD_OBJ) $(BUILD)/internal.a
	$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $(CMD_OBJ) $(BUILD)/internal.a $(LIBS) $(CMD_LIBS)

# All objects, with internal names visible: for tests and our own program.
$(BUILD)/internal.a: $(LIB_OBJ)
	rm -f $@ && ar rcsD $@ $^

# The commands without main: for their tests.
$(BUILD)/cmd.a: $(filter-out $(BUILD)/cmd/main.o,$(CMD_OBJ))
	rm -f $@ && ar rcsD $@ $^

# What users link: only sc_* can be seen.
$(BUILD)/libstarchat.a: $(LIB_OBJ)
	ld -r -o $(BUILD)/starchat_all.o $^ && objcopy --localize-hidden $(BUILD)/starchat_all.o
	rm -f $@ && ar rcsD $@ $(BUILD)/starchat_all.o
$(BUILD)/libstarchat.so: $(LIB_OBJ) tools/libstarchat.map
	$(CC) $(LDFLAGS) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=tools/libstarchat.map -Wl,-z,defs -o $(BUILD)/$(SONAME) $(LIB_OBJ) $(LIBS)
	ln -sf $(SONAME) $@

# Unrolled kernels take a minute to compile with a sanitizer at -O3.
KERNEL_OPT := $(if $(SANITIZE),,-O3)
$(BUILD)/cpu/avx2.o $(BUILD)/cpu/outer_avx2.o $(BUILD)/cpu/mix_avx2.o: CFLAGS_ALL += -O3 -mavx2 -mfma -mf16c
$(BUILD)/cpu/panel_avx2.o: CFLAGS_ALL += $(KERNEL_OPT) -mavx2 -mfma -mf16c
# Sums reordered would no longer fit into the registers.
$(BUILD)/cpu/panel_avx2.o $(BUILD)/cpu/panel_vnni.o $(BUILD)/cpu/mix_avx2.o: CFLAGS_ALL += $(if $(findstring clang,$(CC)),,-fno-tree-reassoc)
# Sums of attention are joined element by element.
$(BUILD)/cpu/op_attention.o: CFLAGS_ALL += -O3
# Searches of quantisation steps.
$(BUILD)/tensor/quant_search.o: CFLAGS_ALL += -O3
# Loops over all logits, and all parameters.
$(BUILD)/infer/log_sum.o $(BUILD)/train/optimizer.o $(BUILD)/train/parameters.o: CFLAGS_ALL += -O3
$(BUILD)/cpu/avx512.o: CFLAGS_ALL += -O3
$(BUILD)/cpu/panel_vnni.o: CFLAGS_ALL += $(KERNEL_OPT)
$(BUILD)/cpu/avx512.o $(BUILD)/cpu/panel_vnni.o: CFLAGS_ALL += -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni -mavx2 -mfma -mf16c

# Files of the source tree that become part of the program.
$(BUILD)/embedded/prompt_ta.c: prompts/TA_prompt_v1.txt tools/embed.sh
	@mkdir -p $(@D)
	tools/embed.sh prompt_ta $< > $@.part && mv $@.part $@
$(BUILD)/embedded/page.c: tools/embed_page.sh $(shell find web/dist -type f | sort)
	@mkdir -p $(@D)
	tools/embed_page.sh web/dist > $@.part && mv $@.part $@
$(BUILD)/embedded/rank_page.c: tools/embed_page.sh $(shell find web/rank -type f | sort)
	@mkdir -p $(@D)
	tools/embed_page.sh web/rank rank_page_files > $@.part && mv $@.part $@
$(BUILD)/embedded/tasks.c: tools/embed_tasks.sh $(sort $(wildcard tasks/*.yaml))
	@mkdir -p $(@D)
	tools/embed_tasks.sh eval_task_files $(sort $(wildcard tasks/*.yaml)) > $@.part && mv $@.part $@
$(BUILD)/embedded/protocols.c: tools/embed_tasks.sh $(sort $(wildcard protocols/*.yaml))
	@mkdir -p $(@D)
	tools/embed_tasks.sh judge_protocol_files $(sort $(wildcard protocols/*.yaml)) > $@.part && mv $@.part $@
$(BUILD)/embedded/judge_prompts.c: tools/embed.sh data/judge/prompts-115.jsonl
	@mkdir -p $(@D)
	tools/embed.sh judge_prompts_ready data/judge/prompts-115.jsonl > $@.part && mv $@.part $@
REPORT_PAGE := $(sort $(shell find src/judge/report_page -type f))
$(BUILD)/embedded/judge_report.c: tools/embed_tasks.sh $(REPORT_PAGE)
	@mkdir -p $(@D)
	tools/embed_tasks.sh judge_report_files $(REPORT_PAGE) > $@.part && mv $@.part $@
# What stands beside the programs of benchmarks.
EVAL_BESIDE := $(sort $(shell find src/eval/beside -type f))
$(BUILD)/embedded/eval_beside.c: tools/embed_tasks.sh $(EVAL_BESIDE)
	@mkdir -p $(@D)
	tools/embed_tasks.sh eval_beside_files $(EVAL_BESIDE) > $@.part && mv $@.part $@
# The helper that is the first program in a sandbox: without libc, for any machine that the program itself runs on.
$(BUILD)/sandbox/enter: src/sandbox/inside/enter.c src/sandbox/inside/enter.h $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_GNU_SOURCE $(WARN) -Os -static -nostdlib -ffreestanding -fno-builtin -fno-stack-protector -fno-asynchronous-unwind-tables -fno-pie -Wl,--build-id=none,-z,noexecstack -s -o $@ $<
$(BUILD)/embedded/sandbox_enter.c: $(BUILD)/sandbox/enter tools/embed.sh
	@mkdir -p $(@D)
	tools/embed.sh sandbox_enter $< > $@.part && mv $@.part $@
# Its Python halves; what values look like between them stands in front of both.
$(BUILD)/embedded/sandbox_%.py: src/sandbox/inside/values.py src/sandbox/inside/%.py
	@mkdir -p $(@D)
	cat $^ > $@
$(BUILD)/embedded/sandbox_plain.py: src/sandbox/inside/plain.py
	@mkdir -p $(@D)
	cat $^ > $@
$(BUILD)/embedded/sandbox_%.c: $(BUILD)/embedded/sandbox_%.py tools/embed.sh
	tools/embed.sh sandbox_$* $< > $@.part && mv $@.part $@
# What runs beside programs that draw.
$(BUILD)/embedded/eval_%.c: src/eval/inside/%.py tools/embed.sh
	@mkdir -p $(@D)
	tools/embed.sh eval_$* $< > $@.part && mv $@.part $@
$(BUILD)/embedded/%.o: $(BUILD)/embedded/%.c $(BUILD)/flags
	$(CC) $(CFLAGS_ALL) -c -o $@ $<

$(BUILD)/%.o: src/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(BUILD)/tests/%.o: tests/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -Itests -MMD -MP -c -o $@ $<

$(BUILD)/test_%: $(BUILD)/tests/unit/test_%.o $(BUILD)/tests/test.o $(BUILD)/internal.a
	$(CC) $(SANITIZE) -o $@ $^ $(LIBS)

$(BUILD)/test_chat: $(BUILD)/tests/unit/test_chat.o $(BUILD)/tests/test.o $(BUILD)/cmd.a $(BUILD)/internal.a
	$(CC) $(SANITIZE) -o $@ $^ $(LIBS) $(CMD_LIBS)

# The AVX-512 kernels on a processor without them: avx512.c by SIMDe takes the place of the object in the archive.
$(BUILD)/simde/%.o: src/cpu/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) -isystem tests/simde $(CFLAGS_ALL) $(KERNEL_OPT) -mavx2 -mfma -mf16c -Wno-psabi -MMD -MP -c -o $@ $<
$(BUILD)/simde_%: $(BUILD)/tests/unit/test_%.o $(BUILD)/tests/test.o $(BUILD)/simde/avx512.o $(BUILD)/simde/panel_vnni.o $(BUILD)/tests/simde/features.o $(BUILD)/internal.a
	$(CC) $(SANITIZE) -Wl,--wrap=system_cpu -o $@ $^ $(LIBS)

# Runs and judges in the sandbox what comes as lines of JSON: for tests/sandbox/*.py.
$(BUILD)/sandbox_judge: $(BUILD)/tests/sandbox/judge.o $(BUILD)/internal.a
	$(CC) $(SANITIZE) -o $@ $^ $(LIBS)

$(BUILD)/bench_%: $(BUILD)/bench/%.o $(BUILD)/internal.a
	$(CC) $(SANITIZE) -o $@ $^ $(LIBS)

$(BUILD)/bench/%.o: bench/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

# ---- ranks: a module for each MPI that is installed here, opened at run time -----------------------------------------------
MPI_openmpi := ompi-c
MPI_mpich := mpich
MPI_MODULES := $(foreach m,openmpi mpich,$(if $(shell pkg-config --exists $(MPI_$(m)) 2>/dev/null && echo yes),$(BUILD)/starchat-$(m).so))
mpi: $(MPI_MODULES)
	@[ -n "$(MPI_MODULES)" ] || { echo "make mpi: no MPI is installed here; try: apt install libopenmpi-dev, or libmpich-dev" >&2; exit 1; }
$(BUILD)/starchat-%.so: src/comm/mpi/comm_mpi.c src/comm/comm.h $(BUILD)/flags
	$(CC) $(CFLAGS_ALL) $(LDFLAGS) -shared -Wl,--no-undefined $$(pkg-config --cflags $(MPI_$*)) -o $@ src/comm/mpi/comm_mpi.c $$(pkg-config --libs $(MPI_$*))

# ---- tests ----------------------------------------------------------------------------------------------------------
test: setup-test
	@$(MAKE) --no-print-directory -j$(JOBS) all $(TESTS) $(SIMDE_TESTS) $(BUILD)/sandbox_judge $(if $(SANITIZE),,$(if $(MPI_MODULES),mpi))
	@tools/run_tests.sh $(BUILD) $(TESTS) $(SIMDE_TESTS)

setup-test:
	@tools/setup.sh test

lint:
	@tools/check_layers.sh && tools/check_size.sh && tools/check_banned.sh && tools/check_symbols.sh $(BUILD)/libstarchat.a && echo "lint: ok"

# The same tests under a sanitizer, in a build directory of its own. libstdc++ is for DuckDB: AddressSanitizer must find
# the function that throws C++ exceptions when the program starts.
asan:
	@ASAN_OPTIONS=detect_leaks=1 $(MAKE) --no-print-directory test BUILD=build/asan OPT=-O1 SANITIZE="-fsanitize=address -Wl,--no-as-needed -lstdc++ -Wl,--as-needed"
ubsan:
	@UBSAN_OPTIONS=halt_on_error=1 $(MAKE) --no-print-directory test BUILD=build/ubsan OPT=-O1 SANITIZE="-fsanitize=undefined -fno-sanitize-recover=all"
tsan:
	@$(MAKE) --no-print-directory -j$(JOBS) all build/tsan/test_base build/tsan/test_talks build/tsan/test_comm build/tsan/test_alive build/tsan/test_ranks build/tsan/test_infer BUILD=build/tsan OPT=-O1 SANITIZE=-fsanitize=thread
	@STARCHAT_SOURCE=$(CURDIR) build/tsan/test_base && STARCHAT_SOURCE=$(CURDIR) build/tsan/test_talks && STARCHAT_SOURCE=$(CURDIR) build/tsan/test_comm && STARCHAT_SOURCE=$(CURDIR) build/tsan/test_alive && STARCHAT_SOURCE=$(CURDIR) build/tsan/test_ranks && STARCHAT_SOURCE=$(CURDIR) build/tsan/test_infer

FUZZ_SECONDS ?= 10
$(BUILD)/fuzz_chat_%: $(BUILD)/tests/fuzz/fuzz_chat_%.o $(BUILD)/cmd.a $(BUILD)/internal.a
	$(CC) $(SANITIZE) -fsanitize=fuzzer -o $@ $^ $(LIBS) $(CMD_LIBS)
$(BUILD)/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/internal.a
	$(CC) $(SANITIZE) -fsanitize=fuzzer -o $@ $^ $(LIBS)
fuzz-programs: $(FUZZERS)
fuzz:
	@$(MAKE) --no-print-directory -j$(JOBS) fuzz-programs BUILD=build/fuzz CC=clang OPT=-O1 SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=all" CFLAGS="-fsanitize=fuzzer-no-link -Wno-missing-field-initializers"
	@tools/fuzz.sh $(FUZZ_SECONDS) $(patsubst $(BUILD)/%,build/fuzz/%,$(FUZZERS))

check: test
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory asan
	@$(MAKE) --no-print-directory ubsan
	@$(MAKE) --no-print-directory tsan
	@$(MAKE) --no-print-directory fuzz
	@echo "check: all passed"

# Clients that are too large for CI as well; writes docs/clients.md.
check-clients: $(BUILD)/starchat
	@python3 tests/clients/run.py $(BUILD)/starchat --more

bench: $(patsubst bench/%.c,$(BUILD)/bench_%,$(wildcard bench/*.c)) $(BUILD)/starchat
	@for program in $(filter $(BUILD)/bench_%,$^); do $$program || exit 1; done

# ---- documentation: pages in build/site, examples of the library ---------------------------------------------------------
docs: setup-docs site api-docs
	@echo "docs: $(BUILD)/site/index.html"

setup-docs:
	@tools/setup.sh docs

# The text pages, and the reference that the program prints of itself. Every link must lead somewhere.
PAGES := $(wildcard docs/*.md) README.md ARCHITECTURE.md MODELS.md STYLE.md recipes/README.md
$(BUILD)/tools/site: tools/site.c
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_GNU_SOURCE -O1 $(WARN) -o $@ $< $$(pkg-config --cflags --libs md4c-html)
site: $(BUILD)/starchat $(BUILD)/tools/site
	@rm -rf $(BUILD)/reference $(BUILD)/site/*.html $(BUILD)/site/files && mkdir -p $(BUILD)/reference
	@$(BUILD)/starchat help --markdown > $(BUILD)/reference/commands.md
	@for c in $$($(BUILD)/starchat help | sed -n '/^Commands:/,/^$$/s/^  \([a-z]*\) .*/\1/p'); do \
	    $(BUILD)/starchat help --markdown $$c > $(BUILD)/reference/command-$$c.md || exit 1; done
	@$(BUILD)/tools/site $(BUILD)/site docs/site.css $(PAGES) \
	    $$(cd $(BUILD)/reference && for f in *.md; do echo docs/reference/$$f=$(BUILD)/reference/$$f; done)

# The headers as pages, by Doxygen; a public declaration that says nothing, or anything that Doxygen does not understand, fails.
api-docs:
	@mkdir -p $(BUILD)/site
	@BUILD=$(BUILD) VERSION=$(VERSION) doxygen docs/Doxyfile > $(BUILD)/doxygen.log

# Runs the commands that the pages show, as far as they are quick; DOCS=slow the slow ones too, DOCS="docs/x.md ..." single pages.
check-docs: all site
	@python3 tests/docs/check.py $(BUILD)/starchat $(DOCS)

EXAMPLES := $(patsubst examples/%.c,$(BUILD)/examples/%,$(wildcard examples/*.c))
examples: $(EXAMPLES)
$(BUILD)/examples/%: examples/%.c $(BUILD)/libstarchat.a
	@mkdir -p $(@D)
	$(CC) -std=c11 -g $(OPT) $(SANITIZE) $(WARN) -Iinclude -o $@ $< $(BUILD)/libstarchat.a $(LIBS)

# ---- use --------------------------------------------------------------------------------------------------------------
demo:
	@tools/demo.sh

# Everything that is built (modules for MPI by `make mpi` before), below DESTDIR. uninstall removes what install would put there now.
PLACES = BUILD='$(BUILD)' DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' LIBDIR='$(LIBDIR)' SYSCONFDIR='$(SYSCONFDIR)' UNITDIR='$(UNITDIR)' ZSHDIR='$(ZSHDIR)' \
         VERSION='$(VERSION)' SONAME='$(SONAME)' PRIVATE='$(LIBS)' tools/install.sh
install: all
	@$(PLACES) install
uninstall: all
	@$(PLACES) uninstall

# Debian packages, in build/deb.
deb:
	@tools/make_deb.sh

# The program with all libraries in it but the C library (which opens others at run time: MPI, DuckDB): for other distributions.
STATIC_LIBS := -Wl,-Bstatic -lssl $(filter-out -lcurl,$(shell pkg-config --libs $(PACKAGES))) $(if $(filter 1,$(READLINE)),-lreadline -ltinfo) -lssl -lcrypto -lz -Wl,-Bdynamic
$(BUILD)/static/libcurl.a:
	@tools/make_curl.sh $(@D)/curl && cp $(@D)/curl/libcurl.a $@
$(BUILD)/static/starchat: $(CMD_OBJ) $(BUILD)/internal.a $(BUILD)/static/libcurl.a
	$(CC) $(LDFLAGS) -static-libgcc -o $@ $(CMD_OBJ) $(BUILD)/internal.a $(BUILD)/static/libcurl.a $(STATIC_LIBS) -lm -ldl -pthread
tarball:
	@tools/setup.sh tarball
	@$(MAKE) --no-print-directory -j$(JOBS) $(BUILD)/static/starchat $(MPI_MODULES)
	@READLINE=$(READLINE) tools/make_tarball.sh $(BUILD) $(VERSION) $${SOURCE_DATE_EPOCH:-$(shell date -u -d $(RELEASED) +%s)}

# Rebuilds everything when compiler or flags change.
FLAGS = $(subst ',,$(CC) $(CFLAGS_ALL) $(LDFLAGS) $(READLINE))
$(BUILD)/flags: FORCE
	@mkdir -p $(BUILD); echo '$(FLAGS)' | cmp -s - $@ || echo '$(FLAGS)' > $@
FORCE:

clean:
	rm -rf build

-include $(LIB_OBJ:.o=.d) $(CMD_OBJ:.o=.d) $(wildcard $(BUILD)/tests/*.d $(BUILD)/tests/*/*.d $(BUILD)/bench/*.d $(BUILD)/simde/*.d)
