# make demo    builds everything in .venv and trains a network on handwritten digits
# make test    the checks, then the Rust, Python and C tests
# make bench   measures beside PyTorch, or NumPy; BENCH="--threads 2 --peer-python ..." are its arguments
# Needed on the machine: Rust, Python 3.10 or newer with venv, make and a C compiler.

PYTHON ?= python3
BIN := .venv/bin
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
endif

# maturin installs into this environment, whatever else is active; PyO3 reads its interpreter.
export PIP_QUIET := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export VIRTUAL_ENV := $(CURDIR)/.venv
export PYO3_PYTHON := $(CURDIR)/$(BIN)/python
unexport CONDA_PREFIX PYTHONHOME PYTHONPATH

.NOTPARALLEL:
.PHONY: demo test check bench bench-check docs stubs header clean build test-rust test-python test-isa test-c

demo: build
	$(BIN)/python examples/python/digits.py

test: check test-rust test-python test-c

check: build
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features tenflowers-ffi/c -- -D warnings
	cargo clippy --package tenflowers-ffi --all-targets --no-default-features --features python -- -D warnings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python scripts/stubs.py --check
	$(BIN)/python scripts/stubs.py --stubtest
	bash scripts/header.sh --check
	$(BIN)/python scripts/check_sizes.py

bench: build
	$(BIN)/python -m benchmarks.run $(BENCH)

bench-check: build
	$(BIN)/python -m benchmarks.regression

docs:
	cargo doc --workspace --no-deps

stubs: build
	$(BIN)/python scripts/stubs.py

header:
	bash scripts/header.sh

clean:
	cargo clean
	rm -rf .venv out tests/c/build python/tenflowers/_core*.so python/tenflowers/_core*.pyd

build: .venv/ready
	$(BIN)/maturin develop --release

test-rust:
	cargo test --workspace --features tenflowers-ffi/c
	cargo run --quiet --package tenflowers-neural --example spirals

test-python: build
	$(BIN)/python -m pytest

# The kernels' tests with each instruction set that the machine has, beside the best, which the other tests use.
test-isa: build
	$(BIN)/python scripts/each_isa.py

# The library as the Rust tests build it: what it answers is tested, not how fast.
test-c:
	cargo build --package tenflowers-ffi --no-default-features --features c
	$(MAKE) -C tests/c PROFILE=debug

# The environment is made once, and again when the pinned versions change.
.venv/ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or newer is needed (make PYTHON=...)" if sys.version_info < (3, 10) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install pip==26.3
	$(BIN)/python -m pip install --group dev
	touch $@
