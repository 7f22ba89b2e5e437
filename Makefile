# Needs Linux, Python 3.11 and make; everything else goes into .venv.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
# There while a set-up runs: one that was interrupted starts anew, since pip takes a package whose
# files are half written for installed.
UNFINISHED := $(VENV)/.unfinished

# The pinned versions are those of 3.11; they exist for 3.12 too, which is untried, not for 3.10.
VERSION_FITS := import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))
PYTHON ?= $(shell for python in python3.11 python3; do \
	if "$$python" -c '$(VERSION_FITS)' 2>/dev/null; then echo "$$python"; break; fi; done)
# Another index for torch and torchvision, such as that of the CPU builds.
TORCH_INDEX ?=

# Without compiling everything: most modules are never imported. Those that are get compiled once,
# below, also where PYTHONDONTWRITEBYTECODE would make every process do it anew.
PIP := $(RUN) -m pip install --disable-pip-version-check --no-compile
IMPORTED := mmfreeze, mmdet.apis, matplotlib.figure, pytest, torch._dynamo, torch.distributed.run
# Of what pip says, the larger downloads are enough to see that something goes on.
BRIEFLY := | sed -un -e 's/^ *\(Downloading\|Using cached\) \(.*MB)\)$$/      \2/p' \
	-e 's/^Installing collected packages.*/      installing .../p'

TOY := data/toy/annotations/test.json
TOY_KINDS := base lfa afa afa-store freezeout learndrop
TOY_RUNS := $(TOY_KINDS:%=work_dirs/vitdet_%_toy)

.PHONY: help setup toy train results test soak clean

help:  ## List the targets.
	@sed -n 's/^\([a-z]*\):.*##/make \1\t/p' $(MAKEFILE_LIST) | expand -t 16
	@echo 'TORCH_INDEX=<url> takes torch and torchvision from another index.'
	@echo 'PYTHON=<path> sets the Python that .venv is made with.'

setup: $(READY)  ## Install everything into .venv, unless it is there.

$(READY): $(wildcard requirements/*.txt) setup.py
	@"$(PYTHON)" -c '$(VERSION_FITS)' 2>/dev/null || { \
		echo 'No Python 3.11 (or 3.12): install one, or name it: make PYTHON=/path/to/python3.11' >&2; \
		exit 1; }
	@echo 'Setting up $(VENV): up to 3.0 GB to download, 5.5 GB of disk, 3-5 minutes.'
	@echo '(2.2 GB of it are CUDA libraries: make TORCH_INDEX=<url of CPU builds> does without.)'
	@if [ -e $(UNFINISHED) ]; then rm -rf $(VENV); fi
	@mkdir -p $(VENV) && rm -f $@ && touch $(UNFINISHED)
	@"$(PYTHON)" -m venv $(VENV)
	@echo '[1/4] MMDetection and what it needs'
	@$(PIP) --no-deps -r requirements/lock.txt $(BRIEFLY)
	@echo '[2/4] torch and torchvision'
	@$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) -r requirements/torch.txt $(BRIEFLY)
	@echo '[3/4] OpenCV without a GUI, over the build that mmcv requires'
	@$(PIP) --no-deps --force-reinstall -r requirements/headless.txt $(BRIEFLY)
	@echo '[4/4] mmfreeze itself'
	@$(PIP) --no-deps --no-build-isolation --editable . $(BRIEFLY)
	@PYTHONDONTWRITEBYTECODE= $(RUN) -W ignore -c 'import $(IMPORTED)' >/dev/null
	@rm $(UNFINISHED) && touch $@

$(TOY): | $(READY)
	$(RUN) tools/dataset_converters/make_toy.py --out data/toy

toy: $(READY) $(TOY)  ## Draw the toy set.

train: $(READY) $(TOY)  ## Train ViTDet with adaptive freezing on the toy set.
	$(RUN) tools/train.py configs/vitdet_afa_toy.py

# One thread each, so that two of them can run side by side: make -j2 results
result-%: $(READY) $(TOY)
	OMP_NUM_THREADS=1 $(RUN) tools/train.py configs/vitdet_$*_toy.py

results: $(TOY_KINDS:%=result-%)  ## Train the toy detector with each policy that has a config, and compare them.
	$(RUN) tools/analysis_tools/compare_runs.py $(TOY_RUNS)
	$(RUN) tools/analysis_tools/plot_freezing.py $(TOY_RUNS) --out docs/images/freezing_toy.png

test: $(READY)  ## Run the tests.
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

soak: $(READY)  ## Kill small runs at a hundred moments and compare what they end with.
	MMFREEZE_KILLS=100 OMP_NUM_THREADS=1 $(RUN) -m pytest -n 2 tests/engine/exact/test_kill_and_resume.py

clean:  ## Remove .venv, the toy set and caches; training runs in work_dirs stay.
	rm -rf $(VENV) data/toy build *.egg-info .pytest_cache
	find mmfreeze tools tests -name __pycache__ -prune -exec rm -rf {} +
