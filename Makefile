# make             build/gram and build/libgram.a
# make deps        install what is missing (Debian packages)
# make check       the quick tests, half a minute
# make test        the tests, a few minutes
# make test-all    every spec under every compiler and sanitizer
# make test-long   errors, memory and another CPU for every spec at full size
# make demo        a trained layer and a real sentence through gram
# make train       kernels learn the paper's arithmetic, a kernel that another one made, events, tables
# make bench       gram and its peers, side by side
# make install     PREFIX=/usr/local DESTDIR=
# make clean format tidy

MAKEFLAGS += --no-builtin-rules -j$(shell nproc 2>/dev/null || echo 1)
.SUFFIXES:

CC = gcc
PREFIX = /usr/local
DESTDIR =
OPT = -O2 -g

B = build
LUA := $(firstword $(foreach l,lua5.4 lua-5.4 lua54,$(shell pkg-config --exists $l 2>/dev/null && echo $l)))
PYTHON := $(firstword $(foreach p,python3 /usr/bin/python3,$(shell $p -c 'import numpy' 2>/dev/null && echo $p)))
LUA_CFLAGS := $(shell pkg-config --cflags $(LUA) 2>/dev/null)
LUA_LIBS := $(shell pkg-config --libs $(LUA) 2>/dev/null)
CFLAGS = -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Werror -fPIC $(OPT) -Iruntime $(LUA_CFLAGS)
LDLIBS = $(LUA_LIBS) -ltcc -ldl -lpthread -lm

PNG = $(shell pkg-config --libs libpng 2>/dev/null || echo -lpng)

COMMAND = $(wildcard gen/main.c gen/cmd.c gen/cmd_*.c gen/sample.c)
LIBRARY = $(filter-out $(COMMAND),$(wildcard gen/*.c)) $(filter-out runtime/tile.c,$(wildcard runtime/*.c))
TESTS = $(wildcard tests/*.c)
SCRIPTS = $(filter-out tests/run.sh tests/demo%,$(wildcard tests/*.sh tests/*.py))

object = $(patsubst %.c,$B/%.o,$(subst /,_,$1))
COMMAND_O = $(call object,$(COMMAND))
LIBRARY_O = $(call object,$(LIBRARY)) $B/embed.o $(TILES)

all: $B/gram

# ---- the tile primitives, once for each instruction set and number type ----
TILE_FLAGS = -O3 -ffp-contract=fast -fno-math-errno -fno-trapping-math -fwrapv
ISAS = generic
ifeq ($(shell $(CC) -dumpmachine 2>/dev/null | cut -d- -f1),x86_64)
ISAS += avx2 avx512 avx512pop
endif
ISA_avx2 = -mavx2 -mfma
ISA_avx512 = -mavx512f -mavx512vl -mavx512bw -mavx512dq -mavx2 -mfma -mprefer-vector-width=512
ISA_avx512pop = $(ISA_avx512) -mavx512vpopcntdq
TYPES = f32 f32w f64
TYPE_f32w = -DGRAM_INT64
TYPE_f64 = -DGRAM_F64
TILES = $(foreach i,$(ISAS),$(foreach t,$(TYPES),$B/tile_$i_$t.o))

define tile_rule
$B/tile_$1_$2.o: runtime/tile.c | $B
	@echo "  cc    $$@"
	@$(CC) $(CFLAGS) $(TILE_FLAGS) -DGRAM_ISA=$1 $(ISA_$1) $(TYPE_$2) -MMD -MP -c $$< -o $$@
endef
$(foreach i,$(ISAS),$(foreach t,$(TYPES),$(eval $(call tile_rule,$i,$t))))

# ---- texts that the program carries, as C; gen/embed runs while it is built ----
HOSTCC = cc
TEXTS = $(wildcard gen/*.lua templates/*.c.in templates/*.h.in) \
	$(addprefix runtime/,kernel.h job.h vector.h vmath.h pack.h product.h softmax.h tile.h half.h whole.h linear.h fft.h ops.def)

$B/embed: gen/embed/embed.c | $B
	@echo "  cc    $<"
	@$(HOSTCC) -std=c11 -O1 $(LUA_CFLAGS) $< $(LUA_LIBS) -ldl -lm -o $@.$$$$ && mv $@.$$$$ $@

$B/embed.c: $(TEXTS)
$B/lua_module.c: runtime/lua/gram.lua
$B/embed.c $B/lua_module.c: $B/embed gen/embed/embed.lua gen/embed/translate.lua Makefile
	@echo "  text  $@"
	@$B/embed gen/embed/embed.lua $(filter $(TEXTS) runtime/lua/gram.lua,$^) > $@.$$$$ && mv $@.$$$$ $@

$B/embed.o $B/lua_module.o: $B/%.o: $B/%.c gen/script.h
	@$(CC) $(CFLAGS) -Igen -Wno-overlength-strings -c $< -o $@

# ---- the program and the library ----
define object_rule
$(call object,$1): $1 | $B
	@echo "  cc    $1"
	@$(CC) $(CFLAGS) -MMD -MP -c $$< -o $$@
endef
$(foreach f,$(COMMAND) $(LIBRARY),$(eval $(call object_rule,$f)))

$B:
	@mkdir -p $B $B/tests

$B/libgram.a: $(LIBRARY_O)
	@echo "  ar    $@"
	@rm -f $@.$$$$ && ar rcs $@.$$$$ $^ && mv $@.$$$$ $@

$B/gram: $(COMMAND_O) $B/libgram.a
	@echo "  link  $@"
	@$(CC) $(LDFLAGS) $^ $(LDLIBS) $(PNG) -o $@.$$$$ && mv $@.$$$$ $@

-include $(wildcard $B/*.d $B/tests/*.d)

# ---- the shared library and the modules for Lua and Python ----
# Only their own entry points are visible. TinyCC and Lua are linked in where the system has them as archives; the Lua
# module takes Lua from the interpreter that loads it. runtime/shared/streams.c says what --wrap is for.
SONAME = libgram.so.0
VERSION = $(shell sed -n 's/.define GRAM_VERSION "\(.*\)"/\1/p' gen/gram.h)
SHARED_O = $B/runtime_shared_streams.o
WRAP = -Wl,--wrap=stdin,--wrap=stdout,--wrap=stderr,--wrap=environ
archive = $(firstword $(filter /%,$(shell $(CC) -print-file-name=lib$1.a)) -l$1)
INSIDE = $(SHARED_O) $B/libgram.a $(call archive,tcc)
LUA_LIBRARY = $(call archive,$(patsubst lua-%,lua%,$(LUA)))
LUA_O = $(call object,$(wildcard runtime/lua/*.c)) $B/lua_module.o

$(eval $(call object_rule,runtime/shared/streams.c))
$B/runtime_lua_%.o: runtime/lua/%.c | $B
	@echo "  cc    $<"
	@$(CC) $(CFLAGS) -Igen -MMD -MP -c $< -o $@

$B/%.map: Makefile | $B
	@echo '{ global: $*; local: *; };' > $@

$B/gram.so: $(LUA_O) $(INSIDE) $B/luaopen_gram.map
	@echo "  link  $@"
	@$(CC) -shared $(LDFLAGS) $(WRAP) -Wl,--version-script=$B/luaopen_gram.map $(filter-out %.map,$^) -ldl -lpthread -lm -o $@.$$$$ && mv $@.$$$$ $@

$B/$(SONAME): $(INSIDE) gen/gram.map
	@echo "  link  $@"
	@$(CC) -shared $(LDFLAGS) $(WRAP) -Wl,-soname,$(SONAME) -Wl,--version-script=gen/gram.map $(SHARED_O) -Wl,--whole-archive \
		$B/libgram.a -Wl,--no-whole-archive $(call archive,tcc) $(LUA_LIBRARY) -ldl -lpthread -lm -o $@.$$$$ && mv $@.$$$$ $@
	@ln -sf $(SONAME) $B/libgram.so

# The Python module, to CPython's limited API where the version has all it needs: then one file serves later versions too.
PYTHON_O = $(call object,$(wildcard runtime/python/*.c))
PYTHON_FLAGS = $(shell $(PYTHON) -c 'import sys, sysconfig; \
	print("-isystem", sysconfig.get_paths()["include"], "-DPy_LIMITED_API=0x030B0000" * (sys.version_info >= (3, 11)))')

$B/runtime_python_%.o: runtime/python/%.c | $B
	@echo "  cc    $<"
	@$(CC) $(CFLAGS) $(PYTHON_FLAGS) -Igen -MMD -MP -c $< -o $@

PYTHON_TEXTS = $(wildcard $(addprefix runtime/python/gram/*,.py .pyi py.typed))
$B/python/gram/_gram.abi3.so: $(PYTHON_O) $(INSIDE) $B/PyInit__gram.map $(PYTHON_TEXTS)
	@echo "  link  $@"
	@mkdir -p $(dir $@) && cp $(PYTHON_TEXTS) $(dir $@)
	@$(CC) -shared $(LDFLAGS) $(WRAP) -Wl,--version-script=$B/PyInit__gram.map $(filter %.o %.a,$^) $(LUA_LIBRARY) -ldl -lpthread -lm \
		-o $@.$$$$ && mv $@.$$$$ $@

python: $B/python/gram/_gram.abi3.so

lua: $B/gram.so
shared: $B/$(SONAME)

# ---- tests: each prints its failures and ends with 'N passed, N failed'; tests/run.sh sums up ----
$B/tests/%: tests/%.c $B/libgram.a
	@echo "  cc    $<"
	@$(CC) $(CFLAGS) -Igen -MMD -MP -MT $@ -MF $@.d $< $B/libgram.a $(LDLIBS) -o $@.$$$$ && mv $@.$$$$ $@

PROGRAMS = $(patsubst tests/%.c,$B/tests/%,$(TESTS))
QUICK = $(wildcard tests/bad.sh tests/inputs.py tests/command.sh tests/npy_numpy.py tests/format.sh)
RUN = MAKEFLAGS= B="$B" PYTHON="$(PYTHON)" CC="$(CC)" sh tests/run.sh

check: all $(PROGRAMS)
	@$(RUN) $(PROGRAMS) $(QUICK)

test: all lua python shared $(PROGRAMS)
	@$(RUN) $(PROGRAMS) $(SCRIPTS)

test-all: all lua python shared $(PROGRAMS)
	@GRAM_TEST=all $(RUN) $(PROGRAMS) $(SCRIPTS)

# Errors, memory and hostile values of every spec at full size, and another CPU: an hour.
LONG = $(addprefix tests/,accuracy.py memory.py tables.py properties.py foreign.py)
test-long: all python
	@GRAM_TEST=long $(RUN) $(LONG)

golden: $B/gram
	@sh tests/golden.sh renew

demo: $B/gram
	@PYTHON="$(PYTHON)" sh tests/demo.sh $(SENTENCE)

train: python
	@cd tests/training && for script in arithmetic fit hawkes lookup tables; do PYTHONPATH=$(abspath $B/python) $(PYTHON) $$script.py || exit 1; done

# The peers are installed once, into $(PEERS). BENCH="--rows decode,linear --threads 1" measures a part of the table. The
# row in which all are held to AVX2 needs a process of its own.
PEERS = $B/peers
BENCH = --threads 1,2
BENCH_PY = . $(PEERS)/env.sh && GRAM_BUILD=$B python tests/bench/bench.py --json $B/bench.json
bench: all python
	@sh tests/bench/setup.sh $(PEERS)
	@{ $(BENCH_PY) $(BENCH) && GRAM_ISA=avx2 && MKL_ENABLE_INSTRUCTIONS=AVX2 && \
		export GRAM_ISA MKL_ENABLE_INSTRUCTIONS && $(BENCH_PY) --rows narrow --bare; } | tee $B/bench.md

# The table that it printed, into README.md.
numbers:
	@$(PYTHON) tests/bench/readme.py $B/bench.md README.md

# ---- the rest ----
LUA_VERSION = 5.4
HEADERS = gen/gram.h runtime/array.h runtime/tensors.h

LUADIR = $(PREFIX)/lib/lua/$(LUA_VERSION)
install-lua: lua
	install -d $(DESTDIR)$(LUADIR)
	install -m 755 $B/gram.so $(DESTDIR)$(LUADIR)

install: all shared install-lua
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin lib/pkgconfig include/gram share/gram/specs share/man/man1)
	install -m 755 $B/gram $(DESTDIR)$(PREFIX)/bin
	install -m 644 $B/libgram.a $(DESTDIR)$(PREFIX)/lib
	install -m 755 $B/$(SONAME) $(DESTDIR)$(PREFIX)/lib
	ln -sf $(SONAME) $(DESTDIR)$(PREFIX)/lib/libgram.so
	install -m 644 $(HEADERS) $(DESTDIR)$(PREFIX)/include/gram
	sed 's|@PREFIX@|$(PREFIX)|; s|@LIBS@|$(LDLIBS)|; s|@VERSION@|$(VERSION)|' runtime/gram.pc.in \
		> $(DESTDIR)$(PREFIX)/lib/pkgconfig/gram.pc
	install -m 644 specs/*.lua $(DESTDIR)$(PREFIX)/share/gram/specs
	install -m 644 runtime/gram.1 $(DESTDIR)$(PREFIX)/share/man/man1

PACKAGES = gcc g++ make pkg-config liblua5.4-dev lua5.4 libpng-dev libtcc-dev tcc clang clang-format clang-tidy valgrind \
	python3 python3-dev python3-numpy python3-sklearn python3-pip python3-setuptools python3-wheel \
	$(if $(filter avx2,$(ISAS)),gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)
deps:
	@missing=; for p in $(PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	[ -z "$$missing" ] && exit 0; echo "  apt   $$missing"; \
	sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	$$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $$missing

clean:
	rm -rf $B

# What emitted C carries is formatted by hand, as emitted C is.
PASTED = $(addprefix runtime/,kernel.h job.h vector.h vmath.h pack.h product.h softmax.h tile.h half.h whole.h linear.h fft.h)
FORMAT = -i
format:
	clang-format $(FORMAT) $(filter-out $(PASTED),$(wildcard gen/*.[ch] runtime/*.[ch] runtime/*/*.[ch]))

tidy:
	@printf '%s\n' $(COMMAND) $(LIBRARY) | xargs -P "$$(nproc)" -I FILE clang-tidy --quiet FILE -- $(CFLAGS)

.PHONY: lua python shared install-lua all check test test-all test-long demo train bench numbers install deps clean format tidy
