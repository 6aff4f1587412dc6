# Every target sets up what it needs.  PYTHON must be 3.11 or newer.
PYTHON ?= python3
LAB = $(PYTHON) tools/lab
BIN = .venv/bin
READY = .venv/ready

SITE ?= site

.PHONY: tool-lock docs help venv demo demo-cuda test-cuda test test-whole test-fast test-commands test-history test-docker bench lint lock clean test-hostile reproduce coverage bench-image

help:
	@echo "make venv         the project and its tools in .venv"
	@echo "make demo         the whole story: fix, plan, cut, pull it back"
	@echo "make demo-cuda    the same with the real CUDA image: 3 GB are fetched, 10 to 60 minutes, 30 GB of disk"
	@echo "make test         all tiers: test-fast, test-commands, test-history, test-hostile, test-docker"
	@echo "make test-whole   the same with every case of the long rows, of which make test runs each n-th"
	@echo "make test-fast    parts of the program by themselves"
	@echo "make test-commands whole commands, real git, no engine"
	@echo "make test-history what is asked of histories; a real history replayed"
	@echo "make test-hostile bad input and interruptions, on real git"
	@echo "make test-docker  a real engine and a real registry with login (tools/lab)"
	@echo "make coverage     which lines the tests without an engine run"
	@echo "make test-cuda    build the real CUDA image and run the built-in checks on it"
	@echo "make bench        ratios against plain git and docker, in one run on this machine"
	@echo "make bench-image  what a patch release with an image moves from an empty engine: thin, classic, by no engine"
	@echo "make lint         format, lint, types; hadolint, shellcheck, Groovy"
	@echo "make docs         the documentation as a site, in $(SITE)/; every link is checked"
	@echo "make reproduce    two builds with BuildKit (Docker 28 is fetched): are the image digests the same?"
	@echo "make lock         the image's locks, resolved inside its base"
	@echo "make tool-lock    uv.lock for the GitHub Action and the image of the tool"
	@echo "make clean        remove .venv and caches; the lab's images: $(LAB) clean"

venv: $(READY)

$(READY): pyproject.toml uv.lock tools/make-venv
	@PYTHON="$(PYTHON)" tools/make-venv .venv
	@touch $@

demo: $(READY)
	@$(LAB) run -- $(BIN)/python tools/demo

demo-cuda: $(READY)
	@$(LAB) run -- $(BIN)/python tools/demo cu126

# All tiers at the same time; a failing one hides no other.
test: $(READY)
	@$(BIN)/python tools/test.py

test-whole: $(READY)
	@$(BIN)/python tools/test.py --whole

test-fast test-commands test-history test-hostile test-docker: test-%: $(READY)
	@$(BIN)/python tools/test.py $*

coverage: $(READY)
	@$(BIN)/python tools/test.py --coverage fast commands history hostile

test-cuda: $(READY)
	@$(LAB) run -- tools/test-cuda

reproduce: $(READY)
	@$(LAB) run -- $(BIN)/python tools/reproduce.py $(VARIANT)

bench-image: $(READY)
	@$(LAB) run -- $(BIN)/python tools/bench/thin.py
	@$(LAB) run -- $(BIN)/python tools/bench/image.py

bench: $(READY)
	@$(BIN)/python tools/bench
	@$(LAB) run -- $(BIN)/python tools/bench/image.py

lint: $(READY)
	@echo "==> lint"
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@tools/lint-image
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/ci.yml .github/workflows/nightly.yml
	@$(BIN)/zizmor --offline --no-progress --quiet .github/workflows action.yml
	@$(BIN)/uv lock --quiet --check
	@$(BIN)/python tools/lint_jenkinsfile.py

# Strict: a link or an anchor that leads nowhere, or a page that is in no list, is an error.
docs: $(READY)
	@echo "==> docs"
	@$(BIN)/mkdocs build --strict --quiet --site-dir $(SITE)
	@echo "$(SITE)/index.html"

lock:
	@$(LAB) run -- $(PYTHON) tools/lock

tool-lock: $(READY)
	@$(BIN)/python tools/tool_lock.py

clean:
	rm -rf site .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
