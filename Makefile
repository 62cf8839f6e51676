# Two commands matter: `make up` runs Tollgate, `make test` proves it. Nothing needs to be prepared but Python 3.12 or later.
.DEFAULT_GOAL := help
.PHONY: help up test check bench format messages clean
PYTHON := .venv/bin/python

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: ## run Tollgate here: PORT=8000 HOST=127.0.0.1 DATA_DIR=.data, or your own DATABASE_URL and REDIS_URL
	@bin/venv local
	@exec $(PYTHON) manage.py up --stop-with-parent

test: ## run the whole suite on real services that it starts itself (ARGS="-k token -x" reach pytest)
	@bin/venv dev
	@exec env -u DJANGO_SETTINGS_MODULE $(PYTHON) -m pytest $(ARGS)

check: ## lint, types, import directions, migrations, deployment checks
	@bin/venv dev
	@exec bin/check

bench: ## measure against nginx and, with BENCH_PEERS=litellm, other gateways
	@bin/venv dev
	@exec bench/run

format: ## rewrite the sources in the house's style
	@bin/venv dev
	@.venv/bin/ruff check --fix-only --quiet . && .venv/bin/ruff format .

messages: ## read the translatable strings again and compile locale/ (needs gettext; no services)
	@bin/venv dev
	@bin/messages

clean: ## remove what tools left behind, but neither .venv nor data
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache staticfiles
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
