# queuectl: `make` prints what there is.
PYTHON ?= python3
TOOLS := $(CURDIR)/.tools/$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
PYTEST = PYTHONPATH=$(TOOLS) $(PYTHON) -m pytest -q -p no:cacheprovider $(PYTEST_FLAGS)
CHECKED = queuectl.py storage.py worker.py queuectl_lib

CHAOS_SEED ?= 1
SEEDS ?= 2000
COMMIT ?= HEAD~1

.PHONY: help demo test test-long test-all real readme rooms slurm dist powercut mutants faults simulate bench bench-full beside chaos check pytest checkers clean

help:  ## print this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed 's/:.*##/:/' | awk -F': +' '{ printf "  make %-10s %s\n", $$1, $$2 }'

demo:  ## run nine jobs of every kind for real, in a temporary home
	@PYTHON='$(PYTHON)' sh tests/instruments/demo.sh

# Six processes at a time on however few cores, for the tests mostly wait for processes of their own: first the files
# that take longest, one by one, then the others by fours, for pytest itself takes half a second to start.
LONGEST = vanishing trust control_file queues_served recovery trust_code slots quiet ensuring command_line stopping \
  canary_killed running clock replacing interruption carrying door check hooks looking why house damaged_rows costly_input \
  bad_input after migrating log full_disks hold slots_made background failpoints submitting changed_rows
FOUND = $(filter-out tests/real/%,$(wildcard tests/test_*.py tests/*/test_*.py))
LONG = $(foreach name,$(LONGEST),$(filter %/test_$(name).py,$(FOUND)))
OTHERS = $(filter-out $(LONG),$(FOUND))
LOGS = $(TOOLS)/logs
WHICH = not long

test-long: WHICH = long or not long
test-long: test  ## the same with the long matrices of shells, flags, environments and faults

test: pytest  ## run the tests (pytest is fetched where it is missing)
	@rm -rf $(LOGS); mkdir -p $(LOGS); \
	{ printf '%s\n' $(LONG); printf '%s\n' $(OTHERS) | xargs -n 4; } | xargs -P 6 -I FILES sh -c '\
	  set -- FILES; log=$(LOGS)/$$(basename $$1); \
	  $(PYTEST) -m "$(WHICH)" "$$@" >$$log 2>&1; code=$$?; [ $$code -ne 5 ] || code=0; \
	  if [ $$code -eq 0 ]; then echo "FILES: $$(tail -n 1 $$log)"; else cat $$log; fi; exit $$code'; code=$$?; \
	sed -n 's/,//g; /^[0-9].* in [0-9.]*s/p' $(LOGS)/* | awk '{ for (i = 2; i <= NF; i++) sum[$$i] += $$(i - 1) } \
	  END { printf "%d passed, %d failed, %d skipped\n", sum["passed"], sum["failed"] + sum["error"] + sum["errors"], sum["skipped"] }'; \
	exit $$code

readme:  ## write the table of commands into README.md
	@$(PYTHON) tests/helpers/readme.py

rooms:  ## list the rooms of the code: floor, lines, first sentence
	@$(PYTHON) tests/helpers/house.py

dist:  ## build dist/queuectl.pyz, the bundle as one file
	$(PYTHON) .ci/dist.py dist/queuectl.pyz

test-all:  ## the tests on every Python found (PYTHONS="..."), and storage on every SQLite given (SQLITES="dir ...")
	@sh tests/instruments/everywhere.sh

real: pytest  ## run the tests that need real programs (promtool, parallel, a browser ...), which it installs where it may
	@PYTHON='$(PYTHON)' PYTHONPATH=$(TOOLS) sh tests/instruments/real.sh

slurm: pytest  ## run the tests that need a Slurm, an sshd or containers, and two minutes of kills on each of the first two
	@PYTHON='$(PYTHON)' PYTHONPATH=$(TOOLS) sh tests/instruments/slurm.sh

chaos:  ## two minutes of random kills, stops, full disks and held locks, with a ledger (CHAOS_SEED=N)
	$(PYTHON) tests/instruments/chaos.py --seed $(CHAOS_SEED)

mutants: pytest  ## plant faults into copies of the product, one at a time, and see which test notices (four minutes)
	PYTHONPATH=$(TOOLS) $(PYTHON) tests/instruments/mutants.py

faults:  ## fail, or kill at, every system call of every command that writes (strace, long)
	$(PYTHON) tests/instruments/strace_faults.py

powercut:  ## cut the power of an ext4 file system under a busy queue, eight times (root on Linux)
	$(PYTHON) tests/instruments/powercut.py

simulate:  ## imaginary workers that die between any two calls of the real storage (SEEDS=N)
	$(PYTHON) tests/instruments/simulate.py --seeds $(SEEDS)
	$(PYTHON) tests/instruments/simulate_flow.py --seeds $(SEEDS)
	$(PYTHON) tests/instruments/simulate_after.py --seeds $(SEEDS)
	$(PYTHON) tests/instruments/simulate_schedules.py --seeds $$(($(SEEDS) / 10))

bench:  ## measure the targets against their yardsticks: one table, and the same as .tools/bench.json
	@mkdir -p .tools; $(PYTHON) tests/instruments/bench.py --json .tools/bench.json

bench-full:  ## the same with a million jobs of a kind, more turns, and other queues beside it (long)
	@mkdir -p .tools; $(PYTHON) tests/instruments/bench.py --full --json .tools/bench-full.json

beside:  ## what a short job and one `add` cost beside another commit, in CPU (COMMIT=c1a27a6)
	$(PYTHON) tests/instruments/beside.py $(COMMIT)

check: checkers  ## lint, and check the types for linux, darwin and win32
	PYTHONPATH=$(TOOLS)/check $(PYTHON) -m ruff check --no-cache --isolated --target-version py38 --line-length 120 \
	  --select E,F,W,B,I,C4,PIE,SIM,RET --ignore SIM105,SIM115 --per-file-ignores 'queuectl.py:B904,tests/*:E402,.ci/*:E402' \
	  $(CHECKED) tests .ci
	@for platform in linux darwin win32; do \
	  echo "mypy --strict --platform $$platform"; \
	  PYTHONPATH=$(TOOLS)/check $(PYTHON) -m mypy --strict --platform $$platform --python-version 3.8 \
	    --cache-dir $(TOOLS)/mypy $(CHECKED) || exit 1; \
	done

# System Pythons often refuse pip (PEP 668) or lack venv: --target works on all of them.
PIP = PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 PIP_ROOT_USER_ACTION=ignore $(PYTHON) -m pip install -q --disable-pip-version-check

pytest:
	@PYTHONPATH=$(TOOLS) $(PYTHON) -c 'import pytest' 2>/dev/null || { \
	  echo "fetching pytest into $(TOOLS)"; $(PIP) --target $(TOOLS) pytest; }

checkers:
	@PYTHONPATH=$(TOOLS)/check $(PYTHON) -c 'import mypy, ruff' 2>/dev/null || { \
	  echo "fetching mypy and ruff into $(TOOLS)/check"; $(PIP) --target $(TOOLS)/check mypy==1.14.1 ruff; }

clean:  ## remove what make has fetched and what Python has cached
	rm -rf .tools dist .mypy_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
