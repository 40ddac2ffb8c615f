# peers.mk - the benchmarks on other schedulers, each built where its compiler and its library are found.  GNU make.
#
#   make -f bench/peers.mk OUT=DIRECTORY     from the top of the tree; tools/bench calls it
#
# Prints a line for each peer that is skipped.  Variables: CC CXX CFLAGS CXXFLAGS GO PKG_CONFIG.

.DEFAULT_GOAL := peers
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

OUT ?= build/release/bench/peers
CFLAGS ?= -O2 -g
CXXFLAGS ?= -O2 -g
GO ?= go
PKG_CONFIG ?= pkg-config

WARNINGS := -Wall -Wextra -Wshadow -Wconversion
DEFINES := -D_GNU_SOURCE
SHARED := bench/bench.h bench/work.h bench/vector.h

has_openmp := $(shell echo 'int main(void) { return 0; }' | $(CC) -fopenmp -x c - -o /dev/null 2>/dev/null && echo yes)
has_tbb := $(shell $(PKG_CONFIG) --exists tbb 2>/dev/null && command -v $(CXX) >/dev/null && echo yes)
has_go := $(shell command -v $(GO) >/dev/null && echo yes)

FOUND := $(if $(has_openmp),openmp) $(if $(has_tbb),tbb) $(if $(has_go),channels)

.PHONY: peers
peers: $(addprefix $(OUT)/,$(FOUND))
	@$(if $(has_openmp),,echo "OpenMP is skipped: $(CC) does not know -fopenmp, or has no library for it")
	@$(if $(has_tbb),,echo "oneTBB is skipped: $(CXX) or tbb.pc was not found")
	@$(if $(has_go),,echo "Go is skipped: $(GO) was not found")

$(OUT)/openmp: bench/peers/openmp.c $(SHARED)
	@mkdir -p $(@D) && rm -f $@
	$(CC) -std=c11 $(DEFINES) $(WARNINGS) $(CFLAGS) -fopenmp -o $@ $<

$(OUT)/tbb: bench/peers/tbb.cpp $(SHARED)
	@mkdir -p $(@D) && rm -f $@
	$(CXX) -std=c++17 $(DEFINES) $(WARNINGS) $(CXXFLAGS) $(shell $(PKG_CONFIG) --cflags tbb) -pthread -o $@ $< \
	    $(shell $(PKG_CONFIG) --libs tbb)

$(OUT)/channels: bench/peers/channels.go
	@mkdir -p $(@D) && rm -f $@
	$(GO) build -o $@ $<
