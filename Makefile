# make            the libraries and the header's check, in build/
# make install    PREFIX=/usr/local LIBDIR=$PREFIX/lib DESTDIR=
# make uninstall  the same
# make examples   examples-c/, built through pkg-config against a local install
# make demo       all set-up, then a real program in the sandbox
# make test       all set-up, then every test
# make python     the wheel of the Python binding, in bindings/python/dist
# make node       the package of the Node binding, in bindings/node/dist
# make bench      the numbers of the README; tools/plot then writes them there and draws docs/benchmarks.md
# make static    the static library alone, where TARGET's C compiler is missing
# make abi-baseline  takes this interface as what was released, for tests/suite/72-abi.sh to compare with
# make header     takes the generated header over into include/

PREFIX  ?= /usr/local
# Where a distribution keeps each architecture's libraries apart: $(PREFIX)/lib/x86_64-linux-gnu, or lib64.
LIBDIR  ?= $(PREFIX)/lib
DESTDIR ?=
CC      ?= cc
CARGO   ?= cargo
# Empty: the machine's own.
TARGET  ?=

# The manual's date.
RELEASED := 2026-11-24
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
SONAME  := libsandbox_spawn.so.0
BUILD   := build$(if $(TARGET),/$(TARGET))
OBJECT  := $(BUILD)/sandbox_spawn.o
STATIC  := $(BUILD)/libsandbox_spawn.a
SHARED  := $(BUILD)/libsandbox_spawn.so.$(VERSION)
LOCAL   := $(CURDIR)/$(BUILD)/prefix
OUTPUT  := $(or $(CARGO_TARGET_DIR),target)
RAW     := $(OUTPUT)/$(if $(TARGET),$(TARGET)/)release/libsandbox_spawn.a
NATIVE  := $(RAW:.a=.libs)
SOURCES := Cargo.toml Cargo.lock build.rs cbindgen.toml $(shell find src child -name '*.rs' -o -name Cargo.toml -o -name '*.ld')
CROSS   := $(if $(findstring aarch64,$(TARGET)),aarch64-linux-gnu-)
# musl has no unwinder of its own: Rust's goes into the library. musl-gcc leaves out the table it looks in.
MUSL    := $(findstring musl,$(TARGET))
UNWIND  := $(if $(MUSL),$(shell rustc --print sysroot)/lib/rustlib/$(TARGET)/lib/self-contained/libunwind.a)
EH_TABLE := -Wl,--eh-frame-hdr
# With a frame pointer the unwinder's table, which every caught panic needs, is a fifth smaller, and the code no larger.
FRAMES  := -Cforce-frame-pointers=yes
LINKER  := $(if $(MUSL),$(if $(CROSS),aarch64-linux-musl-gcc,musl-gcc),$(if $(CROSS),$(CROSS)gcc,$(CC)))
comma := ,
# What another machine's command prints of itself may be missing.
FOREIGN := $(if $(TARGET),-)
LIBRARIES = $(shell cat $(BUILD)/native-libs)

PAGES   := $(BUILD)/man/done

all: $(SHARED) $(STATIC) include/sandbox_spawn.h $(BUILD)/sandbox-run $(BUILD)/sandbox-bwrap $(PAGES)

static: $(STATIC)

# Each crate type by its own cargo rustc: an rlib beside it would turn link-time optimisation off. What the library needs
# is told while it is compiled, so that is kept beside it.
$(RAW) $(NATIVE) &: $(SOURCES)
	$(CARGO) rustc --release --lib --crate-type staticlib $(if $(TARGET),--target $(TARGET)) -- $(FRAMES) --print native-static-libs=$(abspath $(NATIVE))
	@touch -c $(RAW) $(NATIVE)

$(BUILD)/native-libs: $(NATIVE)
	@mkdir -p $(BUILD)
	tr ' ' '\n' < $< | grep -v -e '^-lc$$' -e '^-lgcc_s$$' -e '^-lunwind$$' | tr '\n' ' ' > $@
	$(if $(MUSL),echo '$(EH_TABLE)' >> $@)

$(OBJECT): $(RAW) $(BUILD)/native-libs tools/trim
	tools/trim $(RAW) "$(UNWIND)" $@ "$(CROSS)"

$(STATIC): $(OBJECT)
	rm -f $@
	$(CROSS)ar rcs $@ $<

# Rust's own linker, where it is there, folds functions of equal code into one; none of ours is compared by address.
LLD      := $(wildcard $(shell rustc --print sysroot)/lib/rustlib/$(shell rustc -vV | sed -n 's/^host: //p')/bin/gcc-ld)
FOLD     := $(if $(LLD),-B$(LLD) -fuse-ld=lld -Wl$(comma)--icf=all)

# rustc's own version script leaves no room for ours: the shared library is linked here.
$(SHARED): $(OBJECT) tools/exports.map
	$(LINKER) -shared $(FOLD) -o $@ $< -Wl,-soname,$(SONAME) -Wl,--version-script=tools/exports.map -Wl,--gc-sections -Wl,-O1 \
	    -Wl,-z,relro,-z,now,-z,nodelete,-z,defs -Wl,--as-needed $(LIBRARIES)
	$(CROSS)strip $@
	ln -sf $(notdir $@) $(BUILD)/$(SONAME)
	ln -sf $(SONAME) $(BUILD)/libsandbox_spawn.so

# The command, with the library inside: it runs wherever it is put.
$(BUILD)/sandbox-run: $(STATIC) include/sandbox_spawn.h $(wildcard examples-c/sandbox-run/*.[ch]) examples-c/Makefile
	$(MAKE) --no-print-directory -C examples-c CC='$(LINKER)' SYSCALLS=$(CURDIR)/$(BUILD)/syscalls.h $(CURDIR)/$(BUILD)/syscalls.h
	$(LINKER) -std=c11 -O2 $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -s -o $@ -I$(BUILD) -Iinclude examples-c/sandbox-run/*.c $(STATIC) -Wl,--gc-sections $(LIBRARIES)

# Likewise, with bubblewrap's command line.
$(BUILD)/sandbox-bwrap: $(STATIC) include/sandbox_spawn.h $(wildcard examples-c/sandbox-bwrap/*.[ch])
	$(LINKER) -std=c11 -O2 $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -s -o $@ -Iinclude examples-c/sandbox-bwrap/*.c $(STATIC) -Wl,--gc-sections $(LIBRARIES)

# The build script writes it into its own directory; which one is the newest, the tests check.
header: $(RAW)
	cp "$$(ls -t $(OUTPUT)/$(if $(TARGET),$(TARGET)/)release/build/sandbox-spawn-*/out/sandbox_spawn.h | head -1)" include/sandbox_spawn.h

# A page for each function and type, and one over them all.
$(PAGES): include/sandbox_spawn.h tools/manual.awk tools/manual.themes examples-c/hello.c
	rm -rf $(@D)
	mkdir -p $(@D)
	awk -v out=$(@D) -v version=$(VERSION) -v date=$(RELEASED) -v example=examples-c/hello.c \
	    -f tools/manual.awk tools/manual.themes include/sandbox_spawn.h
	touch $@

# Where each kind of file goes.
INCLUDE    := $(DESTDIR)$(PREFIX)/include
LIB        := $(DESTDIR)$(LIBDIR)
BIN        := $(DESTDIR)$(PREFIX)/bin
MAN        := $(DESTDIR)$(PREFIX)/share/man
COMPLETION := $(DESTDIR)$(PREFIX)/share/bash-completion/completions
CONFIG     := $(LIB)/cmake/sandbox_spawn
FILL        = sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' -e 's|@LIBRARIES@|$(strip $(LIBRARIES))|'

install: all
	install -d $(INCLUDE) $(LIB)/pkgconfig $(CONFIG) $(BIN) $(MAN)/man1 $(MAN)/man3 $(MAN)/man7 $(COMPLETION)
	install -m 644 include/sandbox_spawn.h bindings/cxx/include/sandbox_spawn.hpp $(INCLUDE)/
	install -m 644 $(STATIC) $(LIB)/
	install -m 755 $(SHARED) $(LIB)/
	ln -sf $(notdir $(SHARED)) $(LIB)/$(SONAME)
	ln -sf $(SONAME) $(LIB)/libsandbox_spawn.so
	$(FILL) -e 's|@LIBDIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(LIBDIR))|' tools/sandbox_spawn.pc.in > $(LIB)/pkgconfig/sandbox_spawn.pc
	$(FILL) -e 's|@LIBDIR@|$(LIBDIR)|' tools/sandbox_spawnConfig.cmake.in > $(CONFIG)/sandbox_spawnConfig.cmake
	$(FILL) tools/sandbox_spawnConfigVersion.cmake.in > $(CONFIG)/sandbox_spawnConfigVersion.cmake
	install -m 644 $(BUILD)/man/*.3 $(MAN)/man3/
	install -m 644 $(BUILD)/man/*.7 $(MAN)/man7/
	install -m 755 $(BUILD)/sandbox-run $(BIN)/
	$(FOREIGN)$(BUILD)/sandbox-run --manual > $(MAN)/man1/sandbox-run.1
	$(FOREIGN)$(BUILD)/sandbox-run --completion > $(COMPLETION)/sandbox-run
	install -m 755 $(BUILD)/sandbox-bwrap $(BIN)/
	$(FOREIGN)$(BUILD)/sandbox-bwrap --manual > $(MAN)/man1/sandbox-bwrap.1
	$(FOREIGN)$(BUILD)/sandbox-bwrap --completion > $(COMPLETION)/sandbox-bwrap

# All that install wrote, and no directory but the one that is the library's alone.
uninstall: $(PAGES)
	rm -f $(INCLUDE)/sandbox_spawn.h $(INCLUDE)/sandbox_spawn.hpp $(addprefix $(LIB)/,libsandbox_spawn.a $(notdir $(SHARED)) $(SONAME) libsandbox_spawn.so pkgconfig/sandbox_spawn.pc)
	rm -f $(CONFIG)/sandbox_spawnConfig.cmake $(CONFIG)/sandbox_spawnConfigVersion.cmake
	rm -f $(foreach name,sandbox-run sandbox-bwrap,$(BIN)/$(name) $(MAN)/man1/$(name).1 $(COMPLETION)/$(name))
	for page in $(BUILD)/man/*.3; do rm -f "$(MAN)/man3/$${page##*/}"; done
	for page in $(BUILD)/man/*.7; do rm -f "$(MAN)/man7/$${page##*/}"; done
	[ ! -d $(CONFIG) ] || rmdir $(CONFIG)

# What the examples, tests and benchmarks are built against: the installed files, as a user has them.
$(LOCAL)/lib/pkgconfig/sandbox_spawn.pc: $(SHARED) $(STATIC) $(BUILD)/sandbox-run $(BUILD)/sandbox-bwrap include/sandbox_spawn.h bindings/cxx/include/sandbox_spawn.hpp $(PAGES) $(wildcard tools/*.in)
	$(MAKE) --no-print-directory install PREFIX=$(LOCAL) LIBDIR=$(LOCAL)/lib DESTDIR= >/dev/null

local: $(LOCAL)/lib/pkgconfig/sandbox_spawn.pc

examples: local
	PKG_CONFIG_PATH=$(LOCAL)/lib/pkgconfig $(MAKE) --no-print-directory -C examples-c

python: local
	$(MAKE) --no-print-directory -C bindings/python wheel

node: local
	$(MAKE) --no-print-directory -C bindings/node package

abi-baseline: local
	tools/abi baseline $(LOCAL)/lib/libsandbox_spawn.so

setup:
	tools/setup demo

demo: setup
	$(MAKE) --no-print-directory examples
	examples-c/demo.sh

test:
	tools/setup test
	$(MAKE) --no-print-directory local examples
	tests/run

bench:
	tools/setup bench
	$(MAKE) --no-print-directory local
	PKG_CONFIG_PATH=$(LOCAL)/lib/pkgconfig $(MAKE) --no-print-directory -C benches run bindings

clean:
	$(CARGO) clean
	rm -rf build
	$(MAKE) --no-print-directory -C examples-c clean
	$(MAKE) --no-print-directory -C benches clean

.PHONY: all static header install uninstall local abi-baseline examples python node setup demo test bench clean
