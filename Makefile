# Everything that one does with this project, each verb once; `make` alone lists them.
# Plain file targets (`make build`, `make build/release/unit_tests`) need a compiler and the libraries, nothing
# else: the container's builder stage calls them as they are. What installs packages says so in its line.

# Knobs, for the command line or the environment. Changed flags rebuild what they reach.
CXXFLAGS ?= $(if $(DEBUG),-Og -g3,-O2 -g)
# Anything: for a debugger. SANITIZE: address,undefined or thread. Each is a build of its own under build/, so that no variant ever
# rebuilds another.
DEBUG    ?=
SANITIZE ?=
# The tests' own code is compiled for quick compiling; what is tested has the flags above.
TEST_CXXFLAGS ?= -O0 -U_FORTIFY_SOURCE
# Anything: show the commands, instead of a line for each file.
V ?=
# The folder of another service on the same machinery: build, start, backup and the like are then about that one.
SERVICE ?=
# The beginning of a file's name, or a file and a class: of `make integration`, `browser` and `faults`, these alone.
ONLY ?=
# Anything: a warning is an error (for those who change the code; another compiler's new warnings must stop no rebuild).
WERROR ?=
# How long `make fuzz` lets each target run.
FUZZ_SECONDS ?= 60
# How long `make soak` goes on, and the seed of its faults (none: another each time; it is printed first).
SECONDS ?= 600
SEED ?=

# -p: what the caller's BASH_ENV, CDPATH or functions say does not count. Scripts are given to it, as a copy may have lost its exec bits.
SHELL := /bin/bash
.SHELLFLAGS := -p -c
script := LC_ALL=C.UTF-8 $(SHELL) -p
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

comma   := ,
empty   :=
space   := $(empty) $(empty)
variant := $(or $(subst $(space),-,$(strip $(if $(DEBUG),debug) $(subst $(comma),-,$(SANITIZE)))),release)
build   := build/$(variant)
quiet   := $(if $(V),,@)

ifneq ($(SANITIZE),)
ifeq ($(filter $(SANITIZE),address$(comma)undefined thread fuzzer),)
$(error SANITIZE may be empty, "address,undefined" or "thread", not "$(SANITIZE)")
endif
endif

# Third-party headers lie in the compiler's system directories (or are given by -isystem in CPPFLAGS): no warnings from there.
warnings  := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wno-missing-field-initializers $(if $(WERROR),-Werror)
hardening := -fstack-protector-strong -fPIE $(if $(SANITIZE),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
sanitizer := $(if $(SANITIZE),-fno-omit-frame-pointer -fno-sanitize-recover=all \
	-fsanitize=$(if $(filter fuzzer,$(SANITIZE)),fuzzer-no-link$(comma)address$(comma)undefined,$(SANITIZE)))
tsan_options := suppressions=$(CURDIR)/tests/tsan.supp
ifeq ($(SANITIZE),thread)
export TSAN_OPTIONS := $(tsan_options)
endif
cxxflags   = -std=c++20 -Ifcgi-app/src -I$(build)/app $(CPPFLAGS) $(warnings) $(hardening) $(sanitizer) $(CXXFLAGS) -MMD -MP
unit_cxxflags = -DBOOST_TEST_DYN_LINK -Itests/unit $(TEST_CXXFLAGS)
side_cxxflags = $(TEST_CXXFLAGS)
# The folder leaves no trace in what is built, so that one commit is one program, wherever it is built. A debugger wants to know it.
anywhere  := $(if $(DEBUG),,-ffile-prefix-map="$$PWD"=.)
ldflags    = -pie -Wl,-z,relro,-z,now $(sanitizer) $(LDFLAGS)
libraries := -lfcgi -lpqxx -lpq -lpthread

app_source   := $(sort $(wildcard fcgi-app/src/*.cpp fcgi-app/src/*/*.cpp))
unit_source  := $(sort $(wildcard tests/unit/*.cpp tests/unit/*/*.cpp))
app_objects  := $(app_source:fcgi-app/src/%.cpp=$(build)/app/%.o)
core_objects := $(filter-out %/main.o,$(app_objects))
unit_objects := $(unit_source:tests/unit/%.cpp=$(build)/unit/%.o)
# Another service's program is made of its own sources and of the machinery, as it is.
service      := $(patsubst %/,%,$(filter-out . ./,$(SERVICE)))
own          := $(build)/services/$(notdir $(service))
own_source   := $(if $(service),$(sort $(wildcard $(service)/src/*.cpp $(service)/src/*/*.cpp)))
own_objects  := $(own_source:$(service)/src/%.cpp=$(own)/%.o)
own_cxxflags  = -iquote $1/src -iquote $(build)/services/$(notdir $1)
machinery    := $(filter-out $(addprefix $(build)/app/,main.o visitors/%),$(app_objects))
program      := $(if $(service),$(own),$(build))/fcgi-app
# What `make test` tests beside this checkout's own service.
tested       := $(wildcard examples/tickets)
examples     := $(sort $(wildcard examples/*/src/*.cpp examples/*/src/*/*.cpp))
fuzz_targets := $(patsubst tests/fuzz/%.cpp,$(build)/%,$(sort $(wildcard tests/fuzz/*.cpp)))
bench_source := $(wildcard tests/bench/*.cpp tests/bench/*/*.cpp tests/bench/*/*/*.cpp)
bench_built  := $(patsubst tests/%.cpp,$(build)/%,$(bench_source))
# Programs that `make test` does not run, but that must compile: nothing else would notice.
side_objects := $(patsubst tests/%.cpp,$(build)/%.o,$(wildcard tests/fuzz/*.cpp) $(bench_source))
formatted    := $(wildcard fcgi-app/src/*.[ch]pp fcgi-app/src/*/*.[ch]pp tests/unit/*.[ch]pp tests/unit/*/*.[ch]pp tests/fuzz/*.[ch]pp) $(bench_source) \
	$(wildcard examples/*/src/*.[ch]pp examples/*/src/*/*.[ch]pp)

# What installs or runs things is a list of steps in order; only the compiling inside is parallel. $(call compile,WHAT): one at a time, so
# that two `make start` in one checkout do not write the same objects; a make that has nothing to compile does not wait for the lock.
inner_make := $(MAKE) --no-print-directory
jobs        = $(if $(findstring jobserver,$(MAKEFLAGS)),,--jobs=$(shell nproc))
compile     = mkdir -p build && { $(inner_make) --question $1 2>/dev/null || flock build/.lock $(inner_make) $(jobs) $1; }

# The goals that compile in this very make; the others call it again.
ifneq ($(filter build build/% run-fuzz-targets,$(MAKECMDGOALS)),)

# make --question and --dry-run change nothing.
letters    := $(filter-out --%,$(firstword -$(MAKEFLAGS)))
only_looks := $(findstring n,$(letters))$(findstring q,$(letters))

# What a build was made with. Objects depend on this file, which changes with its text alone.
flags := $(CXX) $(anywhere) $(cxxflags) | $(TEST_CXXFLAGS) | $(ldflags) $(libraries)
ifneq ($(flags),$(file <$(build)/flags))
ifdef only_looks
.PHONY: $(build)/flags
else
$(shell mkdir -p $(build))
$(file >$(build)/flags,$(flags))
endif
endif

# For clangd and its like: how each source is compiled, in the variant that was built last.
json     = "$(subst ",\",$(subst \,\\,$1))"
command  = $(comma){"directory": $(call json,$(CURDIR)), "file": $(call json,$1), "command": $(call json,$(CXX) $(cxxflags) $2 -c $1)}
commands = $(foreach source,$(app_source),$(call command,$(source))) \
	$(foreach source,$(examples),$(call command,$(source),$(call own_cxxflags,$(firstword $(subst /src/, ,$(source)))))) \
	$(foreach source,$(unit_source),$(call command,$(source),$(unit_cxxflags))) \
	$(foreach source,$(wildcard tests/fuzz/*.cpp) $(bench_source),$(call command,$(source),$(side_cxxflags)))
database := [$(subst ^$(comma),,^$(strip $(commands)))]
ifneq ($(or $(only_looks),$(database)),$(or $(only_looks),$(file <compile_commands.json)))
$(if $(shell test -w . && echo writable),$(file >compile_commands.json,$(database)))
endif

# How many files this make will compile: a dry run counts them, so that each line can say how many are left.
ifndef only_looks
to_compile := $(shell $(inner_make) --dry-run $(MAKEOVERRIDES) $(MAKECMDGOALS) | grep -c '^echo compile ')
endif
endif
started =
announce = $(if $(only_looks),echo compile $<,$(eval started += $<)$(if $(V),,@echo "  compile $<, $$(($(to_compile) - $(words $(started)))) left"))
link     = $(if $(V),,@echo '  link $@' &&) $(CXX) $(ldflags) $^ $(libraries) $1 -o $@.next && mv $@.next $@

##@ Everyday
.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run start stop status report build check test new
run: ## Start as below, show the logs, stop on Ctrl-C (first time a few minutes, then under 10 s)
	@$(script) local/check
	@$(script) local/packages run build
	@$(call compile,$(program))
	@$(script) local/run $(program)

start: ## Install what is missing, build, start PostgreSQL, the app and nginx (warm: under 3 s)
	@$(script) local/check
	@$(script) local/packages run build
	@$(call compile,$(program))
	@$(script) local/start $(program)

stop: ## Let requests in flight complete, then stop everything (1 s, or as long as a request takes)
	@$(script) local/stop

status: ## One line per part; succeeds only if all are up and /health is 200 (at once)
	@$(script) local/status

report: ## Write an HTML report of the access log with goaccess, and say where it is (at once)
	@$(script) local/packages report
	@$(script) local/report

build: $(program) ## Compile the app to build/release/fcgi-app (a few minutes, then seconds)
	@:

check: ## What an edit needs: unit tests, fast lint, the quick integration tests (under a minute)
	@$(script) local/packages run build unit integration lint
	@$(call compile,$(build)/fcgi-app $(build)/unit_tests)
	@tests/lint fast
	@tests/run check

test: ## Every test: unit, README, integration, browser, faults, cluster (installs what is missing; about 10 minutes on two cores)
	@$(script) local/packages run build unit readme integration monitoring kubernetes browser
	@$(script) local/packages cluster || true  # its tests say what they miss
	@$(call compile,$(build)/fcgi-app)
	@$(foreach folder,$(tested),$(call compile,SERVICE=$(folder) $(build)/services/$(notdir $(folder))/fcgi-app) &&) tests/run

new: ## NAME=orders DIR=../orders: make a project of its own with a service of that name (at once)
	@$(script) local/packages format
	@NAME='$(NAME)' DIR='$(DIR)' $(script) local/new

##@ Checks
.PHONY: unit unit-programs readme integration browser faults soak cluster sanitize lint format bench fuzz
unit: ## The unit tests alone, without server or database (seconds)
	@$(script) local/packages build unit
	@tests/run unit

# What tests/run compiles beside the tests that need only the app.
unit-programs:
	@$(call compile,$(build)/unit_tests $(side_objects))

readme: ## Whether the README and its companions are right: runs their commands, looks for what they name (seconds)
	@$(script) local/packages run build unit readme integration
	@$(call compile,$(build)/fcgi-app $(build)/unit_tests)
	@tests/run readme$(if $(ONLY),:$(ONLY))

integration: ## The integration tests alone; likewise make browser and make faults; ONLY=… begins the names of those wanted
integration browser faults:
	@$(script) local/packages run build integration $(if $(filter integration,$@),monitoring kubernetes) $(filter browser,$@)
	@$(call compile,$(program))
	@tests/run $(addsuffix /,$(service))$@$(addprefix :,$(ONLY))

soak: ## The faults' main test for SECONDS=600; SEED=… repeats a run
	@$(script) local/packages run build integration
	@$(call compile,$(build)/fcgi-app)
	@tests/faults/soak.py --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

cluster: ## Several machines as deploy/cluster sets them up, in namespaces, broken in each way; SEED=… repeats an order (6 minutes, root)
	@$(script) local/packages run build cluster
	@$(call compile,$(build)/fcgi-app)
	@tests/cluster/run $(SEED)

sanitize: ## The unit tests under address, undefined and thread sanitizer (a few minutes)
	@$(script) local/packages build unit
	@$(call compile,SANITIZE=address$(comma)undefined build/address-undefined/unit_tests)
	@$(call compile,SANITIZE=thread build/thread/unit_tests)
	@TSAN_OPTIONS=$(tsan_options) tests/run unit:address-undefined unit:thread

lint: ## Format, clang-tidy, shellcheck, nginx -t, include direction (under 2 minutes)
	@$(script) local/packages run build lint
	@tests/lint

format: ## Format the C++ sources in place (at once)
	@$(script) local/packages format
	@clang-format -i $(formatted)

bench: ## Measure each path beside its limit and its peers; asserts nothing (15 minutes; QUICK=1: 3)
	@$(script) local/packages run build bench
	@$(call compile,$(build)/fcgi-app $(bench_built))
	@tests/bench/run $(if $(QUICK),--quick)

fuzz: ## Fuzz what reads foreign bytes, FUZZ_SECONDS=60 for each target
	@$(script) local/packages build lint
	@mkdir -p build && flock build/.lock $(inner_make) $(jobs) SANITIZE=fuzzer CXX=clang++ run-fuzz-targets

##@ Database
.PHONY: migrate backup restore
migrate: ## Apply what is new in sql/ to the running database; start does it too (at once)
	@$(script) local/migrate

backup: ## Write the running database to backups/, while the service goes on; also the containers' (seconds)
	@$(script) local/backup

restore: ## FILE=backups/… takes the database's place; what was there is kept (seconds)
	@$(script) local/restore

##@ At boot
.PHONY: install deb
# Where `make install` puts things, and what stands before that: a package's or a test's scratch folder.
PREFIX  ?= /usr/local
DESTDIR ?=
install: ## Copy what runs below PREFIX=/usr/local, with units for systemd; settings to /etc. DESTDIR= stands before all (at once)
	@$(script) local/packages build $(if $(DESTDIR),,run)
	@$(call compile,$(program))
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' $(script) local/install $(program)

deb: ## Make a Debian package of that in build/: service, nightly backup, logrotate, man page (seconds)
	@$(script) local/packages build deb
	@$(call compile,$(program))
	@$(script) local/deb $(program) build

##@ Docker
# Production; compose.override.yaml is for `make dev`.
COMPOSE_FILE ?= compose.yaml
up down logs test-containers: export COMPOSE_FILE := $(COMPOSE_FILE)
dev: export COMPOSE_FILE := $(COMPOSE_FILE):compose.override.yaml
.PHONY: up down logs dev test-containers sbom scan pin release
up: ## The same service by Docker Compose (first time some minutes, then seconds)
	@$(script) local/secrets bash -p local/up --detach --wait

down: ## Stop it; the data stays in its volume
	docker compose down

logs: ## Follow its logs
	docker compose logs --follow

dev: ## As up, in the foreground, with live reload of the sources, the page and nginx's configuration
	@$(script) local/secrets bash -p local/up

test-containers: ## Test images and Compose on a Docker engine, without touching what runs (about 10 minutes)
	@tests/containers/run

sbom: ## List what is built from source as SPDX: build/fcgi-app.spdx.json (at once)
	@mkdir -p build
	@sh local/sbom >build/fcgi-app.spdx.json && echo build/fcgi-app.spdx.json

scan: ## Look for known vulnerabilities with Trivy, and Grype where it is installed; needs internet (minutes)
	@$(script) local/scan

pin: ## Write today's digests of the base images into the Dockerfiles; needs internet (at once)
	@$(script) local/pin

release: ## VERSION=1.6.0: write that version, date the CHANGELOG, commit and tag; on a clean main (at once)
	@VERSION='$(VERSION)' $(script) local/version

##@ Tidy
.PHONY: clean
clean: ## Remove what was built; never what the service wrote
	rm -rf build

# Rules. A program takes its place when it is whole: another make may be copying it.
$(build)/fcgi-app: $(app_objects)
	$(call link)

$(build)/unit_tests: $(unit_objects) $(core_objects)
	$(call link,-lboost_unit_test_framework)

$(build)/app/%.o: fcgi-app/src/%.cpp $(build)/flags
	@mkdir -p $(@D)
	$(announce)
	$(quiet)$(CXX) $(anywhere) $(cxxflags) -c $< -o $@

# SQL as C++: each statement a type.
$(build)/app/machinery_statements.hpp: sql/machinery/statements.sql
$(build)/app/statements.hpp: sql/statements.sql
%statements.hpp: fcgi-app/statements
	@mkdir -p $(@D)
	$(quiet)awk -v namespace=$(if $(findstring machinery,$@),machinery,statements) -f fcgi-app/statements $(filter %.sql,$^) >$@

$(app_objects): | $(build)/app/machinery_statements.hpp $(build)/app/statements.hpp

ifneq ($(service),)
$(own)/fcgi-app: $(own_objects) $(machinery)
	$(call link)

$(own)/%.o: $(service)/src/%.cpp $(build)/flags
	@mkdir -p $(@D)
	$(announce)
	$(quiet)$(CXX) $(anywhere) $(call own_cxxflags,$(service)) $(cxxflags) -c $< -o $@

$(own)/statements.hpp: $(service)/sql/statements.sql
$(own_objects): | $(build)/app/machinery_statements.hpp $(own)/statements.hpp
endif

$(build)/unit/%.o: tests/unit/%.cpp $(build)/flags
	@mkdir -p $(@D)
	$(announce)
	$(quiet)$(CXX) $(anywhere) $(cxxflags) $(unit_cxxflags) -c $< -o $@

# Each program of the benchmark is one file, optimised as the app is; the empty answer is given by the app's own responder.
$(build)/bench/%.o: tests/bench/%.cpp $(build)/flags
	@mkdir -p $(@D)
	$(announce)
	$(quiet)$(CXX) $(anywhere) $(cxxflags) -c $< -o $@

$(build)/bench/empty/empty: $(filter $(foreach folder,base http fastcgi,$(build)/app/$(folder)/%),$(core_objects))
$(bench_built): %: %.o
	$(call link)

# libFuzzer is clang's; each target is one file with LLVMFuzzerTestOneInput, linked with all of the app but main.
.PHONY: run-fuzz-targets
run-fuzz-targets: $(fuzz_targets)
	@for target in $^; do \
		corpus=build/corpus/$$(basename $$target); mkdir -p $$corpus; echo "fuzz: $$target"; \
		$$target -max_total_time=$(FUZZ_SECONDS) -timeout=5 -rss_limit_mb=2048 -artifact_prefix=build/ $$corpus tests/fuzz/corpus/$$(basename $$target) || exit 1; done

$(build)/fuzz/%.o: tests/fuzz/%.cpp $(build)/flags
	@mkdir -p $(@D)
	$(announce)
	$(quiet)$(CXX) $(anywhere) $(cxxflags) $(side_cxxflags) -c $< -o $@

$(fuzz_targets): $(build)/%: $(build)/fuzz/%.o $(core_objects)
	$(call link,-fsanitize=fuzzer)

-include $(app_objects:.o=.d) $(own_objects:.o=.d) $(unit_objects:.o=.d) $(bench_built:=.d) $(fuzz_targets:$(build)/%=$(build)/fuzz/%.d)
