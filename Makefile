# `make` alone lists what there is.  Every target sets up .venv first if that has not been done.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PY := .venv/bin/python
SET_UP := .venv/set-up.stamp
COMPILE := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links
# As the header of the lock repeats it: the command that anybody can run.
PROJECT_LOCK := --all-extras --group dev pyproject.toml -o requirements/project.txt
UV_LOCK := requirements/uv.in -o requirements/uv.txt
# What the function ships: a part of the project's lock, never other versions.
LAMBDA_LOCK := -c requirements/project.txt requirements/lambda.in -o requirements/lambda.txt
# Tools that get an environment of their own (.venv-NAME), so with versions of their own: requirements/NAME.in says why.
TOOLS := ministack scanners lambda-runtime peers

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---- set-up

.PHONY: setup
setup: $(SET_UP) ## Make .venv (PYTHON=python3.13 chooses the interpreter)
	@echo "ready: $$($(PY) --version) in .venv"

# A chosen interpreter has to be compared with the one in .venv; otherwise the stamp says whether anything is to be done.
$(SET_UP): requirements/project.txt requirements/uv.txt scripts/set_up.sh $(if $(PYTHON),always)
	@PYTHON="$(PYTHON)" scripts/set_up.sh
	@touch $@

.PHONY: always
always:

# A DynamoDB for tests and measurements.  It exists for Linux on x64 only and comes by npm; where it cannot be had, what
# needs it is skipped and says so (which .ci/run does not forgive).  So `make test` does not depend on it: it tries.
DYNOXIDE := requirements/dynoxide/node_modules/.package-lock.json
HAS_DYNOXIDE := $(and $(filter Linux-x86_64,$(shell uname -s)-$(shell uname -m)),$(shell command -v npm 2>/dev/null))

.PHONY: dynoxide
dynoxide: $(DYNOXIDE) ## Install dynoxide, a DynamoDB for tests (Linux on x64, npm)
	@:

$(DYNOXIDE): requirements/dynoxide/package.json requirements/dynoxide/package-lock.json
	npm ci --prefix requirements/dynoxide --no-audit --no-fund --fetch-retries=1
	@touch $@

.PHONY: try-dynoxide
try-dynoxide:
	@$(if $(HAS_DYNOXIDE),$(MAKE) dynoxide || echo "make: npm could not install dynoxide; the tests that need it will be skipped" >&2,:)

# Each tool's environment; its stamp is what a target that needs it depends on.
tool = .venv-$(1)/set-up.stamp

.PHONY: $(TOOLS)
$(TOOLS): %: $(call tool,%)

.venv-%/set-up.stamp: requirements/%.txt | $(SET_UP)
	$(PY) -m venv --without-pip .venv-$*
	$(SYNC) .venv-$*/bin/python $<
	@touch $@

SYNC := .venv/bin/uv pip sync --quiet --require-hashes --python

# MiniStack runs the functions by its own interpreter: one that Lambda has, where there is one.
$(call tool,ministack): requirements/ministack.txt | $(SET_UP)
	find="$(PY) -m scripts.lambda_archives.interpreters"; \
	python=$$($$find 3.13 2>/dev/null || $$find 3.12 2>/dev/null || echo $(PY)); \
	$$python -m venv --clear --without-pip $(@D) && $(SYNC) $(@D)/bin/python $< && touch $@

# The same on each Python that the function may run on, with bytecode, as Lambda's own has it.  Where one is missing, what
# needs it is skipped and says so.
.PHONY: lambda-runtimes
lambda-runtimes: $(call tool,lambda-runtime-3.12) $(call tool,lambda-runtime-3.13)

.venv-lambda-runtime-%/set-up.stamp: requirements/lambda-runtime.txt | $(SET_UP)
	@if python=$$($(PY) -m scripts.lambda_archives.interpreters $*); then \
	  $$python -m venv --without-pip $(@D) && $(SYNC) $(@D)/bin/python --compile-bytecode $< && touch $@; fi

# ---- the main job

.PHONY: demo
demo: $(SET_UP) ## Turn the human reading into out/demo.mp4
	@mkdir -p out
	$(PY) -m worker run samples/narration_human_librivox.mp3 -o out/demo.mp4 --home out/home

.PHONY: demo-story
demo-story: $(SET_UP) ## Turn the lighthouse story into out/demo-story.mp4
	@mkdir -p out
	$(PY) -m worker run samples/narration_synth_flite_rms.mp3 -o out/demo-story.mp4 --home out/home

# The page is built anew at every start: that takes seconds, and never shows an old one.
.PHONY: serve
serve: $(SET_UP) frontend/node_modules/.package-lock.json ## Serve page, API and jobs on this machine (SERVE_FLAGS='--port 8081')
	npm run demo:build --prefix frontend --silent
	@mkdir -p out
	$(PY) -m worker serve --home out/home $(SERVE_FLAGS)

# ---- the gates

.PHONY: test
test: $(SET_UP) try-dynoxide ## Run every test but e2e in parallel, with branch coverage (PYTEST_FLAGS=... adds to it)
	$(PY) -m pytest -n auto --dist loadfile --cov --cov-report=term $(PYTEST_FLAGS)

.PHONY: test-all
test-all: try-dynoxide ## The same on each of Python 3.11, 3.12 and 3.13 that is here, in .venv-3.11 and so on
	@scripts/test_all.sh $(PYTEST_FLAGS)

.PHONY: check
check: format-check lint types contracts docs-check lock-check terraform-check ## Run every check that is not a test

.PHONY: format
format: $(SET_UP) ## Format the code
	.venv/bin/ruff format

.PHONY: format-check
format-check: $(SET_UP)
	.venv/bin/ruff format --check

.PHONY: lint
lint: $(SET_UP) ## Lint: ruff, all rules but the reasoned exceptions in pyproject.toml
	.venv/bin/ruff check

.PHONY: types
types: $(SET_UP) ## Check types: mypy strict, tests included
	.venv/bin/mypy

.PHONY: contracts
contracts: $(SET_UP) ## Check who may import whom
	.venv/bin/lint-imports --no-logo

.PHONY: e2e
e2e: $(SET_UP) $(call tool,ministack) lambda-runtimes ## Run the end-to-end tests: simulated AWS, killed processes (KILLS=20 of them)
	$(PY) -m pytest tests/e2e tests/terraform -p no:randomly $(PYTEST_FLAGS)

# One of each part.
.PHONY: e2e-smoke
e2e-smoke: demo $(call tool,ministack) lambda-runtimes ## A smoke of each part of e2e, and of the main job
	$(PY) scripts/probe_video.py out/demo.mp4 --recording samples/narration_human_librivox.mp3
	KILLS=1 $(PY) -m pytest tests/e2e tests/terraform -p no:randomly -k 'test_apply or every_statement or (test_deployed and started_by) or drawn_again or a_whole_job_over_http or (the_function_invokes_itself and Terminate)' $(PYTEST_FLAGS)

.PHONY: fuzz
fuzz: $(SET_UP) ## Search longer for what breaks on foreign input: new examples each time (FUZZ_EXAMPLES=2000)
	FUZZ_EXAMPLES=$(or $(FUZZ_EXAMPLES),2000) $(PY) -m pytest tests/fuzz -p no:randomly $(PYTEST_FLAGS)

# Strict: a package about which the vulnerability service could not be asked is no package without vulnerabilities.
.PHONY: audit
audit: $(SET_UP) $(call tool,scanners) ## Licences, and known vulnerabilities of what is locked (asks PyPI; fails where it cannot)
	$(PY) scripts/licences.py
	for lock in lambda project; do .venv-scanners/bin/pip-audit --strict --require-hashes --disable-pip -r requirements/$$lock.txt || exit 1; done

.PHONY: package
package: $(SET_UP) ## Build the Lambda archives into build/package (PACKAGE_FLAGS='--architecture arm64 --python 3.13')
	$(PY) scripts/package.py $(PACKAGE_FLAGS)

# ---- Terraform

# Half a minute of computing, so only after a change.  What is left out, for want of terraform or its provider, is said.
.PHONY: terraform-check
terraform-check: build/terraform-check.stamp ## Check the Terraform module: format, validity, terraform test, policy scan

build/terraform-check.stamp: scripts/terraform_check.py tests/terraform/terraform_cli.py $(shell find terraform -type f -not -path '*/.terraform*') | $(SET_UP) $(call tool,scanners)
	@mkdir -p build
	$(PY) -m scripts.terraform_check $@

.PHONY: terraform-apply-test
terraform-apply-test: $(SET_UP) ## Apply the module to a simulated AWS, plan again, take it away, compare
	$(PY) -m pytest tests/terraform -p no:randomly $(PYTEST_FLAGS)

# ---- the Vue components

FRONTEND := frontend/node_modules/.package-lock.json

$(FRONTEND): frontend/package.json frontend/package-lock.json
	@command -v npm >/dev/null || { echo "make: the Vue components need Node.js 20.19 or newer with npm; there is no npm" >&2; exit 1; }
	npm ci --prefix frontend --no-audit --no-fund --fetch-retries=1
	@touch $@

.PHONY: frontend-check
frontend-check: $(FRONTEND) ## Check the Vue components: format, lint, types, types of the API, size
	npm run check --prefix frontend --silent

.PHONY: frontend-test
frontend-test: $(FRONTEND) ## Test the Vue components
	npm test --prefix frontend --silent

check: frontend-check
test: frontend-test

.PHONY: page-test
page-test: $(SET_UP) $(FRONTEND) ## Try the page in Chromium: every state, and against the real server (PAGE_FLAGS='--grep offline' chooses)
	scripts/chromium.sh
	npm run demo:build --prefix frontend --silent
	npm run check:states --prefix frontend --silent -- $(STATES_FLAGS)
	npm run test:page --prefix frontend --silent -- $(PAGE_FLAGS)

e2e: page-test
e2e-smoke: page-test
e2e-smoke: PAGE_FLAGS := --grep @smoke
e2e-smoke: STATES_FLAGS := --each-once

# ---- generated files

.PHONY: docs
docs: $(SET_UP) ## Generate docs/state-machine.md, openapi.json, costs.md, benchmarks.md and the module's tables anew
	@mkdir -p build
	$(PY) -m worker graph > build/state-machine.md
	PYTHONPATH=. $(PY) scripts/openapi.py > build/openapi.json
	$(PY) -m worker estimate --document > build/costs.md
	$(PY) -m benchmarks --page > build/benchmarks.md
	@mv build/state-machine.md build/openapi.json build/costs.md build/benchmarks.md docs/
	$(PY) scripts/terraform_docs.py

.PHONY: docs-check
docs-check: $(SET_UP)
	@mkdir -p build
	$(PY) -m worker graph > build/state-machine.md
	PYTHONPATH=. $(PY) scripts/openapi.py > build/openapi.json
	$(PY) -m worker estimate --document > build/costs.md
	$(PY) -m benchmarks --page > build/benchmarks.md
	@for file in state-machine.md openapi.json costs.md benchmarks.md; do diff -u docs/$$file build/$$file \
	  || { echo "docs/$$file is not what the code says: make docs" >&2; exit 1; }; done
	$(PY) scripts/terraform_docs.py --check

.PHONY: lock
lock: $(SET_UP) ## Compile the locks anew, keeping the pins that still fit (LOCK_FLAGS=--upgrade takes newer ones)
	$(COMPILE) $(LOCK_FLAGS) $(PROJECT_LOCK) >/dev/null
	$(COMPILE) $(LOCK_FLAGS) $(UV_LOCK) >/dev/null
	$(COMPILE) $(LOCK_FLAGS) $(LAMBDA_LOCK) >/dev/null
	@for tool in $(TOOLS); do $(COMPILE) $(LOCK_FLAGS) requirements/$$tool.in -o requirements/$$tool.txt >/dev/null || exit 1; done

# Compiled in a copy of what it depends on, so that the command in the header is the same, word for word.
.PHONY: lock-check
lock-check: $(SET_UP) ## Check that the locks are what pyproject.toml asks for
	@rm -rf build/lock && mkdir -p build/lock/requirements
	@cp pyproject.toml build/lock/ && cp requirements/*.txt requirements/*.in build/lock/requirements/
	cd build/lock && ../../$(COMPILE) $(PROJECT_LOCK) >/dev/null && ../../$(COMPILE) $(UV_LOCK) >/dev/null
	cd build/lock && ../../$(COMPILE) $(LAMBDA_LOCK) >/dev/null
	@cd build/lock && for tool in $(TOOLS); do \
	  ../../$(COMPILE) requirements/$$tool.in -o requirements/$$tool.txt >/dev/null || exit 1; done
	@for lock in project uv lambda $(TOOLS); do diff -u requirements/$$lock.txt build/lock/requirements/$$lock.txt \
	  || { echo "requirements/$$lock.txt is not what was asked for: make lock" >&2; exit 1; }; done

# ---- measurements, and a fresh start

.PHONY: bench
bench: $(SET_UP) try-dynoxide $(call tool,peers) $(if $(shell command -v npm 2>/dev/null),$(FRONTEND)) ## Measure, beside the peers, and write docs/benchmarks.md (NAMES='engine peers' chooses)
	$(PY) -m benchmarks --table --keep $(NAMES)

.PHONY: clean
clean: ## Remove everything that make made, every .venv included
	rm -rf .venv .venv-* requirements/dynoxide/node_modules frontend/node_modules frontend/dist frontend/dist-demo frontend/coverage build dist out htmlcov .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
