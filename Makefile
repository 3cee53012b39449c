# The only commands to know. Settings come from the environment or after the command:
#   make up HTTP_PORT=8080      SLIPWAY_INSTANCE=two make up
.PHONY: up down purge test check e2e bench api release-schema lock

up: ## start the platform, make the first owner, deploy the sample
	@sh infra/up.sh

down: ## stop all that `make up` made; data is kept
	@sh infra/down.sh

purge: ## remove it, with its data
	@sh infra/purge.sh

test: ## everything: static checks, unit, architecture, contract, integration, end to end
	@sh infra/test.sh all

check: ## static checks, unit and architecture tests only: seconds, no engine
	@sh infra/test.sh quick

e2e: ## the end-to-end tests only
	@sh infra/test.sh e2e

bench: ## measure against the goals, on an instance of its own
	@sh infra/test.sh bench

api: ## write what is generated from the code: event schemas, samples, docs/events.md, parts of docs/api.md and docs/settings.md
	@sh infra/test.sh api

release-schema: ## at a release: hold all later event shapes against today's (before the first: FIRST=1)
	@sh infra/test.sh release-schema

lock: ## write the lock files again after a dependency changed
	@sh infra/lock.sh
