# make demo   the main job on a real guest: back up, list, boot, picture, mail
# make demo-hyperv   the same from a stand-in for a Hyper-V host (docs/stand-in.md)
# make test   every check
# make check  format, lint, types, import rules
# make bench  every step by itself; make bench-peers compares with restic and borg

SHELL := /bin/bash
PYTHON := .venv/bin/python
STAMPS := .cache/stamps

.PHONY: demo demo-hyperv test check unit format bench bench-peers clean

demo: $(STAMPS)/system-demo $(STAMPS)/python
	$(PYTHON) -m tests.journeys.demo --to demo

demo-hyperv: $(STAMPS)/system-demo-hyperv $(STAMPS)/python
	$(PYTHON) -m tests.journeys.demo_hyperv --to demo-hyperv

test: $(STAMPS)/system-test $(STAMPS)/python check
	$(PYTHON) -m pytest -n 2 --dist worksteal --benchmark-disable

check: $(STAMPS)/python
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

format: $(STAMPS)/python
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

bench: $(STAMPS)/system-bench $(STAMPS)/python
	$(PYTHON) -m benchmarks.suite --write-docs

bench-peers: $(STAMPS)/system-bench $(STAMPS)/python
	$(PYTHON) -m benchmarks.peers --rounds 3 --write-docs
	$(PYTHON) -m benchmarks.peers --rounds 3 --profile zstd --write-docs
	$(PYTHON) -m benchmarks.peers --rounds 1 --size dense --profile more --write-docs

$(STAMPS)/system-%: .ci/system-packages
	@mkdir -p $(STAMPS)
	.ci/system-packages $*
	@touch $@

# The lock names exact versions and hashes of everything and no index: pip takes them from where this machine takes
# packages, and looks for nothing else. rekor-verifier asks for an older cryptography, which its Merkle proofs do not use.
$(STAMPS)/python: requirements.lock pyproject.toml | $(STAMPS)/system-demo
	@mkdir -p $(STAMPS)
	python3 -m venv .venv
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

clean:
	rm -rf .venv .cache demo demo-hyperv dist build
