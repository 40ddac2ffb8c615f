# peers.mk - the benchmarks on other schedulers, each built where its compiler and its library are found.  GNU make.
#
#   make -f bench/peers.mk OUT=DIRECTORY     from the top of the tree; tools/bench calls it
#
# Prints a line for each peer that is skipped; the others are named in OUT/found.  Variables: GCC CLANG CC CXX CFLAGS CXXFLAGS GO PKG_CONFIG.

.DEFAULT_GOAL := peers
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

OUT ?= build/release/bench/peers
GCC ?= gcc
CLANG ?= clang
CFLAGS ?= -O2 -g
CXXFLAGS ?= -O2 -g
GO ?= go
PKG_CONFIG ?= pkg-config

WARNINGS := -Wall -Wextra -Wshadow -Wconversion
ALIGN := -falign-loops=64
C := -std=c11 -D_GNU_SOURCE $(WARNINGS) $(ALIGN) $(CFLAGS)
CPP := -std=c++17 -D_GNU_SOURCE $(WARNINGS) $(ALIGN) $(CXXFLAGS) -pthread
SOURCES := $(wildcard bench/*.h bench/peers/*.c bench/peers/*.cpp bench/peers/go/*.go) bench/peers.mk

# ---- What is found: "yes", or nothing --------------------------------------------------------------------------------

# links COMPILER OPTIONS LANGUAGE HEADER
hash := \#
links = $(shell printf '$(hash)include <%s>\nint main(void) { return 0; }\n' '$(4)' | \
    $(1) -x $(3) - $(2) -o /dev/null >/dev/null 2>&1 && echo yes)

has_libgomp := $(call links,$(GCC),-fopenmp,c,omp.h)
has_libomp := $(call links,$(CLANG),-fopenmp=libomp,c,omp.h)
has_tbb := $(shell $(PKG_CONFIG) --exists tbb 2>/dev/null && command -v $(CXX) >/dev/null && echo yes)
has_boost-fiber := $(call links,$(CXX),-std=c++17 -lboost_fiber -lboost_context -pthread,c++,boost/fiber/fiber.hpp)
has_boost-context := $(call links,$(CXX),-lboost_context,c++,boost/context/detail/fcontext.hpp)
has_ucontext := $(call links,$(CC),,c,ucontext.h)
has_go := $(shell command -v $(GO) >/dev/null && echo yes)

ALL := libgomp libomp tbb boost-fiber boost-context ucontext go
FOUND := $(foreach peer,$(ALL),$(if $(has_$(peer)),$(peer)))

needs_libgomp := $(GCC) with -fopenmp
needs_libomp := $(CLANG) with -fopenmp=libomp, and its omp.h
needs_tbb := $(CXX) and tbb.pc of oneTBB
needs_boost-fiber := $(CXX) and Boost.Fiber
needs_boost-context := $(CXX) and Boost.Context
needs_ucontext := ucontext.h in the C library
needs_go := $(GO)

.PHONY: peers found
peers: found $(addprefix $(OUT)/,$(FOUND))

found:
	@mkdir -p $(OUT) && echo $(FOUND) >$(OUT)/found
	@$(foreach peer,$(filter-out $(FOUND),$(ALL)),echo "The peer $(peer) is skipped: it needs $(needs_$(peer))";)

# ---- How each is built -----------------------------------------------------------------------------------------------

$(OUT)/libgomp: BUILD = $(GCC) $(C) -fopenmp -DRUNTIME='"libgomp"' -o $@ bench/peers/openmp.c -lm
# clang would unroll a loop, and make vector code of it, where gcc does not: what is compared is the runtime library.
$(OUT)/libomp: BUILD = $(CLANG) $(C) -fno-vectorize -fno-slp-vectorize -fno-unroll-loops -fopenmp=libomp -DRUNTIME='"libomp"' -o $@ bench/peers/openmp.c -lm
$(OUT)/tbb: BUILD = $(CXX) $(CPP) $(shell $(PKG_CONFIG) --cflags tbb) -o $@ bench/peers/tbb.cpp \
    $(shell $(PKG_CONFIG) --libs tbb)
$(OUT)/boost-fiber: BUILD = $(CXX) $(CPP) -o $@ bench/peers/fiber.cpp -lboost_fiber -lboost_context
$(OUT)/boost-context: BUILD = $(CXX) $(CPP) -o $@ bench/peers/fcontext.cpp -lboost_context
$(OUT)/ucontext: BUILD = $(CC) $(C) -o $@ bench/peers/ucontext.c
$(OUT)/go: BUILD = $(GO) build -o $@ $(filter %.go,$(SOURCES))

$(addprefix $(OUT)/,$(ALL)): $(SOURCES)
	@mkdir -p $(@D) && rm -f $@
	$(BUILD)
