# SPDX-License-Identifier: BSD-2-Clause
# Builds Weir, its programs and its images, runs them in QEMU and tests them.
#
# Everything built lands in $(BUILD). Lines that begin with "##" are what `make help` prints.

##make                  build the kernel, the programs and the boot image
##make run              run it in QEMU; the console is this terminal, Ctrl-A X leaves
##make run RUN='a; b'   run these console commands at boot, under a watchdog; without
##                      `halt` or `reboot` among them the watchdog ends the run
##make test             unit tests, host tests and booted tests; T=word picks those with it in their name,
##                      or, if there is none, in their claims (T=text:word: in these)
##make test-full        the same with the long matrices
##make seeds            repeats what reports about other kernels have seen, and prints the table
##                      (T='a j' picks rows, WRITE=1 puts it into docs/seeds.md)
##make unit             only the unit tests, on this machine, with ASan and UBSan
##make duel             the same flood in two machines at once, Weir and Weir without its protection;
##                      FLOOD='msgflood -s ool' another flood than a fork bomb, FLOOD=all each of them
##make floods           the whole matrix of floods: build/floods.tsv, and what differs from the committed
##                      run (FLOOD=portflood MEM=48M some of it, WRITE=1 puts it into docs/floods.md);
##                      REPEAT=50 instead boots seven floods so often, plain and with ICOUNT=1, and compares
##make bench            instructions of each operation, debug and release, beside other kernels'; WRITE=1 puts
##                      them into docs/performance.md, GROWTH=1: beside a million others, ACCEL=kvm: nanoseconds
##make bench-breakdown  one operation taken apart (OP=null_rpc_tasks): instructions by function, cache lines
##                      touched, loads of CR3, from single steps; WRITE=1 puts it into docs/performance.md
##make bench-check      fails when an operation is more than 2 % above tests/bench/committed.tsv
##make iso              build/weir.iso, a CD that GRUB boots
##make debug            run with QEMU waiting for gdb, and gdb attached (GDB=0: only say how)
##make compile_commands.json   for editors and clang tools
##make clean            remove build/
##
##Options of run and debug (sizes take K, M, G; a plain number is MiB):
##  MEM=128M       the machine's memory          ZONE_MAP=4M   memory for kernel objects
##  CPU=max        QEMU's CPU model              ICOUNT=1      deterministic time
##  LIMIT=120      the watchdog, in seconds      CONSOLE=      the kernel's console= option
##  ISO=1          boot the CD, not the kernel   DISPLAY_VGA=1 open a window with the screen
##  MODULE=FILE    boot this program instead of the console (docs/programs.md)
##Options of the build:
##  V=1 show commands   RELEASE=1 no asserts   WERROR=1   CROSS_COMPILE=x86_64-elf-
##  POLICY=1 with the boot option policy=mach (0: without it, as RELEASE=1 unless told)

.DEFAULT_GOAL := all
SHELL := /bin/sh
MAKEFLAGS += --no-builtin-rules --no-builtin-variables
.SUFFIXES:
.DELETE_ON_ERROR:

BUILD ?= build
GEN := $(BUILD)/gen
OBJ := $(BUILD)/obj

# What the user says is data: the bytes travel to tools/run and tests/run as they are, never
# expanded by make (hence `value`, and no export of the originals) and never seen by a shell.
unexport RUN MEM ZONE_MAP CPU ICOUNT LIMIT CONSOLE MODULE REPEAT ISO DISPLAY_VGA T GDB FLOOD WRITE GROWTH ACCEL OP
export WEIR_RUN = $(value RUN)
export WEIR_MEM = $(value MEM)
export WEIR_ZONE_MAP = $(value ZONE_MAP)
export WEIR_CPU = $(value CPU)
export WEIR_ICOUNT = $(value ICOUNT)
export WEIR_LIMIT = $(value LIMIT)
export WEIR_CONSOLE = $(value CONSOLE)
export WEIR_MODULE = $(value MODULE)
export WEIR_ISO = $(value ISO)
export WEIR_DISPLAY_VGA = $(value DISPLAY_VGA)
export WEIR_T = $(value T)
export WEIR_REPEAT = $(value REPEAT)
export WEIR_GDB = $(value GDB)
export WEIR_FLOOD = $(value FLOOD)
export WEIR_WRITE = $(value WRITE)
export WEIR_GROWTH = $(value GROWTH)
export WEIR_ACCEL = $(value ACCEL)
export WEIR_OP = $(value OP)
export WEIR_BUILD = $(abspath $(BUILD))
# For the makes that tests start: without these they would build everything anew.
export WEIR_MAKE_OPTIONS = RELEASE=$(RELEASE) POLICY=$(POLICY) WERROR=$(WERROR) \
	CROSS_COMPILE=$(CROSS_COMPILE)

comma := ,
Q := $(if $(filter 1,$(V)),,@)
# Nothing is said either when make was told to be silent (-s).
SILENT := $(findstring s,$(filter-out --%,$(firstword -$(MAKEFLAGS))))
say = $(if $(filter 1,$(V))$(SILENT),,@printf '  %-6s %s\n' '$(1)' '$(patsubst $(BUILD)/%,%,$(2))')

# --- the tools ------------------------------------------------------------------------------

# $(BUILD)/setup.mk names the compiler found; making it installs what is missing. It is remade
# when the quick check finds that something went away. Some goals draw pictures.
SETUP_FOR := $(if $(filter duel test test-full,$(MAKECMDGOALS)),--pictures)
ifneq ($(filter-out help clean,$(or $(MAKECMDGOALS),all)),)
ifneq ($(shell CROSS_COMPILE='$(CROSS_COMPILE)' ./tools/setup --quick $(SETUP_FOR) && echo found),found)
$(shell rm -f $(BUILD)/setup.mk)
endif
include $(BUILD)/setup.mk
endif

$(BUILD)/setup.mk: tools/setup
	@mkdir -p $(@D)
	@CROSS_COMPILE='$(CROSS_COMPILE)' ./tools/setup $(SETUP_FOR) --for-make $@

PREFIX := $(or $(CROSS_COMPILE),$(SETUP_PREFIX))
CC := $(PREFIX)gcc
AR := $(PREFIX)ar
NM := $(PREFIX)nm
OBJCOPY := $(PREFIX)objcopy
HOSTCC ?= gcc
PYTHON := /usr/bin/python3

ifneq ($(filter-out help clean,$(or $(MAKECMDGOALS),all)),)
GCC_INCLUDE := $(shell $(CC) -print-file-name=include 2>/dev/null)
LIBGCC := $(shell $(CC) -print-libgcc-file-name 2>/dev/null)
# The boot segment is writable code until it is given back; linkers since 2.39 warn of that.
NO_RWX_WARNING := $(if $(shell $(CC) -Wl,--help 2>/dev/null | grep -o -e --no-warn-rwx-segments),\
	-Wl$(comma)--no-warn-rwx-segments)
endif

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
	$(if $(filter 1,$(WERROR)),-Werror)

# Short copies in a few moves: string instructions take long to begin (and count once a step where instructions count).
STRINGS := -mmemcpy-strategy=unrolled_loop:256:noalign,libcall:-1:noalign \
	-mmemset-strategy=unrolled_loop:256:noalign,libcall:-1:noalign
# A release has no frame pointers, so a panic of its kernel tells no callers.
FRAMES := $(if $(filter 1,$(RELEASE)),-fomit-frame-pointer,-fno-omit-frame-pointer -mno-omit-leaf-frame-pointer)
COMMON_FLAGS := -std=gnu11 -O2 -g -ffreestanding -nostdinc -isystem $(GCC_INCLUDE) \
	-fno-pic -fno-pie -fno-stack-protector -fcf-protection=none $(FRAMES) -fno-strict-aliasing \
	-fno-common -ffile-prefix-map=$(CURDIR)/= $(STRINGS) \
	$(if $(filter 1,$(RELEASE)),-DNDEBUG) $(WARNINGS) -MMD -MP

# --- the interfaces -------------------------------------------------------------------------

# Subsystems that the kernel itself serves; the others are served by programs.
KERNEL_SUBSYSTEMS := mach mach_port mach_host mach_debug mach4 gnumach mach_i386 device \
	ledger throttle weir

WIG := tools/wig
WIG_PARTS := $(WIG) $(wildcard tools/wig/* tools/wiglib/* tools/wig_*.py tools/wig*.lark)
DEFS_ALL := $(wildcard kernel/include/*/*.defs servers/*/*.defs tests/*/*.defs)
# Files without a subsystem only define types for the others.
DEFS := $(if $(DEFS_ALL),$(shell grep -lE '^[[:space:]]*subsystem' $(DEFS_ALL)))
DEFS_KERNEL := $(foreach d,$(DEFS),$(if $(filter $(basename $(notdir $d)),$(KERNEL_SUBSYSTEMS)),$d))
DEFS_SERVER := $(filter-out $(DEFS_KERNEL),$(DEFS))

gen_names = $(foreach d,$(1),$(patsubst %,$(2),$(basename $(notdir $d))))
USER_STUBS := $(call gen_names,$(DEFS),$(GEN)/user/%_user.c)
USER_HEADERS := $(call gen_names,$(DEFS),$(GEN)/include/%_user.h)
SERVER_STUBS := $(call gen_names,$(DEFS_SERVER),$(GEN)/server/%_server.c)
SERVER_HEADERS := $(call gen_names,$(DEFS_SERVER),$(GEN)/include/%_server.h)
KERNEL_STUBS := $(call gen_names,$(DEFS_KERNEL),$(GEN)/kernel/%_server.c)
KERNEL_STUB_HEADERS := $(KERNEL_STUBS:.c=.h)
GENERATED := $(USER_STUBS) $(USER_HEADERS) $(SERVER_STUBS) $(SERVER_HEADERS) \
	$(KERNEL_STUBS) $(KERNEL_STUB_HEADERS)

define user_stub_rule
$(GEN)/user/$(2)_user.c $(GEN)/include/$(2)_user.h &: $(1) $$(DEFS_ALL) $$(WIG_PARTS)
	$$(call say,WIG,$(1) (user))
	$$Qmkdir -p $(GEN)/user $(GEN)/include
	$$Q$(WIG) -I kernel/include --user $(GEN)/user/$(2)_user.c \
		--user-header $(GEN)/include/$(2)_user.h $(1)
endef
define server_stub_rule
$(GEN)/server/$(2)_server.c $(GEN)/include/$(2)_server.h &: $(1) $$(DEFS_ALL) $$(WIG_PARTS)
	$$(call say,WIG,$(1) (server))
	$$Qmkdir -p $(GEN)/server $(GEN)/include
	$$Q$(WIG) -I kernel/include --server $(GEN)/server/$(2)_server.c \
		--server-header $(GEN)/include/$(2)_server.h $(1)
endef
define kernel_stub_rule
$(GEN)/kernel/$(2)_server.c $(GEN)/kernel/$(2)_server.h &: $(1) $$(DEFS_ALL) $$(WIG_PARTS)
	$$(call say,WIG,$(1) (kernel))
	$$Qmkdir -p $(GEN)/kernel
	$$Q$(WIG) --kernel -I kernel/include --server $(GEN)/kernel/$(2)_server.c \
		--server-header $(GEN)/kernel/$(2)_server.h $(1)
endef
$(foreach d,$(DEFS),$(eval $(call user_stub_rule,$d,$(basename $(notdir $d)))))
$(foreach d,$(DEFS_SERVER),$(eval $(call server_stub_rule,$d,$(basename $(notdir $d)))))
$(foreach d,$(DEFS_KERNEL),$(eval $(call kernel_stub_rule,$d,$(basename $(notdir $d)))))

# <bsd/sys/queue.h> and tree.h come from libbsd-dev, <elf.h> from libc6-dev; the rest of the host's
# headers must stay out of sight, so these get a folder of their own with what they ask for.
HOST_HEADERS := $(GEN)/host/.made
BSD_HEADERS = $(patsubst %/sys/tree.h,%,$(firstword \
	$(wildcard /usr/include/bsd/sys/tree.h /usr/include/*-linux-gnu/bsd/sys/tree.h)))
$(HOST_HEADERS): Makefile
	$Qmkdir -p $(GEN)/host/sys $(GEN)/host/bits
	$Qln -sfn $(BSD_HEADERS) $(GEN)/host/bsd
	$Qln -sf /usr/include/elf.h $(GEN)/host/elf.h
	$Qprintf '/* Empty: <bsd/sys/cdefs.h> has what is needed. */\n' > $(GEN)/host/sys/cdefs.h
	$Qprintf '/* Empty: the auxiliary vector is not used. */\n' > $(GEN)/host/bits/auxv.h
	$Qtouch $@

# --- the kernel -----------------------------------------------------------------------------

# A release is compiled as one, so that what is short and used everywhere is inlined everywhere.
KERNEL_MACHINE := -mcmodel=kernel -mno-red-zone -mgeneral-regs-only -mpreferred-stack-boundary=3
KERNEL_LTO := $(if $(filter 1,$(RELEASE)),-flto=auto)
KERNEL_FLAGS = $(COMMON_FLAGS) $(KERNEL_LTO) -Wframe-larger-than=1024 $(KERNEL_MACHINE) \
	-DWEIR_POLICY=$(if $(filter 1,$(POLICY)),1,0) -I kernel -I kernel/include -I $(GEN)/kernel -I $(GEN)/host
# kernel/ipc/msg_near.c says why. Without peephole2 a zero is stored as it is, not by way of a register.
NEAR_FLAGS := $(addprefix -fcall-used-,rbx r12 r13 r14 r15) -fno-peephole2
$(OBJ)/kernel/ipc/msg_near.c.o: KERNEL_LTO := $(NEAR_FLAGS)
# What the compiler calls by itself: as a part of the whole it would be changed, and not known by its name any more.
$(OBJ)/kernel/kern/string.c.o: KERNEL_LTO :=
KERNEL_DIRS := x86_64 mem vm ipc kern
# policy=mach takes the kernel's protection away, for make duel. A release does without.
POLICY ?= $(if $(filter 1,$(RELEASE)),0,1)
KERNEL_SOURCES := $(filter-out $(if $(filter 1,$(POLICY)),,kernel/mem/policy.c),\
	$(wildcard $(KERNEL_DIRS:%=kernel/%/*.c) $(KERNEL_DIRS:%=kernel/%/*.S))) $(KERNEL_STUBS)
KERNEL_OBJECTS := $(patsubst %,$(OBJ)/%.o,$(patsubst $(BUILD)/%,%,$(KERNEL_SOURCES)))
KERNEL_LINK := $(if $(KERNEL_LTO),$(filter-out -W% -M%,$(COMMON_FLAGS)) $(KERNEL_LTO) $(KERNEL_MACHINE)) \
	-nostdlib -static -no-pie -Wl,-T,boot/kernel.lds -Wl,-z,max-page-size=0x1000 -Wl,-z,noexecstack \
	-Wl,--build-id=none $(NO_RWX_WARNING)
KERNEL_GEN := $(KERNEL_STUB_HEADERS) $(HOST_HEADERS)

$(OBJ)/kernel/%.o: kernel/% $(BUILD)/flags | $(KERNEL_GEN)
	$(call say,CC,$<)
	$Qmkdir -p $(@D)
	$Q$(CC) $(KERNEL_FLAGS) -c $< -o $@
$(OBJ)/gen/kernel/%.o: $(GEN)/kernel/% $(BUILD)/flags | $(KERNEL_GEN)
	$(call say,CC,$<)
	$Qmkdir -p $(@D)
	$Q$(CC) $(KERNEL_FLAGS) -c $< -o $@

# Linked twice: the first link tells the addresses for the symbol table of the second. The table
# has a section behind the code, and the check proves that no function has moved.
$(BUILD)/ksyms0.S: tools/ksyms
	$Qmkdir -p $(@D)
	$Qtools/ksyms --empty > $@
$(BUILD)/ksyms.S: $(BUILD)/weir0.elf tools/ksyms
	$(call say,KSYMS,$@)
	$Q$(NM) -n $< | tools/ksyms > $@
$(BUILD)/ksyms0.o $(BUILD)/ksyms.o: %.o: %.S
	$Q$(CC) -c $< -o $@
$(BUILD)/weir0.elf: $(KERNEL_OBJECTS) $(BUILD)/ksyms0.o boot/kernel.lds
	$(call say,LD,$@)
	$Q$(CC) $(KERNEL_LINK) -o $@ $(KERNEL_OBJECTS) $(BUILD)/ksyms0.o
$(BUILD)/weir.elf: $(BUILD)/weir0.elf $(BUILD)/ksyms.o
	$(call say,LD,$@)
	$Q$(CC) $(KERNEL_LINK) -o $@ $(KERNEL_OBJECTS) $(BUILD)/ksyms.o
	$Q$(NM) -n $@ | tools/ksyms --verify $(BUILD)/ksyms.S
# QEMU's Multiboot loader takes 32-bit ELF only.
$(BUILD)/weir.elf32: $(BUILD)/weir.elf
	$Q$(OBJCOPY) -S -O elf32-i386 $< $@

# --- the libraries and the programs ---------------------------------------------------------

USER_INCLUDES := -I lib/c/include -I lib/mach/include -I lib/ports/include -I kernel/include \
	-I $(GEN)/include -I $(GEN)/host
# No SSE: a thread that touches the FPU costs kernel memory for its state.
USER_FLAGS = $(COMMON_FLAGS) -mgeneral-regs-only -ffunction-sections -fdata-sections \
	$(USER_INCLUDES)
USER_LINK := -nostdlib -static -no-pie -Wl,--gc-sections -Wl,-z,noexecstack -Wl,--build-id=none \
	-Wl,-z,max-page-size=0x1000 -Wl,-e,_start
USER_GEN := $(USER_HEADERS) $(SERVER_HEADERS) $(HOST_HEADERS)

objects_of = $(patsubst %,$(OBJ)/user/%.o,$(wildcard $(1:%=%/*.c) $(1:%=%/*.S)))
gen_objects = $(patsubst $(GEN)/%,$(OBJ)/user/gen/%.o,$(1))

START := $(OBJ)/user/lib/c/start.S.o
LIBC_OBJECTS := $(filter-out $(START),$(call objects_of,lib/c))
LIBMACH_OBJECTS := $(call objects_of,lib/mach) $(call gen_objects,$(USER_STUBS))
LIBMACHSERVER_OBJECTS := $(call gen_objects,$(SERVER_STUBS))
LIBPORTS_OBJECTS := $(call objects_of,lib/ports)
LIBS := $(patsubst %,$(BUILD)/lib/lib%.a,ports machserver mach c)

$(BUILD)/lib/libc.a: $(LIBC_OBJECTS)
$(BUILD)/lib/libmach.a: $(LIBMACH_OBJECTS)
$(BUILD)/lib/libmachserver.a: $(LIBMACHSERVER_OBJECTS)
$(BUILD)/lib/libports.a: $(LIBPORTS_OBJECTS)
$(LIBS):
	$(call say,AR,$@)
	$Qmkdir -p $(@D)
	$Qrm -f $@
	$Q$(AR) rcsD $@ $(filter %.o,$^)

$(OBJ)/user/gen/%.o: $(GEN)/% $(BUILD)/flags | $(USER_GEN)
	$(call say,CC,$<)
	$Qmkdir -p $(@D)
	$Q$(CC) $(USER_FLAGS) -c $< -o $@
$(OBJ)/user/%.o: % $(BUILD)/flags | $(USER_GEN)
	$(call say,CC,$<)
	$Qmkdir -p $(@D)
	$Q$(CC) $(USER_FLAGS) $(USER_SUPPORT) -c $< -o $@
# Test programs share what lies in the support folder beside them.
$(OBJ)/user/tests/kernel/%: USER_SUPPORT := -I tests/kernel/support
$(OBJ)/user/tests/stress/%: USER_SUPPORT := -I tests/stress/support

# A program is a folder of sources or, for tests, a single source file.
PROGRAM_DIRS := $(filter-out %/support,$(patsubst %/,%,$(sort $(dir \
	$(wildcard servers/*/*.c programs/*/*.c tests/kernel/*/*.c tests/stress/*/*.c tests/bench/*.c)))))
PROGRAM_FILES := $(wildcard tests/kernel/*.c tests/stress/*.c)
PROGRAM_NAMES := $(notdir $(PROGRAM_DIRS) $(PROGRAM_FILES:.c=))
PROGRAMS := $(PROGRAM_NAMES:%=$(BUILD)/programs/%)
ifneq ($(words $(PROGRAM_NAMES)),$(words $(sort $(PROGRAM_NAMES))))
$(error two programs have the same name in: $(sort $(PROGRAM_DIRS) $(PROGRAM_FILES)))
endif

support_of = $(if $(filter tests/%,$(1)),$(call objects_of,$(dir $(1))support))
define program_rule
$(BUILD)/programs/$(notdir $(1:.c=)): $(2) $$(call support_of,$(1)) $$(START) $$(LIBS)
	$$(call say,LD,$$@)
	$$Qmkdir -p $$(@D)
	$$Q$$(CC) $$(USER_LINK) -o $$@ $$(filter %.o,$$^) \
		-Wl,--start-group $$(LIBS) -Wl,--end-group $$(LIBGCC)
endef
$(foreach p,$(PROGRAM_DIRS),$(eval $(call program_rule,$p,$(call objects_of,$p))))
$(foreach p,$(PROGRAM_FILES),$(eval $(call program_rule,$p,$(OBJ)/user/$p.o)))

# --- the image: bootstrap and one archive of all other programs -----------------------------

ARCHIVED := $(sort $(filter-out bootstrap,$(PROGRAM_NAMES)))

$(BUILD)/bootstrap: $(BUILD)/programs/bootstrap
	$Q$(OBJCOPY) -S $< $@
# The list is a prerequisite so that a program that is gone leaves the archive too.
$(BUILD)/programs.tar: $(ARCHIVED:%=$(BUILD)/programs/%) $(BUILD)/programs.list
	$(call say,TAR,$@)
	$Qrm -rf $(BUILD)/stripped && mkdir -p $(BUILD)/stripped
	$Qfor p in $(ARCHIVED); do \
		$(OBJCOPY) -S $(BUILD)/programs/$$p $(BUILD)/stripped/$$p || exit 1; done
	$Qtar --format=ustar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 \
		--mode=0755 -cf $@ -C $(BUILD)/stripped --no-recursion -T $(BUILD)/programs.list

IMAGE := $(BUILD)/weir.elf32 $(BUILD)/weir.elf $(BUILD)/bootstrap $(BUILD)/programs.tar

# Touched only when the content changes.
$(BUILD)/programs.list: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' $(ARCHIVED) > $@.new
	@if cmp -s $@.new $@; then rm -f $@.new; else mv $@.new $@; fi
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(CC)' '$(KERNEL_FLAGS)' '$(USER_FLAGS)' '$(USER_LINK)' '$(UNIT_FLAGS)' > $@.new
	@if cmp -s $@.new $@; then rm -f $@.new; else mv $@.new $@; fi

.PHONY: all run debug iso
all: $(IMAGE)

run: $(IMAGE) $(if $(filter 1,$(value ISO)),iso)
	@exec tools/run
debug: $(IMAGE)
	@exec tools/run --debug

iso: $(BUILD)/weir.iso
$(BUILD)/weir.iso: $(IMAGE) boot/grub.cfg.in tools/mkiso FORCE
	$QOBJCOPY=$(OBJCOPY) tools/mkiso $@

# --- tests ----------------------------------------------------------------------------------

# A unit test tests/unit/NAME_test.c names the kernel sources that it is linked with in lines
# "SOURCES: mem kernel/kern/a.c" inside a comment: files, or parts of the kernel as far as they know no machine.
UNIT_PART_mem := $(filter-out kernel/mem/policy.c,$(wildcard kernel/mem/*.c))
UNIT_PART_vm := $(filter-out kernel/vm/contiguous.c %_server.c,$(wildcard kernel/vm/*.c))
UNIT_PART_ipc := $(filter-out %_server.c,$(wildcard kernel/ipc/*.c))
UNIT_FLAGS := -std=gnu11 -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=undefined -DWEIR_HOST=1 $(WARNINGS) -MMD -MP \
	-I tests/unit/support -I kernel -I kernel/include -I $(GEN)/kernel
UNIT_NAMES := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/*_test.c))
UNIT_TESTS := $(UNIT_NAMES:%=$(BUILD)/unit/%)
UNIT_SUPPORT := $(patsubst %,$(BUILD)/unit/obj/%.o,$(wildcard tests/unit/support/*.c))
unit_words = $(shell sed -n 's,.*SOURCES: *\([^*]*\).*,\1,p' tests/unit/$(1).c)
unit_sources = $(foreach w,$(unit_words),$(if $(findstring /,$w),$w,$(or $(UNIT_PART_$w),$(error \
	tests/unit/$(1).c: SOURCES: $w is no part of the kernel))))
define unit_rule
$(BUILD)/unit/$(1): $(BUILD)/unit/obj/tests/unit/$(1).c.o $(UNIT_SUPPORT) \
		$(patsubst %,$(BUILD)/unit/obj/%.o,$(call unit_sources,$(1)))
	$$(call say,HOSTLD,$$@)
	$$Q$$(HOSTCC) $$(UNIT_FLAGS) -o $$@ $$(filter %.o,$$^)
endef
$(foreach u,$(UNIT_NAMES),$(eval $(call unit_rule,$u)))
$(BUILD)/unit/obj/%.o: % $(BUILD)/flags | $(KERNEL_STUB_HEADERS)
	$(call say,HOSTCC,$<)
	$Qmkdir -p $(@D)
	$Q$(HOSTCC) $(UNIT_FLAGS) -c $< -o $@

.PHONY: test test-full unit seeds
test: $(IMAGE) $(UNIT_TESTS)
	@exec tests/run
test-full: $(IMAGE) $(UNIT_TESTS)
	@WEIR_FULL=1 exec tests/run
unit: $(UNIT_TESTS)
	@exec tests/run --unit
seeds: $(IMAGE)
	@exec tools/seeds $(if $(filter 1,$(value WRITE)),--write)

.PHONY: duel floods
duel: $(IMAGE)
	@exec tools/duel
floods: $(IMAGE)
	@exec $(if $(value REPEAT),tools/repeat,tools/floods)

# Builds what it measures itself, in folders of its own.
.PHONY: bench bench-check bench-breakdown
bench:
	@exec tools/bench
bench-check:
	@exec tools/bench --check
bench-breakdown:
	@exec tools/breakdown

# --- the rest -------------------------------------------------------------------------------

.PHONY: help clean compile_commands.json FORCE
help:
	@sed -n 's/^##//p' Makefile

clean:
	rm -rf '$(BUILD)'

compile_commands.json: $(GENERATED) $(HOST_HEADERS)
	$(call say,GEN,$@)
	@$(MAKE) --no-print-directory -Bn V=1 all $(UNIT_TESTS) | tools/compdb > $@.new
	@mv $@.new $@

FORCE:

# Objects are not removed as intermediates, and know their headers from the last compilation.
.SECONDARY:
-include $(patsubst %.o,%.d,$(KERNEL_OBJECTS) $(START) $(LIBC_OBJECTS) $(LIBMACH_OBJECTS) \
	$(LIBMACHSERVER_OBJECTS) $(LIBPORTS_OBJECTS) $(UNIT_SUPPORT) \
	$(foreach p,$(PROGRAM_DIRS),$(call objects_of,$p)) $(PROGRAM_FILES:%=$(OBJ)/user/%.o) \
	$(call objects_of,tests/kernel/support tests/stress/support) \
	$(UNIT_NAMES:%=$(BUILD)/unit/obj/tests/unit/%.c.o) \
	$(patsubst %,$(BUILD)/unit/obj/%.o,$(sort $(foreach u,$(UNIT_NAMES),$(call unit_sources,$u)))))
