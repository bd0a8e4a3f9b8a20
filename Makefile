# Everything runs through npm, which puts the pinned Node first on PATH; the machine's own Node only installs.
SHELL := /bin/sh
.DEFAULT_GOAL := help

# A machine without a usable home directory gets one outside the repository.
ifneq ($(shell test -d "$$HOME" && test -w "$$HOME" && echo usable),usable)
export HOME := $(or $(TMPDIR),/tmp)/agent-ops-home-$(shell id -u)
$(shell mkdir -p -m 700 "$(HOME)")
endif

export NEXT_TELEMETRY_DISABLED := 1
export WRANGLER_SEND_METRICS := false
export CHECKPOINT_DISABLE := 1
export npm_config_update_notifier := false

run := npm run --silent

.PHONY: help
help: ## what there is to do
	@awk -F ':.*## ' '/^[a-z][a-z -]*:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: dev test demo verify
dev: install ## start everything on loopback, with hot reload, and print the address
	@$(run) dev

test: install ## every check and test that CI runs; ends with one summary line
	@$(run) test:all

demo: install ## one prompt, start to finish, in a private stack (JSON=1: one JSON object; DEMO_MODEL=…)
	@JSON=$(JSON) $(run) demo

verify: install ## format, lint, import rules, types, dead code, documents: no database
	@$(run) verify

.PHONY: dev-web dev-rooms dev-model dev-opencode typecheck lint faults bench health
dev-web: install ## the web server alone, on port 3000; reads .env
	@$(run) dev:web

dev-rooms: install ## the rooms alone, on port 8787; reads .env
	@$(run) dev:rooms

dev-model: install ## the scripted model alone, on port 8788
	@$(run) dev:model

dev-opencode: install ## the agent alone, with the scripted model, on port 4096
	@$(run) dev:opencode

typecheck: install ## the four TypeScript programs
	@$(run) typecheck

lint: install ## format and lint
	@$(run) lint

faults: install ## processes killed at the worst moment, over many seeds
	@FAULT_SEEDS=$${FAULT_SEEDS:-20} $(run) test:faults
	@SIMULATION_HISTORIES=$${SIMULATION_HISTORIES:-10000} $(run) test:simulation

bench: install ## the side-by-side measurements
	@$(run) bench

health: install ## ask a running server whether its parts are up (URL=…)
	@$(run) health -- $(URL)

# The database is the one in DATABASE_URL when that is set, else the local one.
.PHONY: db-setup db-migrate db-seed db-reset
db-setup: install ## create the database, its tables and the seed data
	@$(run) db:setup

db-migrate: install ## apply the migrations that are missing
	@$(run) db:migrate

db-seed: install ## add the seed data; safe to repeat
	@$(run) db:seed

db-reset: install ## drop everything and set up again
	@$(run) db:reset

.PHONY: install
install: node_modules/.package-lock.json
	@sh dev/system-packages.sh >&2

# `npm ci` refuses a lock file that lacks other platforms' optional packages, so this is `npm install`.
# What it says goes to stderr, so that `make demo JSON=1` prints its object alone.
node_modules/.package-lock.json: package.json package-lock.json
	@node -e 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)' && npm --version >/dev/null \
		|| { echo "Node 20 or newer with npm is needed: https://nodejs.org/en/download"; exit 1; } >&2
	@test "$$(uname -s) $$(uname -m)" = "Linux x86_64" \
		|| echo "The agent, PostgreSQL and Bun are installed for Linux x64 only; what needs them fails on $$(uname -s) $$(uname -m)." >&2
	@echo "installing packages (about a minute)" >&2
	@npm install --ignore-scripts --no-audit --no-fund --loglevel=error >&2
	@touch $@
