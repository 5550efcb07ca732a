# make help lists the targets.
SHELL := /bin/sh
GO ?= go
# The same flags everywhere, so that builds and tests share one cache.
GOFLAGS_ROTA := -trimpath
# What rota version shows. Set them where there's no Git checkout. Without a tag there's
# no version to speak of yet.
VERSION ?= $(shell git describe --tags --dirty --match 'v[0-9]*' 2>/dev/null || git describe --always --dirty --exclude '*' 2>/dev/null | sed 's/^/0.0.0-/')
COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null)
DATE ?= $(shell TZ=UTC0 git log -1 --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ 2>/dev/null)
# go.mod alone says what the module is called.
MODULE := $(shell $(GO) list -m)
CLI := $(MODULE)/internal/cli
LDFLAGS := -s -w -X $(CLI).linkedVersion=$(VERSION) -X $(CLI).linkedCommit=$(COMMIT) -X $(CLI).linkedDate=$(DATE)

# Dates in what is built are the commit's.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null)
export SOURCE_DATE_EPOCH

LINT_VERSION := v2.15.0
GORELEASER_VERSION := v2.15.1
CYCLONEDX_VERSION := v1.10.0
TOOLS := $(shell $(GO) env GOCACHE)/rota-tools

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/rota
	CGO_ENABLED=0 $(GO) build $(GOFLAGS_ROTA) -ldflags '$(LDFLAGS)' -o bin/rota ./cmd/rota

# One zip an architecture, the same to the byte for the same source: fixed
# dates, order and permissions. WITH="rota.yaml more.pem" packs these files too.
WITH ?=
.PHONY: lambda
lambda: ## dist/rota-lambda-{arm64,amd64}.zip: bootstrap for provided.al2023
	@for arch in arm64 amd64; do \
		CGO_ENABLED=0 GOOS=linux GOARCH=$$arch $(GO) build $(GOFLAGS_ROTA) -tags lambda,lambda.norpc -ldflags '$(LDFLAGS)' -o dist/lambda-$$arch/bootstrap ./cmd/rota && \
		$(GO) run $(GOFLAGS_ROTA) ./internal/tools/lambdazip dist/rota-lambda-$$arch.zip dist/lambda-$$arch/bootstrap $(WITH) || exit 1; \
	done

.PHONY: demo
demo: build ## play the whole life of two credentials, on embedded parts only
	@bin/rota demo

.PHONY: setup
setup: ## install what the tests need (as root on Debian), or say what is missing
	@hack/setup.sh

# The tests of what differs between PostgreSQL's releases run twice: on the
# machine's own, and on the newest.
TEST := $(GO) test $(GOFLAGS_ROTA) -timeout 25m -json
TEST_NEWEST := ROTA_TEST_POSTGRES=newest $(TEST)
.PHONY: test
test: setup ## every test, the servers they need included
	@{ \
		$(TEST) ./...; \
		echo 'again, on the newest PostgreSQL:'; \
		$(TEST_NEWEST) ./provider/postgres; \
		$(TEST_NEWEST) -run 'PostgresUser|AMasterChanges|OnPostgreSQL' ./internal/function ./internal/cli ./internal/store; \
	} | $(GO) run $(GOFLAGS_ROTA) ./internal/tools/testreport
	@cd deploy/check && $(GO) test $(GOFLAGS_ROTA) ./... # the alert rules and the dashboard, with Prometheus' own engine
	@cd examples/provider && $(GO) vet ./... && $(GO) test $(GOFLAGS_ROTA) ./... # a provider outside this module
	@cd client/bench && $(GO) vet $(GOFLAGS_ROTA) ./... # benchmarks next to AWS's own cache
	@cd deploy/opentofu && $(GO) test $(GOFLAGS_ROTA) ./... # the Terraform modules, with OpenTofu
	@cd deploy/release && $(GO) test $(GOFLAGS_ROTA) ./ci # GitHub's and GitLab's pipelines

# A module of its own: compiling Vault takes about eight minutes of processor time,
# once. CI runs it through hack/vault.sh, unless the same inputs have passed before.
.PHONY: vault
vault: ## provider/vault against HashiCorp Vault's own core
	@cd provider/vault/realtest && $(GO) vet ./... && $(GO) test $(GOFLAGS_ROTA) ./...

# The control plane is built once, from a module of its own: about ten minutes of
# processor time. make test runs these tests, too, where it was built before.
.PHONY: test-kubernetes
test-kubernetes: ## provider/kubernetes, the controller and the Helm chart on a real control plane, built if necessary
	@hack/controlplane.sh >/dev/null
	ROTA_REQUIRE=all $(GO) test $(GOFLAGS_ROTA) ./provider/kubernetes/... ./internal/controller/...
	@$(MAKE) --no-print-directory test-chart

# A module of its own: compiling Helm takes about four minutes of processor time, once.
.PHONY: test-chart
test-chart: ## the Helm chart and the kustomize base on a real control plane
	@hack/controlplane.sh >/dev/null
	@cd deploy/helm/check && $(GO) vet $(GOFLAGS_ROTA) ./... && ROTA_REQUIRE=all $(GO) test $(GOFLAGS_ROTA) ./...

# Copies the alert rules and the definitions of the custom resources into the chart, and
# writes the kustomize base and the table of values.
.PHONY: chart
chart: ## what's generated in deploy/helm/rota and deploy/kustomize
	@cd deploy/helm/check && $(GO) test $(GOFLAGS_ROTA) -run 'UpToDate|Table|KustomizeBaseIs' ./... -update

.PHONY: race
race: setup ## every test under the race detector (needs a C compiler)
	$(GO) test $(GOFLAGS_ROTA) -race -timeout 60m ./...

.PHONY: simulate
simulate: build ## the long simulation: 800 days, many seeds
	bin/rota simulate --days 800 --seeds 400

PKG ?=
FILES ?=
LIMIT ?= 20m
.PHONY: mutate
mutate: ## plant small bugs in PKG=, FILES= or what has changed, and show those no test notices
	@hack/mutate.sh $(LIMIT) $(PKG) $(FILES)

.PHONY: fuzz
fuzz: ## each fuzz target for ten seconds
	@hack/fuzz.sh 10s

.PHONY: bench
bench: setup ## the figures of docs/performance.md
	@hack/bench.sh

.PHONY: lint
lint: $(TOOLS)/golangci-lint-$(LINT_VERSION) ## formatting, vet, the arrows between packages
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'not formatted (try: gofmt -w)'; exit 1; }
	$(GO) mod verify
	$(TOOLS)/golangci-lint-$(LINT_VERSION) run ./...

$(TOOLS)/golangci-lint-$(LINT_VERSION):
	@mkdir -p $(TOOLS)
	GOBIN=$(TOOLS)/new CGO_ENABLED=0 $(GO) install -trimpath github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	mv $(TOOLS)/new/golangci-lint $@

# Completions and manual pages for the machine's own shell, and for releases.
.PHONY: extras
extras: ## bin/extras: completions and manual pages
	@rm -rf bin/extras && mkdir -p bin/extras/completions
	@GOOS= GOARCH= CGO_ENABLED=0 $(GO) build $(GOFLAGS_ROTA) -ldflags '$(LDFLAGS)' -o bin/extras/rota ./cmd/rota
	@bin/extras/rota man bin/extras/man
	@gzip -9 -n -k bin/extras/man/*.1
	@bin/extras/rota completion bash >bin/extras/completions/rota.bash
	@bin/extras/rota completion zsh >bin/extras/completions/_rota
	@bin/extras/rota completion fish >bin/extras/completions/rota.fish
	@bin/extras/rota completion powershell >bin/extras/completions/rota.ps1
	@rm bin/extras/rota

RELEASE_TOOLS := $(TOOLS)/goreleaser-$(GORELEASER_VERSION) $(TOOLS)/cyclonedx-gomod-$(CYCLONEDX_VERSION)/cyclonedx-gomod
# goreleaser asks Git for a remote, which a checkout may lack.
REMOTE := GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=remote.origin.url GIT_CONFIG_VALUE_0=https://$(MODULE)
GORELEASER := $(REMOTE) PATH="$(TOOLS)/cyclonedx-gomod-$(CYCLONEDX_VERSION):$$PATH" $(TOOLS)/goreleaser-$(GORELEASER_VERSION)

# TARGET=linux_amd64 builds for this platform alone: minutes instead of half an hour.
TARGET ?=
.PHONY: release-snapshot
release-snapshot: $(RELEASE_TOOLS) ## dist: all that a release has, without publishing it; TARGET=linux_amd64 for one platform
	ROTA_TARGET=$(TARGET) $(GORELEASER) release --snapshot --clean $(if $(filter-out linux_%,$(TARGET)),--skip=nfpm)
	@hack/image.sh '$(TARGET)'

comma := ,
# PUBLISH=no builds the tagged commit as its release was built, to compare them.
# IMAGE is the repository that the image is pushed to.
PUBLISH ?= yes
IMAGE ?=
.PHONY: release
release: $(RELEASE_TOOLS) ## build the tagged commit's release, and publish it as a draft; PUBLISH=no only builds it
	@mkdir -p bin
	@hack/notes.sh "$$(git describe --tags --exact-match)" >bin/notes.md
	$(GORELEASER) release --clean --release-notes bin/notes.md $(if $(filter no,$(PUBLISH)),--skip=publish$(comma)announce)
	@hack/image.sh '' $(if $(filter no,$(PUBLISH)),,'$(IMAGE)')

.PHONY: test-release
test-release: ## install and run what make release-snapshot has built
	@cd deploy/release && ROTA_REQUIRE=all $(GO) test $(GOFLAGS_ROTA) -count=1 ./...

$(TOOLS)/goreleaser-$(GORELEASER_VERSION):
	@mkdir -p $(TOOLS)
	GOBIN=$(TOOLS)/new GOFLAGS= CGO_ENABLED=0 $(GO) install -trimpath github.com/goreleaser/goreleaser/v2@$(GORELEASER_VERSION)
	mv $(TOOLS)/new/goreleaser $@

$(TOOLS)/cyclonedx-gomod-$(CYCLONEDX_VERSION)/cyclonedx-gomod:
	GOBIN=$(@D) GOFLAGS= CGO_ENABLED=0 $(GO) install -trimpath github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(CYCLONEDX_VERSION)

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist
