//! Which system calls take addresses, and how far among their arguments: for the denial of the kernel's own.
//! Behind the arguments that a call takes a register holds whatever the program last left there, the dynamic loader
//! even a negated address; so do those that fcntl, prctl or ptrace take only sometimes. And a number may look like an
//! address: a key of ftok's, the request of an ioctl, the value that a futex waits for. None of these is looked at.

/// By how many leading arguments hold all the addresses that the call always takes, 1 to 6.
pub const LEADING: [&str; 6] = [
    "access acct adjtimex brk chdir chmod chown chroot clone3 creat delete_module fsopen futex futex_requeue futex_wait \
     futex_waitv futex_wake getcwd getrandom landlock_create_ruleset lchown madvise memfd_create mkdir mknod mlock mlock2 \
     mmap mprotect mq_open mq_unlink mremap mseal msync munlock munmap open perf_event_open pipe pipe2 pkey_mprotect poll \
     remap_file_pages rmdir rseq rt_sigpending rt_sigsuspend set_mempolicy_home_node set_robust_list set_tid_address \
     setdomainname sethostname shmdt swapoff swapon sysinfo time times truncate umount2 uname unlink uselib",
    "arch_prctl bind bpf capget capset clock_adjtime clock_getres clock_gettime clock_settime clone connect epoll_wait \
     faccessat faccessat2 fchmodat fchmodat2 fchownat finit_module flistxattr fremovexattr fspick fstat fstatfs \
     get_mempolicy getdents getdents64 getgroups getitimer getrlimit getrusage gettimeofday inotify_add_watch io_setup \
     io_uring_setup link listmount listxattr llistxattr lremovexattr lsm_get_self_attr lsm_list_modules \
     lsm_set_self_attr lstat mkdirat mknodat modify_ldt mq_notify msgrcv msgsnd nanosleep open_by_handle_at open_tree \
     openat pivot_root pread64 preadv preadv2 process_madvise pwrite64 pwritev pwritev2 quotactl read readlink readv \
     recvmsg removexattr rename sched_getattr sched_getparam sched_rr_get_interval sched_setattr sched_setparam semop \
     sendmmsg sendmsg set_mempolicy setgroups setrlimit settimeofday shmat sigaltstack signalfd signalfd4 stat statfs \
     statmount symlink syslog timer_gettime timerfd_gettime unlinkat ustat utime utimes vmsplice write writev",
    "accept accept4 add_key execve fgetxattr fsetxattr futimesat get_robust_list getcpu getpeername getresgid getresuid \
     getsockname getxattr init_module io_cancel io_submit io_uring_register kexec_load landlock_add_rule lgetxattr \
     lsetxattr mincore mq_getsetattr msgctl newfstatat openat2 pidfd_send_signal readlinkat request_key rt_sigaction \
     rt_sigprocmask rt_sigqueueinfo rt_sigtimedwait sched_getaffinity sched_setaffinity sched_setscheduler sendfile \
     setitimer setxattr shmctl symlinkat timer_create utimensat",
    "clock_nanosleep copy_file_range epoll_ctl execveat fsconfig kexec_file_load linkat mbind migrate_pages \
     mount_setattr move_mount name_to_handle_at ppoll prlimit64 process_vm_readv process_vm_writev renameat renameat2 \
     rt_tgsigqueueinfo semtimedop setsockopt socketpair splice timer_settime timerfd_settime wait4",
    "epoll_pwait epoll_pwait2 fanotify_mark getsockopt io_getevents mount move_pages mq_timedreceive mq_timedsend \
     recvmmsg select sendto statx waitid",
    "io_pgetevents pselect6 recvfrom",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::filter::is_known;
    use std::collections::BTreeSet;

    #[test]
    fn every_name_is_a_call_and_stands_once() {
        let mut seen = BTreeSet::new();
        for name in LEADING.iter().flat_map(|names| names.split_whitespace()) {
            assert!(seen.insert(name), "{name} stands twice");
            // The newest ones are not in every libseccomp.
            let is_new = name.starts_with("lsm_") || name.starts_with("futex_") || ["mseal", "fchmodat2", "listmount", "statmount"].contains(&name);
            assert!(is_new || is_known(name), "{name}: no such call");
        }
        assert!(seen.len() > 200);
    }
}
