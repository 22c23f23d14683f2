# Named recipes. The scripts contain the logic, so that CI, make and users without make run the same.

.DEFAULT_GOAL := help
.PHONY: help test check lint coverage soak bench
# Parts of the soak: `make soak growth` runs that part alone.
PARTS = crash outage drain chains races growth
.PHONY: $(PARTS)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

test: ## all checks: lint, docs, all tests on both engines (CI runs this)
	@tests/run

check: test ## the same as test

lint: ## formatting, clippy and docs only
	@tests/run lint

coverage: ## each requirement id with the file and line of its test
	@tests/requirements --list

soak: ## repeated crashes, database outages, races, chains and growth; one part: make soak growth
	@SOAK_PARTS="$(filter $(PARTS),$(MAKECMDGOALS))" tests/run soak

$(PARTS): soak ;

bench: ## requests per second of the release build, on both engines; asserts nothing
	@bench/run
