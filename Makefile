# What a person types. Everything that can be a Go program is one.

GOLANGCI_LINT := v2.15.0
GOBIN := $(shell go env GOPATH)/bin

# Packages with goroutines of their own: these run once more under the race detector.
RACE := ./daemon/... ./logs/... ./pipeline/... ./kafka/... ./memstate/... ./internal/devstack/... ./internal/process/... ./chaos/proxy/...

APT := redis-server clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32 libc++-19-dev-wasm32 libc++abi-19-dev-wasm32
SERVERS := go run ./internal/servers/cmd/servers

.PHONY: dev build deps plugins test lint servers bench chaos aimed soak sim mutants

dev: ## Kafka, Redis and pipelines.yaml in one process, on real records
	go run ./cmd/streamproc dev

build: ## the binary, in bin/
	CGO_ENABLED=0 go build -trimpath -ldflags=-s -o bin/streamproc ./cmd/streamproc

deps: ## what the tests need, on Debian 12; as root where packages are missing
	@missing=; for p in $(APT); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $$missing; fi
	@rustup target list --installed | grep -qx wasm32-wasip1 || rustup target add wasm32-wasip1
	@$(SERVERS) -fetch

plugins: ## the example plugins, from source
	$(MAKE) -C plugins
	$(MAKE) -C runtime/compat

test: deps ## every test, on a real Kafka and a real Redis
	go vet ./...
	$(SERVERS) go test -timeout 15m ./...
	$(SERVERS) go test -race -timeout 10m $(RACE)
	go test -tags synctests -timeout 10m ./sim
	$(MAKE) -C plugins test
	$(MAKE) -C runtime/compat test
	$(MAKE) -C bench/guests test
	$(MAKE) -C runtime/lua/engine test

lint: ## golangci-lint, pinned
	@$(GOBIN)/golangci-lint version 2>/dev/null | grep -q "$(GOLANGCI_LINT:v%=%)" || \
		go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT)
	$(GOBIN)/golangci-lint run ./...

servers: ## a real Kafka and a real Redis, until interrupted; it prints what pipelines and tests find them by
	$(SERVERS)

bench: ## pass, q1 and dedup-q1 beside the floor
	go run ./bench/cmd/bench

aimed: ## a stale member is aimed at thirty times in each way, with the guard and without, some ten minutes
	go build -o bin/aimed ./chaos/cmd/aimed
	go build -tags mutant_noguard -o bin/aimed-noguard ./chaos/cmd/aimed
	$(SERVERS) bin/aimed -mutant bin/aimed-noguard

DELIVERY := exactly_once
chaos: ## every scenario of chaos/, three at a time, and whether the goals are reached: about 45 minutes; DELIVERY=at_least_once; results are kept in chaos/results
	go run ./chaos/cmd/chaos -delivery $(DELIVERY)

RUNS := 1000
sim: ## the engine on virtual time under aimed faults, on all cores; RUNS=100000 for a night
	go run ./sim/cmd/sim -runs $(RUNS)
	go test -timeout 60m ./sim/enumerate -args -enumerate.every

mutants: ## the engine and its metering broken on purpose: the harness must notice each
	go run ./sim/cmd/mutants

SOAK := 10m
soak: ## a steady rate: does memory grow, do goroutines? SOAK=60s is the short form
	go run ./chaos/cmd/chaos -soak $(SOAK)
