//! Seccomp filters.

use crate::capi::cmd::{change, sandbox_cmd};
use crate::capi::error::sandbox_error;
use crate::capi::guard::{code, guarded, reported, text_for};
use crate::error::{Error, Result, Stage};
use crate::seccomp::bpf::{self, sandbox_syscall};
use crate::seccomp::{compile, oci, policy};
use crate::seccomp::filter::{Cmp, Compare, Filter, sandbox_arg};
use nix::errno::Errno;
use std::ffi::{OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

/// A seccomp filter: a default action and rules, or instructions taken as they are. Compiled once, when it is first
/// added to a command, simulated or exported, and kept until the next change.
///
/// Setters are sticky: the first that fails is remembered, and what uses the filter then refuses with its error.
#[allow(non_camel_case_types)]
pub struct sandbox_filter(pub(crate) Filter);

fn null(what: &str) -> Error {
    Error::new(Stage::SANDBOX_STAGE_SECCOMP, 0, libc::EFAULT, format_args!("{what} is NULL"))
}

fn of_a_filter(error: Error) -> Error {
    error.in_stage(Stage::SANDBOX_STAGE_SECCOMP)
}

fn set(filter: *mut sandbox_filter, error: *mut sandbox_error, set: impl FnOnce(&mut Filter) -> Result<()>) -> c_int {
    reported(error, || {
        // SAFETY: NULL, or a handle of sandbox_filter_new's that no other thread uses now.
        let filter = unsafe { filter.as_mut() }.ok_or_else(|| null("the filter"))?;
        // Also where the shared check of a pointer knows nothing of filters.
        filter.0.set(|filter| set(filter).map_err(of_a_filter)).map(|()| 0)
    })
}

/// A new filter of the native architecture. Calls of every other, x32 and 32-bit ones included, end the program.
///
/// @param default_action  SANDBOX_ACT_*: for calls that no rule is about, or none of whose rules applies. One that does
///                        not exist is latched (-EINVAL).
/// @return A handle to free with sandbox_filter_free; never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_filter_new(default_action: u32) -> *mut sandbox_filter {
    guarded(ptr::null_mut(), || Box::into_raw(Box::new(sandbox_filter(Filter::new(default_action)))))
}

/// Frees a filter; NULL does nothing. Commands that it was added to keep what it was then.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_filter_free(filter: *mut sandbox_filter) {
    guarded((), || {
        if !filter.is_null() {
            // SAFETY: a handle of sandbox_filter_new's, given back once.
            drop(unsafe { Box::from_raw(filter) });
        }
    });
}

/// Adds a rule. Of several rules about one system call the first that applies decides.
///
/// @param action   SANDBOX_ACT_*.
/// @param syscall  The system call's name, "openat"; or its number on the native architecture, in decimal.
/// @param args     `count` comparisons, which must all hold; unsigned, 64 bits wide. An argument that the kernel takes as
///                 an int (an fd, ioctl's request) has a free upper half: compare it with SANDBOX_CMP_MASKED_EQ and the
///                 mask 0xffffffff.
/// @param count    0 to 32.
/// @return 0; -EINVAL: no such action, call, argument or comparison; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_filter_rule(filter: *mut sandbox_filter, action: u32, syscall: *const c_char, args: *const sandbox_arg, count: usize) -> c_int {
    set(filter, ptr::null_mut(), |filter| {
        // SAFETY: the caller's string.
        let syscall = unsafe { text_for(syscall, "the system call's name") }?;
        if args.is_null() && count > 0 {
            return Err(null("the array of comparisons"));
        }
        if count > 32 {
            return Err(Error::new(Stage::SANDBOX_STAGE_SECCOMP, 0, libc::EINVAL, format_args!("{count} comparisons in one rule")));
        }
        // SAFETY: the caller's array of `count`.
        let args = if count == 0 { &[] } else { unsafe { std::slice::from_raw_parts(args, count) } };
        let compares = args.iter().map(compare).collect::<Result<Vec<Compare>>>()?;
        filter.rule(action, &syscall.to_string_lossy(), &compares)
    })
}

fn compare(arg: &sandbox_arg) -> Result<Compare> {
    let wrong = |what: String| Error::new(Stage::SANDBOX_STAGE_SECCOMP, 0, libc::EINVAL, what);
    if arg.index > 5 {
        return Err(wrong(format!("argument {}: a system call has 0 to 5", arg.index)));
    }
    let op = match arg.op {
        1 => Cmp::SANDBOX_CMP_EQ,
        2 => Cmp::SANDBOX_CMP_NE,
        3 => Cmp::SANDBOX_CMP_LT,
        4 => Cmp::SANDBOX_CMP_LE,
        5 => Cmp::SANDBOX_CMP_GE,
        6 => Cmp::SANDBOX_CMP_GT,
        7 => Cmp::SANDBOX_CMP_MASKED_EQ,
        other => return Err(wrong(format!("comparison {other}"))),
    };
    Ok(Compare { index: arg.index, op, value: arg.value, mask: arg.mask })
}

/// Refuses what the bits name, before any rule of the filter: one that is to deny only these starts from
/// SANDBOX_ACT_ALLOW.
///
/// @param what  A sum of SANDBOX_DENY_*.
/// @return 0; -EINVAL: an unknown bit; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_filter_deny(filter: *mut sandbox_filter, what: u64) -> c_int {
    set(filter, ptr::null_mut(), |filter| filter.deny(what))
}

/// Refuses one ioctl request, EPERM, before any rule; compared as 32 bits, as the kernel takes it.
///
/// @return 0; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_filter_deny_ioctl(filter: *mut sandbox_filter, request: u32) -> c_int {
    set(filter, ptr::null_mut(), |filter| filter.deny_ioctl(request))
}

/// Refuses one setsockopt option, EPERM, before any rule.
///
/// @param level   SOL_*, IPPROTO_*.
/// @param option  SO_* and the like.
/// @return 0; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_filter_deny_setsockopt(filter: *mut sandbox_filter, level: u32, option: u32) -> c_int {
    set(filter, ptr::null_mut(), |filter| filter.deny_setsockopt(level, option))
}

/// Adds an architecture whose calls the rules are then about too.
///
/// @param arch  "x86_64" (or "amd64"), "x86" ("i386"), "x32", "aarch64" ("arm64"), "arm", "riscv64", "ppc64le", "s390x";
///              "native".
/// @return 0; -EINVAL: another name; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_filter_arch(filter: *mut sandbox_filter, arch: *const c_char) -> c_int {
    // SAFETY: the caller's string.
    set(filter, ptr::null_mut(), |filter| filter.arch(&unsafe { text_for(arch, "the architecture's name") }?.to_string_lossy()))
}

/// Sets flags for loading: a sum of SANDBOX_FILTER_*.
///
/// @return 0; -EINVAL: an unknown bit; -EFAULT: NULL. A kernel that lacks one fails the spawn, stage SECCOMP.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_filter_flags(filter: *mut sandbox_filter, flags: u64) -> c_int {
    set(filter, ptr::null_mut(), |filter| filter.flags(flags))
}

fn bytes<'a>(data: *const c_char, length: usize, what: &str) -> Result<&'a [u8]> {
    match (data.is_null(), length) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(null(what)),
        (false, length) if length > 1 << 24 => Err(Error::new(Stage::SANDBOX_STAGE_SECCOMP, 0, libc::E2BIG, format_args!("{what}: {length} bytes"))),
        // SAFETY: the caller's `length` bytes.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) }),
    }
}

/// Adds the rules of a policy in minijail's language. The default action stays the filter's.
///
/// @param text    `length` bytes, without a NUL.
/// @param length  In bytes.
/// @param error   Its message names line and column.
/// @return 0; -EINVAL: what can't be read; -ENOENT and what else open says: of an included file; -ELOOP: files within
///         files without end; -E2BIG: too long; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_filter_policy(filter: *mut sandbox_filter, text: *const c_char, length: usize, error: *mut sandbox_error) -> c_int {
    set(filter, error, |filter| {
        let directory = filter.directory.clone();
        policy::read(filter, bytes(text, length, "the policy")?, directory.as_deref())
    })
}

/// The directory in which the @include lines of policies read later are looked for; not called, they are refused.
///
/// @return 0; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_filter_policy_directory(filter: *mut sandbox_filter, directory: *const c_char) -> c_int {
    set(filter, ptr::null_mut(), |filter| {
        // SAFETY: the caller's string.
        let directory = unsafe { text_for(directory, "the policy's directory") }?;
        filter.directory = Some(Path::new(OsStr::from_bytes(directory.to_bytes())).to_owned());
        Ok(())
    })
}

/// Takes a profile in the form of the OCI runtime specification, such as Docker's: its default action, architectures,
/// flags and rules. Names that the system does not know are passed over, as runc does.
///
/// @param json    `length` bytes, without a NUL.
/// @param length  In bytes.
/// @param error   Its message names the JSON path, "syscalls[3].args[0].op", or line and column.
/// @return 0; -EINVAL: what can't be read; -E2BIG: too long; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_filter_oci(filter: *mut sandbox_filter, json: *const c_char, length: usize, error: *mut sandbox_error) -> c_int {
    set(filter, error, |filter| {
        let capabilities = filter.capabilities;
        oci::read(filter, bytes(json, length, "the profile")?, capabilities)
    })
}

/// The capabilities by which OCI profiles read later include and exclude rules; not called: none.
///
/// @param capabilities  Bit n: capability n, CAP_* of linux/capability.h.
/// @return 0; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_filter_oci_capabilities(filter: *mut sandbox_filter, capabilities: u64) -> c_int {
    set(filter, ptr::null_mut(), |filter| {
        filter.capabilities = capabilities;
        Ok(())
    })
}

/// Takes instructions as they are; verified first, as the kernel would. Such a filter has nothing else: no rules and no
/// denials, before or after. Where it would refuse the library's own last steps, a few more instructions are put in front
/// of it at the spawn, for which there must be room (-E2BIG).
///
/// @param instructions  `count` times struct sock_filter. Copied.
/// @param count         1 to 4096.
/// @return 0; -EINVAL: what the kernel would refuse, or a filter with rules; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_filter_bpf(filter: *mut sandbox_filter, instructions: *const c_void, count: usize) -> c_int {
    set(filter, ptr::null_mut(), |filter| {
        if instructions.is_null() {
            return Err(null("the array of instructions"));
        }
        if count > bpf::LONGEST {
            let what = format!("{count} instructions, the most is {}", bpf::LONGEST);
            return Err(Error::new(Stage::SANDBOX_STAGE_SECCOMP, 0, libc::EINVAL, what));
        }
        // SAFETY: the caller's array of `count` times 8 bytes.
        let bytes = unsafe { std::slice::from_raw_parts(instructions.cast::<u8>(), count * 8) };
        filter.bpf(compile::instructions(bytes))
    })
}

/// What the kernel would do with a call, without asking it: runs the compiled filter.
///
/// @param call    The call; its `arch` is AUDIT_ARCH_* of linux/audit.h.
/// @param action  Set to SANDBOX_ACT_*, with its data.
/// @return 0; a setter's latched error; -E2BIG: more than 4096 instructions; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_filter_simulate(filter: *const sandbox_filter, call: *const sandbox_syscall, action: *mut u32) -> c_int {
    reported(ptr::null_mut(), || {
        // SAFETY: NULL, or the caller's.
        let (filter, call, action) = unsafe { (filter.as_ref(), call.as_ref(), action.as_mut()) };
        let (filter, call, action) = (filter.ok_or_else(|| null("the filter"))?, call.ok_or_else(|| null("the call"))?, action.ok_or_else(|| null("the place for the action"))?);
        *action = bpf::strictest(std::iter::once(bpf::run(&filter.0.program()?.instructions, call)));
        Ok(0)
    })
}

/// Writes the compiled instructions to `fd`, as struct sock_filter each.
///
/// @return Their number; a setter's latched error; write's -errno; -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_filter_export(filter: *const sandbox_filter, fd: c_int) -> c_int {
    code(|| {
        // SAFETY: NULL, or a handle of sandbox_filter_new's.
        let filter = unsafe { filter.as_ref() }.ok_or(Errno::EFAULT)?;
        let program = filter.0.program().map_err(|error| Errno::from_raw(error.errno))?;
        let instructions = program.instructions.as_slice();
        // SAFETY: instructions are plain bytes, 8 each.
        let mut rest: &[u8] = unsafe { std::slice::from_raw_parts(instructions.as_ptr().cast(), size_of_val(instructions)) };
        while !rest.is_empty() {
            // SAFETY: bytes of ours. A pipe without a reader would be SIGPIPE: that is the caller's fd.
            let written = unsafe { libc::write(fd, rest.as_ptr().cast(), rest.len()) };
            match usize::try_from(written) {
                Ok(written) => rest = rest.get(written..).unwrap_or(&[]),
                Err(_) if Errno::last() == Errno::EINTR => {}
                Err(_) => return Err(Errno::last()),
            }
        }
        c_int::try_from(instructions.len()).map_err(|_| Errno::EOVERFLOW)
    })
}

/// Adds a filter to a command, as it is now. Several stack, in the order given; the strictest answer holds. They are
/// loaded last before exec, one that notifies the last of all.
///
/// Whatever a filter says about the calls that the library itself makes after loading it, the spawn works: where they
/// would not pass, exactly these are let through, on addresses that exec discards.
///
/// @return 0; the filter's latched error; -EINVAL: a second filter that notifies; -E2BIG: too many, or too long;
///         -EFAULT: NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_filter(cmd: *mut sandbox_cmd, filter: *const sandbox_filter) -> c_int {
    change(cmd, |cmd| {
        // SAFETY: NULL, or a handle of sandbox_filter_new's.
        let filter = unsafe { filter.as_ref() }.ok_or_else(|| null("the filter"))?;
        cmd.filter(&filter.0)
    })
}

/// Has the child seized by the thread that calls sandbox_spawn, which is then its tracer: only that thread may make
/// ptrace requests, and wait for its stops (waitpid with __WALL). Nothing of the set-up is seen: the first stop is
/// PTRACE_EVENT_EXEC; where a filter has execve traced (SANDBOX_ACT_TRACE, with PTRACE_O_TRACESECCOMP) it is that
/// execve's, and the spawn returns before it: see sandbox_child_wait_exec. Freeing the handle ends a traced child too, but
/// must then be done by the tracer's thread if PTRACE_O_TRACEEXIT is set.
///
/// @param options  PTRACE_O_* of sys/ptrace.h; PTRACE_O_TRACEEXEC is always added.
/// @return 0; -EINVAL: an unknown option; -EFAULT: NULL. A seize that is refused fails the spawn, stage PTRACE.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_ptrace(cmd: *mut sandbox_cmd, options: u64) -> c_int {
    change(cmd, |cmd| cmd.ptrace(options))
}
