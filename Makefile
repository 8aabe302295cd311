# make dev and make test are all that a reader needs; the rest serves those who work on streamproc.
SHELL := /bin/bash
GO ?= go

.PHONY: build deps lint test vet

build: ## the binary, in bin/
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/streamproc ./cmd/streamproc

vet:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "gofmt these:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...

deps: ## what the tests need on Debian 12, installed where it is missing
	scripts/deps.sh

test: deps vet build ## every test, those on a real Kafka and Redis included
	scripts/with-servers.sh $(GO) test -count=1 ./...
	$(GO) test -count=1 -race ./pipeline ./kafka ./dedup ./memstate
