# Every target ends by itself, says what it did, and exits non-zero on failure.
GO      ?= go
OUT     := out
REDHEN  := $(OUT)/redhen
PKGS    := ./...
SHELL   := /bin/bash
.SHELLFLAGS := -euo pipefail -c

.PHONY: all build deb setup demo test check unit sim torture mutants powercuts clients phone name day nat fire levels e2e bench fuzz image pins release smoke test-vm clean

all: build

build: ## the one program
	@mkdir -p $(OUT)
	$(GO) build -trimpath -o $(REDHEN) ./cmd/redhen

deb: ## Debian packages for amd64 and arm64
	@GO=$(GO) .ci/deb $(OUT)

setup: ## what the tests need besides Go, from Debian
	@.ci/setup

demo: build ## a circle of three houses on this machine, until Ctrl-C
	$(REDHEN) demo

test: setup check ## everything that must always pass
	@rm -f $(OUT)/unsteady
	@$(MAKE) --no-print-directory unit sim clients phone fire
	@! grep -s . $(OUT)/unsteady || echo "unsteady: the tests above failed and passed when they ran again alone; each is a fault to be found"

# Processes, browsers and sleeping friends share two cores with whatever else runs there. A test that
# fails is run again, alone, four times at most: failing always is red, failing once is told at the end. Not what keeps the
# promises: no random circle, power cut or fire has a second try, and no data race.
again = rm -f $(OUT)/again; $(GO) tool gotestsum --format standard-quiet --rerun-fails=4 --rerun-fails-max-failures=8 --rerun-fails-run-root-test \
  --rerun-fails-abort-on-data-race --rerun-fails-report $(OUT)/again --packages "$(1)" -- $(2); [ ! -s $(OUT)/again ] || cat $(OUT)/again >>$(OUT)/unsteady

check: ## formatting, vet, staticcheck, tidy go.mod
	@test -z "$$(gofmt -l .)" || { gofmt -d . | head -40; echo "gofmt: see above"; exit 1; }
	$(GO) vet $(PKGS)
	$(GO) tool staticcheck $(PKGS)
	$(GO) mod tidy -diff

# What computes in one goroutine alone has nothing to race with. The matrix of NATs, circles in it, and
# whatever tests leave out when they are -short, take too long under the race detector. Random circles are the simulation's, below.
# Raced, a package has one processor: where two run timers of one synctest bubble at once, the detector of Go 1.26 dies
# (golang/go#78156: they share one of its contexts; runtime/time.go, unlockAndRun). It finds races by what happens before what, so one is enough.
CLIENTS := cmd/redhen/clients cmd/redhen/phone cmd/redhen/nat cmd/redhen/name cmd/redhen/levels
UNRACED := provision/p2ptest provision/qr provision/roster raftnode/catalog appliance/appliancetest
BOTH    := appliance/ingress raftnode raftnode/garbage raftnode/journal raftnode/manifest raftnode/raftlog
unit: ## all packages, under the race detector; but for those whose clients are other programs
	@mkdir -p $(OUT)
	$(call again,$$($(GO) list $(PKGS) | grep -v $(foreach p,$(CLIENTS) $(UNRACED),-e '/$(p)$$') | paste -sd' '),-race -cpu 1 -short -skip '^TestRandom' -timeout 15m)
	$(call again,$(addprefix ./,$(UNRACED) $(BOTH)),-skip '^TestRandom' -timeout 10m)

# Whole circles from random seeds: three houses and more, and two that give each other up;
# fifty seeds of a story at a time, in memory where there is room for it.
SIMTMP := $(shell [ -w /dev/shm ] && echo /dev/shm || echo /tmp)
raftnodetest = cd raftnode && TMPDIR=$(SIMTMP) ../$(OUT)/raftnode.test -test.timeout 2h
define simulate
	@$(GO) test -c -o $(OUT)/raftnode.test ./raftnode
	@cd raftnode && for from in $$(seq 1 50 $(1)); do echo TestRandomCircles $$from TestRandomTwoHouses $$from; done | \
	  TMPDIR=$(SIMTMP) xargs -P 2 -n 2 sh -c '../$(OUT)/raftnode.test -test.timeout 30m -test.run "^$$0\$$" -from $$1 -seeds 50 $(2)'
	@echo "simulation: $(1) seeds of each story, all promises kept"
endef

sim: build ## 200 seeded simulations, two planted mistakes that must be caught, 20 power cuts; what fails prints how to run it again
	$(call simulate,100)
	@$(raftnodetest) -test.run '^TestMutants$$' -mutants quick -seeds 20
	@$(raftnodetest) -test.run '^TestPowerCuts$$' -cuts 20

torture: build ## the same with SEEDS=N of each story, all planted mistakes, 200 power cuts
	$(call simulate,$(or $(SEEDS),10000),-lies)
	@$(MAKE) --no-print-directory mutants powercuts

mutants: ## every planted mistake must be caught; prints by which seed and why
	@$(GO) test -c -o $(OUT)/raftnode.test ./raftnode
	@$(raftnodetest) -test.run '^TestMutants$$' -mutants all -seeds 200 -test.parallel 2

powercuts: ## 200 power cuts in the recorded writes of a real box under load; needs strace
	@$(GO) test -c -o $(OUT)/raftnode.test ./raftnode
	@$(raftnodetest) -test.run '^TestPowerCuts$$' -cuts 200 -test.v | grep -vE '^ *(===|--- PASS)'

clients: ## real programs at a real circle: litmus, rclone, cadaver, curl; pulled plugs, flipped bytes, large files
	$(call again,./cmd/redhen/clients/,-count=1 -timeout 20m)

phone: ## the pages in a real browser that plays a phone: the short story
	$(call again,./cmd/redhen/phone/,-count=1 -short -timeout 15m)

e2e: ## the whole of it: by day and night, at the desk, without scripts; pictures of every page are in out/screens
	$(GO) test -count=1 -timeout 40m ./cmd/redhen/phone/
name: ## a public name in a small internet: a name server, an authority, a browser, a fire; needs root
	$(GO) test -count=1 -v -timeout 15m ./cmd/redhen/name/ | grep -vE '^=== '

day: ## a circle in 24 simulated hours, at night every home gets another address; the check has the night alone
	$(GO) test -count=1 -v -timeout 60m -run '^TestANightOfReconnects$$' ./appliance/appliancetest/ -day | grep -vE '^=== '

nat: ## real boxes in network namespaces behind the kernel's NAT; needs root
	$(GO) test -count=1 -v -timeout 30m ./cmd/redhen/nat/ | grep -vE '^=== '

fire: build ## the scripted fire, with real processes; N=20 repeats it
	$(REDHEN) fire --times $(or $(N),1)

levels: ## two releases in one circle: upgraded box by box under load, one goes back, and none afterwards
	$(GO) test -count=1 -timeout 15m -v ./cmd/redhen/levels/ | grep -vE '^=== '

bench: ## figures, one per line: name value unit
	@$(GO) test -run '^$$' -bench . -benchtime 1s $(PKGS) | awk '/^Benchmark/ { for (i = 3; i < NF; i += 2) print $$1, $$i, $$(i+1) }'

fuzz: ## every decoder for a few seconds
	@.ci/fuzz

image: ## the images for PCs and Raspberry Pis, into out/: sizes, times, hashes; BOARDS=vm-amd64 makes one
	$(GO) run ./images/bakery -out $(OUT) $(if $(BOARDS),-boards $(BOARDS))
	@git diff --exit-code go.mod go.sum # gok builds with -mod=mod

pins: ## renews the pins of Debian's packages in the images
	$(GO) run ./images/debian/pin

release: ## the same, signed: KEY=file (openssl genpkey -algorithm ed25519), RELEASE=name, NUMBER=n
	@test -n "$(KEY)" || { echo "release: KEY=file is needed: the key that signs"; exit 1; }
	$(GO) run ./images/bakery -out $(OUT)/release $(if $(BOARDS),-boards $(BOARDS)) -key $(KEY) -release "$(RELEASE)" -number $(or $(NUMBER),0)
	@git diff --exit-code go.mod go.sum

smoke: ## the image for PCs starts in QEMU, keeps what it has through a power cut
	REDHEN_VM=smoke $(GO) test -count=1 -timeout 10m -run 'TestSmoke' -v ./images/vmtest/

test-vm: levels ## all that virtual machines can show, 45 minutes at most
	REDHEN_VM=all $(GO) test -count=1 -p 1 -timeout 45m -v ./images/vmtest/ ./images/wifilab/

clean:
	rm -rf $(OUT)
