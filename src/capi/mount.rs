//! The child's file system: its root, and what is mounted and made in it.

use crate::capi::cmd::{change, sandbox_cmd};
use crate::capi::guard::text_for;
use crate::capi::tree::sandbox_cmd_data;
use crate::confine::mount::{Kind, Source, path};
use crate::cmd::duplicate;
use crate::error::{Error, Result, Stage};
use std::ffi::{CStr, c_char, c_int, c_void};

/// A setter of one mount.
pub(super) fn mount(cmd: *mut sandbox_cmd, target: *const c_char, kind: impl FnOnce(usize) -> Result<Kind>) -> c_int {
    change(cmd, |cmd| {
        // SAFETY: the caller's string.
        let target = unsafe { text_for(target, "target") }?;
        cmd.mount(target, kind(cmd.next_mount())?)
    })
}

/// # Safety
/// `list` must be NULL or an array of strings ended by NULL.
pub(super) unsafe fn texts<'a>(list: *const *const c_char, what: &str) -> Result<Vec<&'a CStr>> {
    if list.is_null() {
        return Err(Error::setup(libc::EFAULT, format_args!("{what} is NULL")));
    }
    let mut all = Vec::new();
    let mut next = list;
    // SAFETY: the caller's.
    unsafe {
        while !(*next).is_null() && all.len() <= 500 {
            all.push(CStr::from_ptr(*next));
            next = next.add(1);
        }
    }
    Ok(all)
}

/// What the child's root is. Any mount asked for gives the child a mount namespace and a root of its own: where this
/// is not called, a new tmpfs that is read-only in the end. The host's root is gone from the child's namespace;
/// the program starts in "/" unless sandbox_cmd_cwd says otherwise. Needs CAP_SYS_ADMIN, or SANDBOX_NS_USER.
///
/// Mounts, files and all else are put into the root in the order of the calls. Their targets are resolved in the root
/// alone, as it is at that point: a symlink leads wherever it says inside of it, never out. Missing directories on
/// the way are made (mode 0755) in memory and in what is bound with SANDBOX_MOUNT_RW; elsewhere that fails (EROFS).
/// No target holds "..". At "/" a bind, a tmpfs or an overlay becomes the root of what follows; nothing else goes there.
/// From then on that mount's own rules hold for the root, no longer `flags`: of a tmpfs, or an overlay that is not
/// sandbox_cmd_overlay_ro's, the program can write to it. sandbox_cmd_remount of "/" at the end makes any read-only.
/// What is made belongs to the user who spawns, as that is seen inside (with sandbox_cmd_user and no map given: that
/// user); where the user namespace has no id for it, to the program's user.
///
/// @param directory  NULL: a new tmpfs. Else a directory of the host's with all that is mounted below it; "/": the
///                   host's own tree. Copied; a relative one counts from the host's working directory at the spawn.
/// @param flags      SANDBOX_MOUNT_*, but OPTIONAL. Without SANDBOX_MOUNT_RW the root can't be written to by the
///                   program: a directory with all mounts below it from the start, a tmpfs once everything is in it.
///                   (But what is mounted on "/" follows its own rules: see above.)
///                   Without SANDBOX_MOUNT_DEV no device of a directory works: sandbox_cmd_dev gives the usual ones.
/// @return 0; -EFAULT: `cmd` is NULL; -EINVAL: an unknown flag; -ENOENT: an empty path; -ENAMETOOLONG.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_root(cmd: *mut sandbox_cmd, directory: *const c_char, flags: u64) -> c_int {
    change(cmd, |cmd| {
        // SAFETY: NULL, or the caller's string.
        let directory = if directory.is_null() { None } else { Some(unsafe { CStr::from_ptr(directory) }) };
        cmd.root(directory, flags)
    })
}

/// Shows a file or directory of the host's, with what is mounted below it, at `target`: read-only throughout, no
/// set-user-ID, no devices, unless `flags` say otherwise. What the host's own mount forbids stays forbidden.
///
/// @param source  Opened at the spawn with the rights of the user who spawns, before the child's user and its root
///                change; in a user namespace, root has none over what belongs to ids that are not mapped there.
///                Symlinks are followed. A relative one counts from the host's working directory at that moment.
/// @param target  Where it is seen in the child's root; made where it is not there. "/": the root of what follows, and
///                as writable as this mount is.
/// @param flags   SANDBOX_MOUNT_*.
/// @return 0; -EFAULT: a NULL; -EINVAL: an unknown flag, or a target with ".."; -ENOENT: an empty path;
///         -ENAMETOOLONG; -E2BIG: more than 10,000 mounts.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_bind(cmd: *mut sandbox_cmd, source: *const c_char, target: *const c_char, flags: u64) -> c_int {
    mount(cmd, target, |index| {
        // SAFETY: the caller's string.
        let source = unsafe { text_for(source, "source") }?;
        Ok(Kind::Bind { source: Source::Path(path(source, index, "source")?), flags })
    })
}

/// Shows what `fd` is open on, as sandbox_cmd_bind does: the very object, whatever has become of its path meanwhile.
/// Where its path no longer leads to it (deleted, moved away, mounted over) the spawn fails with ESTALE; where the user
/// who spawns may not search the directories of that path, with EACCES: it is opened anew. Needs the host's /proc.
///
/// @param fd      Borrowed: the command keeps a duplicate. O_PATH is enough.
/// @param target  As of sandbox_cmd_bind.
/// @param flags   SANDBOX_MOUNT_*.
/// @return As sandbox_cmd_bind; -EBADF; -EMFILE.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_bind_fd(cmd: *mut sandbox_cmd, fd: c_int, target: *const c_char, flags: u64) -> c_int {
    mount(cmd, target, |index| {
        let fd = duplicate(fd, Stage::SANDBOX_STAGE_MOUNT, index, &format!("fd {fd} to bind"))?;
        Ok(Kind::Bind { source: Source::Fd(fd), flags })
    })
}

/// Mounts a new, empty tmpfs: writable, no set-user-ID, no devices. On "/" too.
///
/// @param bytes  The most that files in it take, rounded up to whole pages; 0: the kernel's default, half of the
///               machine's memory.
/// @param mode   Of its root directory, 0 to 01777.
/// @return As sandbox_cmd_bind; -EINVAL: another mode, or more bytes than can be rounded up to pages.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_tmpfs(cmd: *mut sandbox_cmd, target: *const c_char, bytes: u64, mode: u32) -> c_int {
    mount(cmd, target, |_| Ok(Kind::Tmpfs { bytes, mode }))
}

/// Mounts a new proc: read-only, no set-user-ID, no devices, no programs. It shows the child's pid namespace, so it
/// usually goes with SANDBOX_NS_PID; without it, as an ordinary user, the kernel refuses (EPERM).
///
/// @param flags  SANDBOX_PROC_*.
/// @return As sandbox_cmd_bind.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_proc(cmd: *mut sandbox_cmd, target: *const c_char, flags: u64) -> c_int {
    mount(cmd, target, |_| Ok(Kind::Proc { flags }))
}

/// Mounts a new mqueue, for POSIX message queues; goes with SANDBOX_NS_IPC.
///
/// @return As sandbox_cmd_bind.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_mqueue(cmd: *mut sandbox_cmd, target: *const c_char) -> c_int {
    mount(cmd, target, |_| Ok(Kind::Mqueue))
}

/// Mounts a /dev of the child's own: null, zero, full, random, urandom and tty (the host's); pts (a new devpts), ptmx;
/// shm (a new tmpfs); and the links fd, stdin, stdout, stderr, core. Nothing can be added to it by the program.
///
/// @return As sandbox_cmd_bind.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_dev(cmd: *mut sandbox_cmd, target: *const c_char) -> c_int {
    mount(cmd, target, |_| Ok(Kind::Dev))
}

/// Mounts an overlay: directories lain over one another, and changes apart from them. Any byte is legal in a path.
/// No set-user-ID, no devices; writable, on "/" too. In a user namespace a layer may hold no mounts below it.
///
/// @param lowers  Directories of the host's, topmost first, ended by NULL; 1 to 499. They are not changed.
/// @param upper   Where changes go and stay; NULL: into memory, and lost with the child. Then the overlay's own directory
///                has the mode and owner of the topmost lower. An owner without an id in the user namespace becomes the
///                user who spawns, who can do there what the lower lets him; of a group without one what the mode gives
///                to all is left, of an ACL the owner's part.
/// @param work    An empty directory of the same mount as `upper`, else the spawn fails with EXDEV; NULL with it. Both
///                may be written in any way: relative ones count from the host's working directory at the spawn.
/// @return As sandbox_cmd_bind; -EINVAL: no lowers or too many, or one of `upper` and `work` without the other.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_overlay(cmd: *mut sandbox_cmd, lowers: *const *const c_char, upper: *const c_char, work: *const c_char, target: *const c_char) -> c_int {
    mount(cmd, target, |index| {
        // SAFETY: the caller's array of strings, ended by NULL; strings or NULL.
        let lowers = unsafe { texts(lowers, "the array of lower directories") }?;
        let lowers = lowers.into_iter().map(|lower| path(lower, index, "lower directory")).collect::<Result<_>>()?;
        let optional = |text: *const c_char, what| {
            // SAFETY: as above.
            if text.is_null() { Ok(None) } else { path(unsafe { CStr::from_ptr(text) }, index, what).map(Some) }
        };
        let upper = match (optional(upper, "upper directory")?, optional(work, "work directory")?) {
            (None, None) => None,
            (Some(upper), Some(work)) => Some((upper, work)),
            _ => return Err(Error::new(Stage::SANDBOX_STAGE_MOUNT, index, libc::EINVAL, "an overlay's upper and work go together")),
        };
        Ok(Kind::Overlay { lowers, upper, is_read_only: false })
    })
}

/// A file with this content, kept in memory alone. Where something is at the target already, the file lies over it,
/// read-only; in a tree of the host's a new one can't be made (EROFS), however that is bound: SANDBOX_DATA_IN_PLACE of
/// sandbox_cmd_data makes one there.
///
/// @param data    `length` bytes, copied; NULL where there are none. At most 256 MiB.
/// @param mode    0 to 0777.
/// @return As sandbox_cmd_bind; -EINVAL: another mode; -E2BIG.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_file(cmd: *mut sandbox_cmd, target: *const c_char, data: *const c_void, length: usize, mode: u32) -> c_int {
    sandbox_cmd_data(cmd, target, data, length, mode, 0)
}

/// A directory, with what leads to it. One that is there already stays as it is.
///
/// @param mode  0 to 01777.
/// @return As sandbox_cmd_bind; -EINVAL: another mode.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_dir(cmd: *mut sandbox_cmd, target: *const c_char, mode: u32) -> c_int {
    mount(cmd, target, |_| Ok(Kind::Dir { mode }))
}

/// A symbolic link at `target` that says `text`. Where something else is there already the spawn fails with EEXIST.
///
/// @return As sandbox_cmd_bind.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_symlink(cmd: *mut sandbox_cmd, text: *const c_char, target: *const c_char) -> c_int {
    mount(cmd, target, |index| {
        // SAFETY: the caller's string.
        let text = unsafe { text_for(text, "the symlink's text") }?;
        Ok(Kind::Symlink { text: path(text, index, "the symlink's text")? })
    })
}

/// Hides what is at `target`, wherever symlinks say that is: an empty directory or file, read-only, lies over it. Where
/// nothing is there, nothing is hidden, and sandbox_status.left_out says so.
///
/// @return As sandbox_cmd_bind.
#[unsafe(no_mangle)]
pub extern "C" fn sandbox_cmd_mask(cmd: *mut sandbox_cmd, target: *const c_char) -> c_int {
    mount(cmd, target, |_| Ok(Kind::Mask))
}
