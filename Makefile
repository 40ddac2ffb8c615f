# Makefile - builds, checks and installs Weft.  GNU make.
#
#   make                  the libraries, in build/release
#   make check            every test in every configuration, a few minutes; `make check STEPS="lint headers"` picks steps
#   make demo             builds and shows the example applications
#   make examples         builds the small examples, Julia's own, the questions and the numeric ones, and looks that they print what they should
#   make cxx              exceptions of C++ in tasks
#   make faults           the n-th failure of every allocation and system call
#   make model            the protocols between threads, exhaustively: tests/model_*.c, and the mutants that must be found
#   make stress T=60      the stress programs, T seconds each, and the simulator; SEEDS=0: without it
#   make stress-mutants   whether the stress programs find defects; SEED=N make stress repeats a run
#   make simulate         the tests in the simulator, SEEDS seeds from FIRST on; make sim-mutants: whether it finds defects
#   make bench            the benchmarks and their peers; `make bench ONLY="forkjoin channel"` picks some
#   make bench-figure     draws docs/benchmarks.svg from their last run
#   make scale            how examples scale: tables, and docs/scaling-*.svg; N=4: with 1 to 4 workers, R=9: nine rounds
#   make lint             rules of the code base that a compiler does not know
#   make format           clang-format
#   make docs             the contracts of the public headers, as Markdown in build/docs
#   make install          honours DESTDIR PREFIX LIBDIR INCLUDEDIR; make uninstall takes away again
#   make dist             a tarball of the last commit in build/
#   make clean            removes build/
#
# Variables: CC AR CFLAGS CPPFLAGS LDFLAGS as usual, and
#   SAN=thread|address|undefined   a sanitizer (address: with undefined); thread takes clang unless CC is given
#   HARD=1                         tiny capacities, random yields, failing allocations, assertions
#   SIM=1                          for the simulator (docs/verification.md): make SIM=1 sim
#   DEBUG=1                        assertions, little optimisation
#   WERROR=1                       warnings are errors
#   WEFT_NO_HWLOC=1                without hwloc: the topology is taken from the affinity alone
#   V=1                            prints each command
# Each configuration has a directory of its own: build/release, build/thread-clang, build/hard-gcc, ...

VERSION := 0.1.0
SONAME := libweft.so.0

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules

# ---- Configuration -------------------------------------------------------------------------------------------------

ifeq ($(origin CC),default)
ifeq ($(SAN),thread)
CC := clang
else
CC := cc
endif
endif

ifneq ($(filter-out thread address undefined,$(SAN)),)
$(error SAN is thread, address or undefined, not "$(SAN)")
endif

on = $(filter-out 0,$(1))
ifneq ($(call on,$(SIM)),)
override HARD := 1
override WEFT_NO_HWLOC := 1
endif
dash := -
comma := ,
CONFIG := $(subst $() ,$(dash),$(strip $(or $(SAN),$(if $(call on,$(HARD)$(DEBUG)),,release)) $(if $(call on,$(SIM)),sim,$(if $(call on,$(HARD)),hard)) \
    $(if $(call on,$(DEBUG)),debug) $(if $(call on,$(SIM)),,$(if $(call on,$(WEFT_NO_HWLOC)),flat)) $(filter-out cc,$(notdir $(firstword $(CC))))))
B := build/$(CONFIG)

ISAS := $(patsubst src/arch/context_%.S,%,$(sort $(wildcard src/arch/context_*.S)))
ISA := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine 2>/dev/null)))
PKG_CONFIG ?= pkg-config

# ---- Flags ---------------------------------------------------------------------------------------------------------

CFLAGS ?= $(if $(call on,$(DEBUG)),-Og,-O2) -g
try_flag = $(shell $(CC) -Werror $(1) -x c -c /dev/null -o /dev/null 2>/dev/null && echo $(1))

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion $(if $(call on,$(WERROR)),-Werror)
# Unwind tables everywhere: backtraces go through the library and end at a context's start, also where they are no default.
CODE := -fPIC -fvisibility=hidden -fasynchronous-unwind-tables -pthread
# -fno-plt: linkers turn a call by way of the GOT into a direct one where the function turns out to be ours, on x86-64 only.
CODE += $(foreach flag,$(if $(filter x86_64,$(ISA)),-fno-plt) -fno-semantic-interposition -fstack-clash-protection \
    -fno-tree-slp-vectorize,$(call try_flag,$(flag)))

SAN_thread := -fsanitize=thread
SAN_address := -fsanitize=address,undefined
SAN_undefined := -fsanitize=undefined
SANITIZE := $(if $(SAN),$(SAN_$(SAN)) -fno-sanitize-recover=all -fno-omit-frame-pointer)

DEFINES := -D_GNU_SOURCE
DEFINES += $(if $(call on,$(HARD)),-DWEFT_HARD -DWEFT_DEBUG) $(if $(call on,$(DEBUG)),-DWEFT_DEBUG)
ifneq ($(call on,$(WEFT_NO_HWLOC)),)
DEFINES += -DWEFT_NO_HWLOC
PRIVATE_PACKAGES :=
else
HWLOC_FOUND := $(shell $(PKG_CONFIG) --exists hwloc 2>/dev/null && echo yes)
# As system headers, also where they are not the system's: their warnings are not ours.
HWLOC_CFLAGS := $(patsubst -I%,-isystem %,$(shell $(PKG_CONFIG) --cflags hwloc 2>/dev/null))
HWLOC_LIBS := $(shell $(PKG_CONFIG) --libs hwloc 2>/dev/null)
PRIVATE_PACKAGES := hwloc
endif

ifneq ($(call on,$(SIM)),)
DEFINES += -DWEFT_SIM
SEAM := -Wno-maybe-uninitialized -include tests/sim_seam.h
endif

# -iquote, not -I: <sched.h> is the system's, "stack.h", "clock.h" and the like are ours.
ALL_CPPFLAGS := -Iinclude -iquote src $(DEFINES) $(HWLOC_CFLAGS) $(CPPFLAGS)
ALL_CFLAGS := -std=c11 $(WARNINGS) $(CODE) $(SANITIZE) $(CFLAGS)
ALL_LDFLAGS := -pthread $(SANITIZE) $(LDFLAGS)
LIBS := $(HWLOC_LIBS)
COMPILE = $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP

# ---- Files ---------------------------------------------------------------------------------------------------------

HEADERS := $(wildcard include/weft.h include/weft/*.h)
OBJECTS := $(patsubst %,$(B)/%.o,$(sort $(wildcard src/*.c)) src/arch/context_$(ISA).S)
SHARED := $(B)/libweft.so.$(VERSION)
LINKS := $(B)/$(SONAME) $(B)/libweft.so
STATIC := $(B)/libweft.a

TESTS := tests/check.c $(sort $(wildcard tests/test_*.c))
PLAIN_OBJECTS := $(patsubst %.c,$(B)/plain/%.o,tests/runner_plain.c $(TESTS))
CRITERION_OBJECTS := $(patsubst %.c,$(B)/criterion/%.o,tests/runner_criterion.c $(TESTS))
BENCHES := $(patsubst bench/%.c,$(B)/bench/%,$(wildcard bench/*.c))
STRESSES := $(patsubst tests/%.c,$(B)/%,$(filter-out tests/stress_kit.c,$(wildcard tests/stress_*.c)))
TEST_LIBS := $(LIBS) -lm

# The calls that fail on demand in $(B)/faults: tests/fault_kit.c stands behind them.
FAULT_OBJECTS := $(patsubst %.c,$(B)/plain/%.o,$(sort $(wildcard tests/fault_*.c)))
FAULT_CALLS := clock_gettime clock_nanosleep malloc calloc aligned_alloc free mmap munmap mprotect madvise syscall pthread_create pthread_join pthread_atfork sigaltstack \
    sched_getaffinity sched_setaffinity open read write prctl hwloc_topology_init hwloc_topology_load \
    epoll_create1 epoll_ctl eventfd ppoll recv send

ifeq ($(call on,$(V)),)
quiet := @
say = @printf '  %-9s %s\n' $(1) $@
endif

# ---- The libraries -------------------------------------------------------------------------------------------------

.PHONY: all
all: $(LINKS) $(STATIC)

# Holds the flags; newer than the objects when the flags have changed.
$(B)/flags: force
	@mkdir -p $(@D)
ifeq ($(filter $(ISA),$(ISAS)),)
	@echo "Weft has no context switch for the processor of $(CC) ($(or $(ISA),unknown)): src/arch has $(ISAS);" \
	    "context.h there says what another needs" >&2; exit 1
endif
ifeq ($(PRIVATE_PACKAGES)$(HWLOC_FOUND),hwloc)
	@echo "hwloc was not found: install libhwloc-dev and pkg-config, or say make WEFT_NO_HWLOC=1" >&2; exit 1
endif
	@$(if $(PRIVATE_PACKAGES),,echo "Weft without hwloc: the topology is taken from the affinity alone.")
	@echo '$(COMPILE) $(ALL_LDFLAGS) $(LIBS)' | cmp -s - $@ || echo '$(COMPILE) $(ALL_LDFLAGS) $(LIBS)' > $@

$(B)/%.c.o: %.c $(B)/flags
	$(call say,CC)
	@mkdir -p $(@D)
	$(quiet)$(COMPILE) $(SEAM) -c -o $@ $<

$(B)/%.S.o: %.S $(B)/flags
	$(call say,AS)
	@mkdir -p $(@D)
	$(quiet)$(COMPILE) -c -o $@ $<

# A stack of Weft's may outlive the last reference to the library: nodelete.
$(SHARED): $(OBJECTS) src/weft.map
	$(call say,LINK)
	$(quiet)$(CC) -shared $(ALL_LDFLAGS) -Wl,-soname,$(SONAME) -Wl,--version-script=src/weft.map -Wl,-z,nodelete \
	    $(if $(SAN),,-Wl,-z,defs) -o $@ $(OBJECTS) $(LIBS)

$(LINKS): $(SHARED)
	@ln -sf $(<F) $@

$(STATIC): $(OBJECTS)
	$(call say,AR)
	@rm -f $@
	$(quiet)$(AR) rcs $@ $^

# ---- Tests, stress programs, benchmarks ----------------------------------------------------------------------------
# They see the internals, so tests and stress programs link the static library; benchmarks measure the shared one, except
# of what is inside only.

.PHONY: test-plain test-criterion check cxx faults stress stress-programs stress-mutants bench bench-figure bench-programs where
test-plain: $(B)/test-plain
test-criterion: $(B)/test-criterion
stress-programs: $(STRESSES)
bench-programs: $(BENCHES)

$(B)/plain/%.o: %.c $(B)/flags
	$(call say,CC)
	@mkdir -p $(@D)
	$(quiet)$(COMPILE) $(SEAM) -DWEFT_TEST_PLAIN -c -o $@ $<

$(B)/criterion/%.o: %.c $(B)/flags
	$(call say,CC)
	@mkdir -p $(@D)
	$(quiet)$(COMPILE) $(shell $(PKG_CONFIG) --cflags criterion) -c -o $@ $<

$(B)/test-plain: $(PLAIN_OBJECTS) $(STATIC)
	$(call say,LINK)
	$(quiet)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(TEST_LIBS)

$(B)/test-criterion: $(CRITERION_OBJECTS) $(STATIC)
	$(call say,LINK)
	$(quiet)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(TEST_LIBS) $(shell $(PKG_CONFIG) --libs criterion)

# The simulator: its own sources without the seam, the others with it; calls of these come to it instead.  -no-pie: the same
# addresses every time.
WRAPPED := pthread_create pthread_join pthread_detach pthread_self pthread_sigmask pthread_mutex_lock pthread_mutex_unlock \
    pthread_cond_wait pthread_cond_signal pthread_cond_broadcast pthread_barrier_init pthread_barrier_wait \
    pthread_barrier_destroy clock_gettime time nanosleep clock_nanosleep sleep usleep \
    sched_yield sched_getaffinity sched_setaffinity read weft__thread_id weft__hook weft__lock_slow weft__futex_wait \
    weft__futex_wake weft__fence_init weft__fence_heavy stress_main
SIM_OWN := tests/runner_sim.c tests/sim.c tests/sim_report.c tests/sim_weft.c tests/sim_wrap.c
SIM_TESTS := $(TESTS) tests/stress_kit.c $(filter-out $(SIM_OWN),$(wildcard tests/sim*.c))
SIM_OBJECTS := $(SIM_OWN:%.c=$(B)/sim-own/%.o) $(SIM_TESTS:%.c=$(B)/plain/%.o) \
    $(patsubst tests/stress_%.c,$(B)/sim-stress/%.o,$(filter-out tests/stress_kit.c,$(wildcard tests/stress_*.c)))

.PHONY: sim simulate sim-mutants
sim: $(B)/sim

SEEDS ?= 20000
FIRST ?= 1
simulate:
	+@$(MAKE) --no-print-directory SIM=1 CC=gcc sim
	@build/sim-gcc/sim -j $$(getconf _NPROCESSORS_ONLN) -n $(SEEDS) -s $(FIRST)

sim-mutants:
	+@MAKE='$(MAKE)' tools/sim-mutants

$(B)/sim-own/%.o: %.c $(B)/flags
	$(call say,CC)
	@mkdir -p $(@D)
	$(quiet)$(COMPILE) -DWEFT_TEST_PLAIN -c -o $@ $<

# Rounds of the stress programs are tests there; STRESS_TSAN: small ones.
$(B)/sim-stress/%.o: tests/stress_%.c $(B)/flags
	$(call say,CC)
	@mkdir -p $(@D)
	$(quiet)$(COMPILE) $(SEAM) -Dmain=stress_$*_main -DSTRESS_TSAN=1 -c -o $@ $<

$(B)/sim: $(SIM_OBJECTS) $(STATIC)
	$(call say,LINK)
	$(quiet)$(CC) $(ALL_LDFLAGS) -no-pie $(addprefix -Wl$(comma)--wrap=,$(WRAPPED)) -o $@ $^ $(TEST_LIBS)

$(B)/stress_%: $(B)/plain/tests/stress_%.o $(B)/plain/tests/stress_kit.o $(STATIC)
	$(call say,LINK)
	$(quiet)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(TEST_LIBS)

LINK_FAULTS = $(CC) $(ALL_LDFLAGS) $(addprefix -Wl$(comma)--wrap=,$(FAULT_CALLS)) -o $@ $^ $(TEST_LIBS)

$(B)/faults: $(FAULT_OBJECTS) $(STATIC)
	$(call say,LINK)
	$(quiet)$(LINK_FAULTS)

# The same with one source changed for the worse: tools/faults makes those, and looks that it is noticed.
$(B)/mutants/%.o: $(B)/mutants/%.c $(B)/flags
	$(quiet)$(COMPILE) -w -c -o $@ $<

$(B)/mutants/%: $(FAULT_OBJECTS) $(B)/mutants/%.o $(STATIC)
	$(quiet)$(LINK_FAULTS)

# Loops begin where a line of the cache does, here and in the peers: short ones differ by a tenth otherwise.
$(B)/bench/%.c.o: private ALL_CFLAGS += -falign-loops=64

$(B)/bench/%: $(B)/bench/%.c.o $(LINKS)
	$(call say,LINK)
	$(quiet)$(CC) $(ALL_LDFLAGS) -o $@ $< -L$(B) -lweft -Wl,-rpath,'$$ORIGIN/..' -lm

$(B)/bench/context $(B)/bench/timers: $(B)/bench/%: $(B)/bench/%.c.o $(STATIC)
	$(call say,LINK)
	$(quiet)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

# Prints where this configuration is built.
where:
	@echo $(B)

check:
	+@MAKE='$(MAKE)' tools/check $(STEPS)

# Exceptions in tasks: programs in C++, with the static library and with the shared one.
$(B)/cxx_%-static: tests/cxx_%.cc $(STATIC)
	$(call say,CXX)
	$(quiet)$(CXX) -std=c++17 -Wall -Wextra -Iinclude $(CPPFLAGS) $(SANITIZE) $(CFLAGS) -o $@ $^ -pthread $(LDFLAGS) $(LIBS)

$(B)/cxx_%-shared: tests/cxx_%.cc $(LINKS)
	$(call say,CXX)
	$(quiet)$(CXX) -std=c++17 -Wall -Wextra -Iinclude $(CPPFLAGS) $(SANITIZE) $(CFLAGS) -o $@ $< -L$(B) -lweft -pthread \
	    -Wl,-rpath,'$$ORIGIN' $(LDFLAGS)

cxx: $(B)/cxx_exceptions-static $(B)/cxx_exceptions-shared
	@$(B)/cxx_exceptions-static
	@$(B)/cxx_exceptions-shared

# Every allocation and system call fails, one after the other.
faults: $(B)/faults $(B)/test-plain
	+@MAKE='$(MAKE)' tools/faults $(B)

.PHONY: model
model:
	@CC='$(CC)' tools/model $(MODELS)

T ?= 10
stress: stress-programs
	+@MAKE='$(MAKE)' tools/stress $(T) $(STRESSES)
	+@[ $(SEEDS) = 0 ] || $(MAKE) --no-print-directory FIRST=$$(date +%s) simulate sim-mutants

stress-mutants:
	+@MAKE='$(MAKE)' tools/stress-mutants

# With the peers that can be installed; PEERS=0: without any, and nothing is installed for them.
bench:
	@tools/install-deps build bench $(if $(filter 0,$(PEERS)),,peers)
	+@$(MAKE) --no-print-directory bench-programs
	@tools/bench $(B)/bench

# The figure in docs/, from the last run.
bench-figure:
	@tools/bench-plot build/bench/results.json docs/benchmarks.svg

# How the examples scale, with figures in docs/.  The whole run of pgz counts, in as many tasks as there are blocks, so that it is the
# same program with any number of workers; of matmul, where that is there, the product by blocks, and no other is computed.
.PHONY: scale
SCALE = tools/weft-scale -w $(if $(N),-n $(N)) $(if $(R),-r $(R)) -o build/scale/$(1).json -g docs/scaling-$(1).svg
SCALE_MATMUL = $(filter %/matmul,$(EXAMPLES))
scale:
	@tools/install-deps build demo bench
	+@$(MAKE) --no-print-directory pgz $(SCALE_MATMUL)
	@mkdir -p build/scale
	@tar -C / -cf - usr/include 2>/dev/null | head -c 16777216 >build/scale/input
	@$(call SCALE,pgz) $(B)/examples/pgz/pgz -j 128 -q -c build/scale/input
	$(if $(SCALE_MATMUL),@$(call SCALE,matmul) -t "by blocks" $(SCALE_MATMUL) -1 -t 1000)

# The main job: examples/pgz on real input, beside gzip and pigz; then several models at once.  Missing packages first: the
# build needs them.
.PHONY: demo pgz
demo:
	@tools/install-deps build demo
	+@$(MAKE) --no-print-directory pgz $(B)/examples/questions/models
	@tools/demo $(B)
	@echo
	@tools/demo-models $(B)

pgz: $(B)/examples/pgz/pgz

$(B)/examples/pgz/pgz: $(wildcard examples/pgz/*.[ch]) $(LINKS)
	$(call say,CC)
	@mkdir -p $(@D)
	$(quiet)$(CC) -Iinclude -D_GNU_SOURCE $(CPPFLAGS) -std=c11 $(WARNINGS) $(CFLAGS) -o $@ examples/pgz/*.c -L$(B) -lweft -lz -pthread \
	    -Wl,-rpath,'$$ORIGIN/../..' $(LDFLAGS)

# Julia's examples, the questions that people ask, and the numeric ones; and whether they print what they should.
.PHONY: examples example-programs
LEFT_OUT := $(shell $(PKG_CONFIG) --exists fftw3 2>/dev/null || echo fftw) $(shell $(PKG_CONFIG) --exists openblas 2>/dev/null || echo blas)
EXAMPLES := $(patsubst %.c,$(B)/%,$(filter-out $(LEFT_OUT:%=examples/numeric/%.c),$(wildcard examples/julia/*.c examples/questions/*.c examples/numeric/*.c)))

example-programs: $(EXAMPLES)
	@$(if $(strip $(LEFT_OUT)),echo "examples/numeric without $(strip $(LEFT_OUT)): FFTW or OpenBLAS was not found")

examples:
	@tools/install-deps build demo
	+@$(MAKE) --no-print-directory example-programs
	@tools/check-examples $(EXAMPLES)

$(filter $(B)/examples/numeric/%,$(EXAMPLES)): $(wildcard examples/numeric/*.h)

$(EXAMPLES): $(B)/%: %.c $(LINKS)
	$(call say,CC)
	@mkdir -p $(@D)
	$(quiet)$(CC) -Iinclude -D_GNU_SOURCE $(CPPFLAGS) -std=c11 $(WARNINGS) $(SANITIZE) $(CFLAGS) -o $@ $< -L$(B) -lweft -pthread \
	    $(EXAMPLE_LIBS) -Wl,-rpath,'$$ORIGIN/../..' $(LDFLAGS)

$(B)/examples/questions/models: EXAMPLE_LIBS := -lz -lm
$(B)/examples/numeric/%: EXAMPLE_LIBS := -lm
$(patsubst %,$(B)/examples/numeric/%,heat mandelbrot nbody): EXAMPLE_LIBS := -lpng -lm
$(B)/examples/numeric/fftw: EXAMPLE_LIBS := -lfftw3_threads -lfftw3 -lm
$(B)/examples/numeric/blas: EXAMPLE_LIBS = $(shell $(PKG_CONFIG) --cflags --libs openblas) -lm

# ---- House keeping -------------------------------------------------------------------------------------------------

.PHONY: lint format docs dist clean force
lint: $(LINKS)
	@tools/lint --library $(B)/libweft.so
	@tools/lint --self-test --library $(B)/libweft.so

format:
	clang-format -i $(wildcard $(addsuffix /*.[ch],include include/weft src src/arch tests bench examples examples/*)) $(wildcard bench/peers/*.c)

docs:
	@tools/lint --links
	@tools/docs build/docs $(HEADERS)

dist:
	@mkdir -p build
	git archive --format=tar.gz --prefix=weft-$(VERSION)/ -o build/weft-$(VERSION).tar.gz HEAD

clean:
	rm -rf build

# ---- Installation --------------------------------------------------------------------------------------------------

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
PCDIR := $(DESTDIR)$(LIBDIR)/pkgconfig

.PHONY: install uninstall
install: all
	install -d $(DESTDIR)$(LIBDIR) $(PCDIR) $(DESTDIR)$(INCLUDEDIR)/weft
	install -m 644 include/weft.h $(DESTDIR)$(INCLUDEDIR)
	install -m 644 include/weft/*.h $(DESTDIR)$(INCLUDEDIR)/weft
	install -m 644 $(STATIC) $(DESTDIR)$(LIBDIR)
	install -m 755 $(SHARED) $(DESTDIR)$(LIBDIR)
	ln -sf libweft.so.$(VERSION) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libweft.so
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
	    -e 's|@VERSION@|$(VERSION)|' -e 's|@PRIVATE@|$(PRIVATE_PACKAGES)|' weft.pc.in > $(PCDIR)/weft.pc
	chmod 644 $(PCDIR)/weft.pc

uninstall:
	rm -f $(PCDIR)/weft.pc $(DESTDIR)$(INCLUDEDIR)/weft.h
	cd $(DESTDIR)$(LIBDIR) && rm -f libweft.a libweft.so $(SONAME) libweft.so.$(VERSION)
	rm -rf $(DESTDIR)$(INCLUDEDIR)/weft

-include $(shell find $(B) -name '*.d' 2>/dev/null)
