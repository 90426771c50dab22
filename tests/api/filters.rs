//! Filters: rules, readers of policies, instructions, and what runs or exports them.

use super::*;

/// A setter on a filter of its own. Its failure is latched, and refuses the filter wherever it is used.
fn filter_setter(t: &mut Table, function: &'static str, case: &str, expected: i64, set: &dyn Fn(*mut sandbox_filter) -> c_int) {
    t.row(function, case, expected, &|| {
        let filter = sandbox_filter_new(ALLOW);
        let code = set(filter);
        if code < 0 {
            let cmd = sandbox_cmd_new(c"/bin/true".as_ptr());
            let call = sandbox_syscall { arch: 0, nr: 0, ip: 0, args: [0; 6] };
            let mut action = 0;
            assert_eq!(sandbox_filter_simulate(filter, &raw const call, &raw mut action), code);
            assert_eq!(sandbox_filter_export(filter, -1), code);
            assert_eq!(sandbox_cmd_filter(cmd, filter), code);
            assert_eq!(sandbox_cmd_error(cmd, null_mut()), code);
            sandbox_cmd_free(cmd);
        }
        sandbox_filter_free(filter);
        code.into()
    });
}

type Reader = extern "C" fn(*mut sandbox_filter, *const c_char, usize, *mut sandbox_error) -> c_int;

pub fn rows(t: &mut Table) {
    name!(t, row, sandbox_filter_free, "NULL", 0, || { sandbox_filter_free(null_mut()); 0 });
    for (action, expected) in [(ALLOW, 0), (0x8000_0000, 0), (0x0005_0000 | 4095, 0), (1 << 20, EINVAL), (u32::MAX, EINVAL), (0x7fff_8000, EINVAL)] {
        name!(t, row, sandbox_filter_new, &format!("action {action:#x}"), expected, || {
            let (filter, cmd) = (sandbox_filter_new(action), sandbox_cmd_new(c"/bin/true".as_ptr()));
            let code = sandbox_cmd_filter(cmd, filter);
            sandbox_filter_free(filter);
            sandbox_cmd_free(cmd);
            code.into()
        });
    }
    let arg = |index, op| sandbox_arg { index, op, value: u64::MAX, mask: u64::MAX };
    let read = c"read".as_ptr();
    name!(t, row, sandbox_filter_rule, "no filter", EFAULT, || sandbox_filter_rule(null_mut(), ALLOW, read, null(), 0).into());
    filter_setter(t, "sandbox_filter_rule", "NULL", EFAULT, &|filter| sandbox_filter_rule(filter, ALLOW, null(), null(), 0));
    filter_setter(t, "sandbox_filter_rule", "NULL with a count", EFAULT, &|filter| sandbox_filter_rule(filter, ALLOW, read, null(), 1));
    filter_setter(t, "sandbox_filter_rule", "NULL with an endless count", EFAULT, &|filter| sandbox_filter_rule(filter, ALLOW, read, null(), usize::MAX));
    filter_setter(t, "sandbox_filter_rule", "an endless count", EINVAL, &|filter| sandbox_filter_rule(filter, 0, read, &raw const *&arg(0, 1), usize::MAX));
    filter_setter(t, "sandbox_filter_rule", "33 comparisons", EINVAL, &|filter| sandbox_filter_rule(filter, 0, read, [0; 33].map(|_| arg(0, 1)).as_ptr(), 33));
    filter_setter(t, "sandbox_filter_rule", "32 comparisons", 0, &|filter| sandbox_filter_rule(filter, 0, read, [0; 32].map(|_| arg(0, 1)).as_ptr(), 32));
    for (index, op, expected) in [(0, 1, 0), (5, 7, 0), (6, 1, EINVAL), (u32::MAX, 1, EINVAL), (0, 0, EINVAL), (0, 8, EINVAL), (0, u32::MAX, EINVAL)] {
        let case = format!("argument {index}, comparison {op}");
        filter_setter(t, "sandbox_filter_rule", &case, expected, &|filter| sandbox_filter_rule(filter, 0, read, &raw const *&arg(index, op), 1));
    }
    for (case, text) in strings() {
        filter_setter(t, "sandbox_filter_rule", case, EINVAL, &|filter| sandbox_filter_rule(filter, 0, text.as_ptr(), null(), 0));
        filter_setter(t, "sandbox_filter_arch", case, EINVAL, &|filter| sandbox_filter_arch(filter, text.as_ptr()));
    }
    for number in [c"-1", c"99999999999999999999", c"0x10", c" 1", c"1 "] {
        filter_setter(t, "sandbox_filter_rule", &format!("call {number:?}"), EINVAL, &|filter| sandbox_filter_rule(filter, 0, number.as_ptr(), null(), 0));
    }
    filter_setter(t, "sandbox_filter_rule", "an unknown action", EINVAL, &|filter| sandbox_filter_rule(filter, 1, read, null(), 0));
    name!(t, row, sandbox_filter_arch, "no filter", EFAULT, || sandbox_filter_arch(null_mut(), c"x86_64".as_ptr()).into());
    filter_setter(t, "sandbox_filter_arch", "NULL", EFAULT, &|filter| sandbox_filter_arch(filter, null()));
    name!(t, row, sandbox_filter_flags, "no filter", EFAULT, || sandbox_filter_flags(null_mut(), 0).into());
    name!(t, row, sandbox_filter_deny, "no filter", EFAULT, || sandbox_filter_deny(null_mut(), 1).into());
    for (bits, flags, deny) in [(0, 0, 0), (1, EINVAL, 0), (2, 0, 0), (1 << 20, EINVAL, EINVAL), (1 << 63, EINVAL, EINVAL), (u64::MAX, EINVAL, EINVAL)] {
        filter_setter(t, "sandbox_filter_flags", &format!("{bits:#x}"), flags, &|filter| sandbox_filter_flags(filter, bits));
        filter_setter(t, "sandbox_filter_deny", &format!("{bits:#x}"), deny, &|filter| sandbox_filter_deny(filter, bits));
    }
    name!(t, row, sandbox_filter_deny_ioctl, "no filter", EFAULT, || sandbox_filter_deny_ioctl(null_mut(), 0).into());
    name!(t, row, sandbox_filter_deny_setsockopt, "no filter", EFAULT, || sandbox_filter_deny_setsockopt(null_mut(), 0, 0).into());
    for number in [0, 1, u32::MAX] {
        filter_setter(t, "sandbox_filter_deny_ioctl", &format!("{number}"), 0, &|filter| sandbox_filter_deny_ioctl(filter, number));
        filter_setter(t, "sandbox_filter_deny_setsockopt", &format!("{number}"), 0, &|filter| sandbox_filter_deny_setsockopt(filter, number, number));
    }
    for (function, reader) in [("sandbox_filter_policy", sandbox_filter_policy as Reader), ("sandbox_filter_oci", sandbox_filter_oci)] {
        t.row(function, "no filter", EFAULT, &|| reader(null_mut(), c"".as_ptr(), 0, null_mut()).into());
        for length in [1, 1 << 20, usize::MAX] {
            filter_setter(t, function, &format!("NULL, {length} bytes"), EFAULT, &|filter| reader(filter, null(), length, null_mut()));
        }
        for length in [(1 << 24) + 1, 1 << 40, usize::MAX] {
            filter_setter(t, function, &format!("{length} bytes"), E2BIG, &|filter| reader(filter, read, length, null_mut()));
        }
        let nested = [b"[".repeat(100_000), b"{\"a\":".repeat(100_000), b"read: ".to_vec(), b"(".repeat(100_000), [b"read: ".to_vec(), b"(".repeat(100_000)].concat()];
        let bytes = [vec![0; 100], vec![0xff; 100], b"\0\xf0\x80".to_vec(), b"read: arg0 ==".to_vec(), b"no_such_call: 1".to_vec(), b"@include /etc/passwd".to_vec(), b"{\"syscalls\":[1]}".to_vec()];
        for text in nested.iter().chain(&bytes) {
            let case = String::from_utf8_lossy(&text[..text.len().min(16)]).escape_debug().to_string();
            filter_setter(t, function, &case, EINVAL, &|filter| {
                let mut error = none();
                let code = reader(filter, text.as_ptr().cast(), text.len(), &raw mut error);
                assert_eq!((error.code, message(&error).is_empty()), (code, code == 0));
                code
            });
        }
    }
    filter_setter(t, "sandbox_filter_policy", "nothing", 0, &|filter| sandbox_filter_policy(filter, null(), 0, null_mut()));
    filter_setter(t, "sandbox_filter_oci", "nothing", EINVAL, &|filter| sandbox_filter_oci(filter, null(), 0, null_mut()));
    name!(t, row, sandbox_filter_policy_directory, "no filter", EFAULT, || sandbox_filter_policy_directory(null_mut(), read).into());
    filter_setter(t, "sandbox_filter_policy_directory", "NULL", EFAULT, &|filter| sandbox_filter_policy_directory(filter, null()));
    for (case, text) in strings() {
        filter_setter(t, "sandbox_filter_policy_directory", case, 0, &|filter| sandbox_filter_policy_directory(filter, text.as_ptr()));
    }
    name!(t, row, sandbox_filter_oci_capabilities, "no filter", EFAULT, || sandbox_filter_oci_capabilities(null_mut(), 1).into());
    filter_setter(t, "sandbox_filter_oci_capabilities", "all", 0, &|filter| sandbox_filter_oci_capabilities(filter, u64::MAX));
    let allow = [[6u8, 0, 0, 0, 0, 0, 0xff, 0x7f]; 4097]; // BPF_RET, SECCOMP_RET_ALLOW
    let at = allow.as_ptr().cast::<c_void>();
    name!(t, row, sandbox_filter_bpf, "no filter", EFAULT, || sandbox_filter_bpf(null_mut(), at, 1).into());
    for (count, expected) in [(0, EINVAL), (1, 0), (4096, 0), (4097, EINVAL), (usize::MAX / 8, EINVAL), (usize::MAX, EINVAL)] {
        filter_setter(t, "sandbox_filter_bpf", &format!("{count}"), expected, &|filter| sandbox_filter_bpf(filter, at, count));
        filter_setter(t, "sandbox_filter_bpf", &format!("NULL, {count}"), EFAULT, &|filter| sandbox_filter_bpf(filter, null(), count));
    }
    for bytes in [[0xff; 8], [0; 8], [5, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], [0x20, 0, 0, 0, 3, 0, 0, 0]] {
        filter_setter(t, "sandbox_filter_bpf", &format!("{bytes:?}"), EINVAL, &|filter| sandbox_filter_bpf(filter, bytes.as_ptr().cast(), 1));
    }
    let filter = sandbox_filter_new(ALLOW);
    let call = sandbox_syscall { arch: u32::MAX, nr: i32::MIN, ip: u64::MAX, args: [u64::MAX; 6] };
    let mut action = 7;
    let to = &raw mut action;
    name!(t, row, sandbox_filter_simulate, "no filter", EFAULT, || sandbox_filter_simulate(null(), &raw const call, to).into());
    name!(t, row, sandbox_filter_simulate, "no call", EFAULT, || sandbox_filter_simulate(filter, null(), to).into());
    name!(t, row, sandbox_filter_simulate, "no place", EFAULT, || sandbox_filter_simulate(filter, &raw const call, null_mut()).into());
    name!(t, row, sandbox_filter_simulate, "a call of no architecture", 0, || sandbox_filter_simulate(filter, &raw const call, to).into());
    name!(t, row, sandbox_filter_export, "no filter", EFAULT, || sandbox_filter_export(null(), 1).into());
    for fd in [-1, i32::MIN, i32::MAX] {
        name!(t, row, sandbox_filter_export, &format!("fd {fd}"), EBADF, || sandbox_filter_export(filter, fd).into());
    }
    name!(t, row, sandbox_cmd_filter, "NULL, NULL", EFAULT, || sandbox_cmd_filter(null_mut(), null()).into());
    name!(t, row, sandbox_cmd_filter, "no command", EFAULT, || sandbox_cmd_filter(null_mut(), filter).into());
    name!(t, setter, sandbox_cmd_filter, "NULL", EFAULT, |cmd| sandbox_cmd_filter(cmd, null()));
    name!(t, setter, sandbox_cmd_filter, "two that notify", EINVAL, |cmd| {
        let notifying = sandbox_filter_new(NOTIFY);
        let codes = [sandbox_cmd_filter(cmd, notifying), sandbox_cmd_filter(cmd, notifying)];
        sandbox_filter_free(notifying);
        codes[1]
    });
    name!(t, setter, sandbox_cmd_filter, "too many", E2BIG, |cmd| (0..100_000).map(|_| sandbox_cmd_filter(cmd, filter)).find(|code| *code < 0).unwrap_or(0));
    sandbox_filter_free(filter);
    name!(t, row, sandbox_cmd_ptrace, "no command", EFAULT, || sandbox_cmd_ptrace(null_mut(), 0).into());
    for (options, expected) in [(0, 0), (1, 0), (1 << 19, EINVAL), (1 << 32, EINVAL), (u64::MAX, EINVAL)] {
        name!(t, setter, sandbox_cmd_ptrace, &format!("{options:#x}"), expected, |cmd| sandbox_cmd_ptrace(cmd, options));
    }
}
