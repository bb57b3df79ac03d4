# The Otto IPC toolkit. `make help` lists the targets; `make demo` and `make test`
# set up everything they need.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# rustup's programs, also where the login shell has not put them on PATH yet.
export PATH := $(PATH):$(HOME)/.cargo/bin
PYTHON ?= $(firstword $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p; done) python3)
PREFIX ?= /usr/local
DESTDIR ?=

PROGRAMS := otto-serve otto-run
HELPERS := $(filter-out $(PROGRAMS),$(patsubst bins/tools/src/bin/%.rs,%,$(wildcard bins/tools/src/bin/otto-*.rs)))

STAGE := target/otto
STAMPS := target/stamps
VENV := .venv
BENCH_VENV := target/bench-venv
# Who starts make in the background of a script has it ignore Ctrl-C, which tests send.
HEEDING := $(shell env --default-signal=INT true 2>/dev/null && echo env --default-signal=INT)
# The staged programs and Python's own, before everything else on PATH.
TEST_ENV = $(HEEDING) OTTO_PREFIX="$(CURDIR)/$(STAGE)" PATH="$(CURDIR)/$(STAGE)/bin:$(CURDIR)/$(VENV)/bin:$$PATH" \
	PYTHONPATH="$(CURDIR)/$(STAGE)/lib/otto/python" PYTHONDONTWRITEBYTECODE=1

MANIFESTS := Cargo.toml Cargo.lock .cargo/config.toml $(wildcard */Cargo.toml bins/*/Cargo.toml)
sources = $(shell find $(1) -type f ! -path '*/__pycache__/*')
CORE := $(MANIFESTS) $(call sources,core/src)
BINS := $(call sources,bins)
MODULE := $(call sources,sdk-python/src sdk-python/python) sdk-python/pyproject.toml sdk-python/README.md

step = @printf '\n== %s\n' "$(1)"

.PHONY: build test lint demo install wheel bench doc soak fuzz clean help \
	stage rust-test python-test bash-test e2e-test

build: stage $(STAMPS)/pages ## build everything and lay it out in target/otto
	@echo "built: $(CURDIR)/$(STAGE)/bin"

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-16s%s\n", $$1, $$2 }'

# --- what is built ---------------------------------------------------------

$(STAMPS):
	@mkdir -p $@

$(STAMPS)/tools: scripts/need.sh | $(STAMPS)
	@scripts/need.sh "$(PYTHON)" cargo cc "$(PYTHON)" venv
	@touch $@

$(STAMPS)/target: scripts/helper-target.sh | $(STAMPS)
	@scripts/helper-target.sh >$@

$(VENV)/.installed: sdk-python/requirements-dev.txt | $(STAMPS)/tools
	$(call step,Python tools into $(VENV))
	"$(PYTHON)" -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r sdk-python/requirements-dev.txt
	@touch $@

# Helpers: start-up time counts, so static and small. Server and runner: speed.
$(STAMPS)/helpers: $(CORE) $(BINS) $(STAMPS)/target | $(STAMPS)/tools
	$(call step,helpers ($$(<$(STAMPS)/target)))
	cargo build --locked --profile tiny --target "$$(<$(STAMPS)/target)" -p otto-tools $(HELPERS:%=--bin %)
	@for program in $(HELPERS); do \
		install -D -m 755 "target/$$(<$(STAMPS)/target)/tiny/$$program" "$(STAGE)/bin/$$program"; done
	@touch $@

$(STAMPS)/programs: $(CORE) $(BINS) | $(STAMPS)/tools
	$(call step,server and runner)
	cargo build --locked --release -p otto-tools -p otto-runner $(PROGRAMS:%=--bin %)
	@for program in $(PROGRAMS); do install -D -m 755 "target/release/$$program" "$(STAGE)/bin/$$program"; done
	@touch $@

$(STAMPS)/wheel: $(CORE) $(MODULE) $(VENV)/.installed | $(STAMPS)
	$(call step,Python module)
	@rm -rf target/wheel
	$(VENV)/bin/maturin build --locked --release --quiet -m sdk-python/Cargo.toml -o target/wheel
	@scripts/unpack-module.sh $(VENV)/bin/python target/wheel/*.whl $(STAGE)/lib/otto/python
	@touch $@

$(STAGE)/share/otto/otto.sh: sdk-bash/otto.sh
	@install -D -m 644 $< $@

# Man pages and completions, from the definitions the programs parse with.
$(STAMPS)/pages: $(CORE) $(BINS) | $(STAMPS)/tools
	$(call step,man pages and completions)
	cargo run --locked --quiet -p otto-pages -- $(STAGE)/share
	@touch $@

stage: $(STAMPS)/helpers $(STAMPS)/programs $(STAMPS)/wheel $(STAGE)/share/otto/otto.sh

install: build ## install into PREFIX (/usr/local)
	scripts/install-tree.sh $(STAGE) "$(DESTDIR)$(PREFIX)"
	@echo "installed: $(DESTDIR)$(PREFIX)/bin"

wheel: $(STAMPS)/wheel ## dist/*.whl, for pip install
	@mkdir -p dist && rm -f dist/*.whl && cp target/wheel/*.whl dist/
	@ls dist/*.whl

doc: $(STAMPS)/pages ## API documentation, man pages
	$(call step,API documentation)
	cargo doc --locked --no-deps -p otto-core
	@echo "API: target/doc/otto_core/index.html   man pages: $(STAGE)/share/man/man1"

# --- what is run -----------------------------------------------------------

demo: stage ## set up everything and run the main job on this machine's own files
	@$(TEST_ENV) examples/demo/run

test: rust-test python-test bash-test e2e-test ## set up everything and run every test
	@printf '\nall tests passed\n'

soak: ## the fault tests at their full counts (long)
	@rm -f target/figures; trap 'printf "\n== figures\n"; sort target/figures 2>/dev/null || true' EXIT; \
		OTTO_SOAK=1 OTTO_FIGURES="$(CURDIR)/target/figures" $(MAKE) test

# With a nightly compiler; `make test` changes the corpus without one. What is found stays in
# target/fuzz, what fails in target/fuzz/failed.
FUZZ_SECONDS ?= 300
fuzz: $(STAMPS)/tools ## fuzz each dialect of the socket for FUZZ_SECONDS (300)
	@rustup toolchain list | grep -q ^nightly || rustup toolchain install nightly --profile minimal
	@cargo fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --locked
	@for dialect in text binary resp; do \
		printf '\n== fuzz %s\n' "$$dialect"; \
		mkdir -p "target/fuzz/corpus/$$dialect" target/fuzz/failed; \
		cargo +nightly fuzz run --target-dir target/fuzz/build "$$dialect" \
			"target/fuzz/corpus/$$dialect" "fuzz/corpus/$$dialect" -- \
			-max_total_time=$(FUZZ_SECONDS) -max_len=8192 -timeout=20 -rss_limit_mb=512 \
			-artifact_prefix="$(CURDIR)/target/fuzz/failed/$$dialect-"; \
	done

$(STAMPS)/test-tools: scripts/need.sh | $(STAMPS)/tools
	@scripts/need.sh "$(PYTHON)" nc jq bats setpriv script redis-server redis-cli redis-benchmark node npm
	@touch $@

# A Redis client of another language, which our server has to serve as well.
$(STAMPS)/redis-clients: $(wildcard tests/redis/package*.json) | $(STAMPS)/test-tools
	$(call step,the Node client of Redis into target/redis-clients)
	@mkdir -p target/redis-clients && cp tests/redis/package*.json target/redis-clients/
	cd target/redis-clients && npm ci --silent --no-audit --no-fund --ignore-scripts
	@touch $@

rust-test: $(STAMPS)/tools
	$(call step,Rust tests)
	$(HEEDING) cargo test --locked --workspace --exclude otto-e2e

python-test: stage $(VENV)/.installed
	$(call step,Python tests)
	cd sdk-python && $(TEST_ENV) python -m pytest -p no:cacheprovider

bash-test: stage $(STAMPS)/test-tools
	$(call step,bash tests)
	$(TEST_ENV) bats sdk-bash/tests

e2e-test: build $(STAMPS)/test-tools $(STAMPS)/redis-clients
	$(call step,end to end)
	$(TEST_ENV) cargo test --locked -p otto-e2e

lint: $(VENV)/.installed $(STAMPS)/wheel ## formatting and static checks of every language
	@scripts/need.sh "$(PYTHON)" shellcheck
	@cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	@cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
	$(call step,Rust)
	cargo fmt --all --check
	cargo fmt --check --manifest-path benches/heed/Cargo.toml
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	@# A dependency of the core that its lock file lacks would stop the bench.
	cargo tree --locked --quiet --manifest-path benches/heed/Cargo.toml >/dev/null
	cargo clippy --locked --workspace --all-targets -- -D warnings
	$(call step,shell)
	shellcheck -x -P . sdk-bash/otto.sh .ci/run scripts/*.sh examples/*/run tests/pairs/*.sh tests/redis/*.sh
	$(call step,Python)
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	cd sdk-python && $(TEST_ENV) python -m mypy.stubtest otto \
		--allowlist stubtest-allowed.txt --ignore-unused-allowlist

$(BENCH_VENV)/.installed: benches/requirements.txt | $(STAMPS)/tools
	$(call step,the peers' Python modules into $(BENCH_VENV))
	"$(PYTHON)" -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r benches/requirements.txt
	@touch $@

# Not a member of the workspace: LMDB is compiled for this target alone.
$(STAMPS)/bench-heed: $(CORE) $(call sources,benches/heed) | $(STAMPS)/tools
	$(call step,the peer of documents in Rust)
	cargo build --locked --release --manifest-path benches/heed/Cargo.toml --target-dir target/bench-heed
	@touch $@

bench: stage $(BENCH_VENV)/.installed $(STAMPS)/bench-heed ## our figures beside the peers', interleaved in one run
	@scripts/need.sh "$(PYTHON)" nc redis-server redis-benchmark pv pee mbuffer
	$(call step,bench)
	@$(TEST_ENV) $(BENCH_VENV)/bin/python benches/run.py

clean: ## remove everything that was built
	rm -rf target dist $(VENV)
