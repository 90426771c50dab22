//! Paths, as the caller would resolve them.

use super::*;
use std::io::Read;

struct Tree(PathBuf);
impl Tree {
    fn new() -> Tree {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let path = std::env::temp_dir().join(format!("supervisor-{}-{}", std::process::id(), COUNT.fetch_add(1, SeqCst)));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Tree(fs::canonicalize(path).unwrap())
    }
    fn dir(&self, path: &str) -> &Self {
        fs::create_dir_all(self.0.join(path)).unwrap();
        self
    }
    fn file(&self, path: &str, text: &str) -> &Self {
        fs::write(self.0.join(path), text).unwrap();
        self
    }
    fn link(&self, path: &str, to: &str) -> &Self {
        symlink(to, self.0.join(path)).unwrap();
        self
    }
    fn fifo(&self, path: &str) -> &Self {
        let path = CString::new(self.0.join(path).into_os_string().into_encoded_bytes()).unwrap();
        assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o666) }, 0);
        self
    }
    fn mode(&self, path: &str, mode: u32) -> &Self {
        fs::set_permissions(self.0.join(path), fs::Permissions::from_mode(mode)).unwrap();
        self
    }
    fn c(&self) -> CString {
        CString::new(self.0.clone().into_os_string().into_encoded_bytes()).unwrap()
    }
}
impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// One question about a path, and what came of it: the path, or the contents, or "errno N".
#[derive(Clone, Copy)]
enum Ask<'a> {
    Path(&'a CStr),
    Itself(&'a CStr),
    Read(&'a CStr),
    Open(&'a CStr, c_int, u32),
    Parent(&'a CStr),
}
use Ask::*;

/// The questions are asked by a program that `prepare`d itself, relative ones from `dirfd` there.
fn ask_all(flags: c_int, dirfd: c_int, prepare: impl FnOnce(), questions: &[Ask]) -> Vec<String> {
    let answers: &'static Mutex<Vec<String>> = Box::leak(Box::default());
    let mut target = Target::start(flags, &[ASK], prepare, || {
        for question in questions {
            let (kind, path, flags, mode) = match *question {
                Path(path) => (0, path, 0, 0),
                Itself(path) => (0, path, libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH, 0),
                Read(path) => (1, path, 0, 0),
                Open(path, flags, mode) => (1, path, flags, mode),
                Parent(path) => (2, path, 0, 0),
            };
            call(ASK, [kind, dirfd.into(), path.as_ptr() as i64, flags.into(), mode.into(), 0]);
        }
    });
    let sup = target.supervisor();
    sup.on("getppid", |n| {
        let [kind, dirfd, path, flags, mode, _] = n.args();
        let mut buffer = vec![0u8; 4096];
        let text = buffer.as_mut_ptr().cast();
        let got = match kind {
            0 => sandbox_notify_path(n.0, dirfd as c_int, path, flags, text, 4096),
            1 => sandbox_notify_open(n.0, dirfd as c_int, path, flags, mode),
            _ => sandbox_notify_parent(n.0, dirfd as c_int, path, text, 4096),
        };
        let text = CStr::from_bytes_until_nul(&buffer).unwrap().to_string_lossy().into_owned();
        let answer = match (kind, got) {
            (_, errno) if errno < 0 => format!("errno {}", -errno),
            (0, _) => text,
            (1, fd) => {
                let mut file = unsafe { File::from_raw_fd(fd) };
                let blocks = unsafe { libc::fcntl(fd, libc::F_GETFL) } & libc::O_NONBLOCK == 0;
                let mut text = Vec::new();
                let read = if flags as c_int & libc::O_ACCMODE == 0 && blocks { file.read_to_end(&mut text).map(|_| ()) } else { Ok(()) };
                read.map_or_else(|error| format!("read: {}", error.raw_os_error().unwrap()), |()| String::from_utf8_lossy(&text).into_owned())
            }
            (_, fd) => {
                drop(unsafe { OwnedFd::from_raw_fd(fd) });
                format!("in {text}")
            }
        };
        answers.lock().unwrap().push(answer);
        n.give(0)
    });
    assert_eq!(sup.run(), 0);
    assert_eq!(target.end(), 0);
    std::mem::take(&mut answers.lock().unwrap())
}

fn errno(number: c_int) -> String {
    format!("errno {number}")
}

fn check_all(flags: c_int, dirfd: c_int, prepare: impl FnOnce(), wanted: &[(Ask, &str)]) {
    let questions: Vec<Ask> = wanted.iter().map(|(question, _)| *question).collect();
    let answers = ask_all(flags, dirfd, prepare, &questions);
    for ((question, wanted), answer) in wanted.iter().zip(&answers) {
        let (Path(path) | Itself(path) | Read(path) | Open(path, ..) | Parent(path)) = question;
        let wanted = match *wanted {
            "ENOENT" => errno(libc::ENOENT),
            "ENOTDIR" => errno(libc::ENOTDIR),
            "ELOOP" => errno(libc::ELOOP),
            "EACCES" => errno(libc::EACCES),
            "EEXIST" => errno(libc::EEXIST),
            "EISDIR" => errno(libc::EISDIR),
            "EINVAL" => errno(libc::EINVAL),
            "EXDEV" => errno(libc::EXDEV),
            "ENXIO" => errno(libc::ENXIO),
            other => other.to_owned(),
        };
        assert_eq!(*answer, wanted, "{path:?}");
    }
    assert_eq!(answers.len(), wanted.len());
}

fn enter(root: &CStr) {
    unsafe {
        assert_eq!((libc::chroot(root.as_ptr()), libc::chdir(c"/dir".as_ptr())), (0, 0));
    }
}

fn needs_root(name: &str) -> bool {
    if !is_root() {
        skip(name, "chroot needs root");
    }
    !is_root()
}

#[test]
fn no_link_leads_out_of_the_callers_root() {
    if needs_root("no_link_leads_out_of_the_callers_root") {
        return;
    }
    let (outside, tree) = (Tree::new(), Tree::new());
    outside.file("secret", "outside");
    tree.dir("etc").dir("dir/sub").dir("tmp").file("etc/passwd", "inside").file("dir/sub/here", "here");
    // The host's own name of the secret: inside, it must lead nowhere.
    let secret = format!("{}/secret", outside.0.display());
    tree.link("absolute", "/etc/passwd").link("up", "../../../../../../etc/passwd").link("out", &secret).link("dir/rel", "../etc/passwd");
    tree.link("chain", "absolute").link("loop", "loop").link("loop2", "loop3").link("loop3", "/loop2").link("dangling", "dir/new");
    tree.link("todir", "dir/").link("rooted", "/").link("empty-dirs", "dir//./sub/.").link("slash", "etc/passwd/");
    let secret = c(secret.as_str());
    let above = c(format!("../../../../../../../../..{}", secret.to_str().unwrap()));
    let long = c(format!("/{}", "x".repeat(256)));
    let root = tree.c();
    check_all(0, libc::AT_FDCWD, || enter(&root), &[
        (Path(c"/etc/passwd"), "/etc/passwd"),
        (Path(c"absolute"), "/dir/absolute"), // where it would be
        (Read(c"absolute"), "ENOENT"),
        (Path(c"../absolute"), "/etc/passwd"),
        (Read(c"../absolute"), "inside"),
        (Read(c"/up"), "inside"),
        (Read(c"rel"), "inside"),
        (Read(c"/chain"), "inside"),
        (Path(c"/chain"), "/etc/passwd"),
        (Itself(c"/chain"), "/chain"),
        (Path(&secret), "ENOENT"),
        (Read(&secret), "ENOENT"),
        (Read(&above), "ENOENT"),
        (Read(c"/out"), "ENOENT"),
        (Open(c"/out", libc::O_WRONLY | libc::O_CREAT, 0o600), "ENOENT"),
        (Read(c"/loop"), "ELOOP"),
        (Read(c"/loop2"), "ELOOP"),
        (Path(c"/dangling"), "/dir/new"),
        (Path(c"/todir"), "/dir"),
        (Path(c"/todir/sub/../../todir/sub"), "/dir/sub"),
        (Path(c"/rooted/rooted/.."), "/"),
        (Path(c".."), "/"),
        (Path(c"../.."), "/"),
        (Path(c"."), "/dir"),
        (Path(c"./sub/./../sub/"), "/dir/sub"),
        (Path(c"/empty-dirs/here"), "/dir/sub/here"),
        (Path(c"/etc/passwd/"), "ENOTDIR"),
        (Path(c"/slash"), "ENOTDIR"),
        (Path(c"/etc/passwd/x"), "ENOTDIR"),
        (Path(c"/etc/passwd/.."), "ENOTDIR"),
        (Path(c"/none/x"), "ENOENT"),
        (Path(c""), "ENOENT"),
        (Itself(c""), "/dir"),
        (Path(&long), "errno 36"), // ENAMETOOLONG
        (Open(c"/absolute", libc::O_NOFOLLOW, 0), "ELOOP"),
        (Open(c"/etc", libc::O_RDWR, 0), "EISDIR"),
        (Open(c"/etc/passwd", libc::O_DIRECTORY, 0), "ENOTDIR"),
        (Open(c"/etc/passwd", libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY, 0), "EEXIST"),
        (Open(c"/dangling", libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY, 0), "EEXIST"),
        (Open(c"/tmp/new/", libc::O_CREAT | libc::O_WRONLY, 0), "EISDIR"),
        (Open(c"/dangling", libc::O_CREAT | libc::O_WRONLY, 0o640), ""),
        (Open(c"/dir/new", libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC, 0o777), ""),
        (Parent(c"/dir/made/"), "in made"),
        (Parent(c"sub"), "in sub"),
        (Parent(c"/chain"), "in chain"),
        (Parent(c"/"), "EINVAL"),
        (Parent(c"/dir/."), "EINVAL"),
        (Parent(c"sub/../"), "EINVAL"),
    ]);
    assert_eq!(fs::metadata(tree.0.join("dir/new")).unwrap().mode() & 0o7777, 0o640 & !umask());
    assert_eq!(fs::read_to_string(outside.0.join("secret")).unwrap(), "outside");
}

fn umask() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let text = status.lines().find_map(|line| line.strip_prefix("Umask:")).unwrap();
    u32::from_str_radix(text.trim(), 8).unwrap()
}

#[test]
fn paths_begin_at_the_callers_own_fds_and_directory() {
    let tree = Tree::new();
    tree.dir("a/b").file("a/file", "text").dir("gone");
    let (at, root) = (tree.c(), tree.0.display().to_string());
    let open_directory = |path: &CStr| unsafe { assert_eq!(libc::open(path.as_ptr(), libc::O_PATH), 3) };
    let (a, file) = (c(format!("{root}/a")), c(format!("{root}/a/file")));
    let inside = format!("{root}/a/b");
    check_all(0, 3, || open_directory(&a), &[
        (Path(c"b"), &inside), (Read(c"b/../file"), "text"), (Path(c"../a/b"), &inside), (Itself(c""), &format!("{root}/a")),
        (Path(c"/"), "/"),
    ]);
    check_all(0, 3, || open_directory(&file), &[(Path(c"b"), "ENOTDIR"), (Itself(c""), &format!("{root}/a/file"))]);
    check_all(0, 99, || (), &[(Path(c"b"), "errno 9"), (Path(c"/"), "/")]); // EBADF
    check_all(0, -5, || (), &[(Path(c"b"), "errno 9")]);
    // A directory that was removed has no name, and no way up; what it holds is nothing.
    let gone = c(format!("{root}/gone"));
    let leave = || unsafe { assert_eq!((libc::chdir(gone.as_ptr()), libc::rmdir(gone.as_ptr())), (0, 0)) };
    check_all(0, libc::AT_FDCWD, leave, &[(Path(c".."), "EXDEV"), (Read(c"x"), "ENOENT"), (Path(c"."), "EXDEV")]);
    if is_root() {
        // The root is moved into, the directory stays outside.
        let stay = || unsafe { assert_eq!((libc::chdir(at.as_ptr()), libc::chroot(a.as_ptr())), (0, 0)) };
        check_all(0, libc::AT_FDCWD, stay, &[(Read(c"a/file"), "text"), (Read(c"../x"), "EXDEV"), (Path(c"a"), "EXDEV"), (Read(c"/file"), "text")]);
    }
}

/// What another thread does to the tree meanwhile must not lead outside either.
#[test]
fn a_tree_that_changes_while_it_is_walked_leads_nowhere_else() {
    if needs_root("a_tree_that_changes_while_it_is_walked_leads_nowhere_else") {
        return;
    }
    let (outside, tree) = (Tree::new(), Tree::new());
    outside.file("secret", "outside").dir("x/y");
    tree.dir("dir/x/y").dir("other").file("secret", "inside").file("dir/secret", "inside").file("other/secret", "inside");
    tree.link("dir/link", &outside.0.display().to_string());
    let stop = AtomicBool::new(false);
    let root = tree.c();
    thread::scope(|scope| {
        scope.spawn(|| {
            let (here, there) = (tree.0.join("dir/x"), tree.0.join("other/x"));
            while !stop.load(SeqCst) {
                let _ = fs::rename(&here, &there);
                let _ = symlink(&outside.0, &here);
                let _ = fs::remove_file(&here);
                let _ = fs::rename(&there, &here);
            }
        });
        let questions = vec![Read(c"/dir/x/y/../../secret"); 3000];
        let answers = ask_all(0, libc::AT_FDCWD, || enter(&root), &questions);
        stop.store(true, SeqCst);
        let seen: HashSet<&str> = answers.iter().map(String::as_str).collect();
        let allowed = [errno(libc::ENOENT), errno(libc::ENOTDIR), "inside".to_owned(), errno(libc::EAGAIN)];
        assert!(seen.iter().all(|answer| allowed.iter().any(|allowed| allowed == answer)), "{seen:?}");
        assert!(seen.contains("inside"), "{seen:?}");
    });
}

#[test]
fn of_proc_the_caller_gets_itself_and_never_its_supervisor() {
    if needs_root("of_proc_the_caller_gets_itself_and_never_its_supervisor") {
        return;
    }
    let tree = Tree::new();
    tree.dir("dir").dir("proc").dir("piece").link("dir/me", "/proc/self/status").file("dir/f", "");
    let root = tree.c();
    let (proc, piece) = (c(format!("{}/proc", tree.0.display())), c(format!("{}/piece", tree.0.display())));
    let own = std::process::id();
    let (environ, task, own_dir) = (c(format!("/proc/{own}/environ")), c(format!("/proc/{own}/task/{own}/status")), c(format!("/proc/{own}")));
    for flags in [libc::CLONE_NEWNS, libc::CLONE_NEWNS | libc::CLONE_NEWPID] {
        let has_pids = flags & libc::CLONE_NEWPID != 0;
        let other = if has_pids { "ENOENT" } else { "EACCES" };
        let prepare = |is_inside: bool| {
            let (root, proc, piece, own_dir) = (root.clone(), proc.clone(), piece.clone(), own_dir.clone());
            move || unsafe {
                assert_eq!(libc::mount(ptr::null(), c"/".as_ptr(), ptr::null(), libc::MS_REC | libc::MS_PRIVATE, ptr::null()), 0);
                assert_eq!(libc::mount(c"proc".as_ptr(), proc.as_ptr(), c"proc".as_ptr(), 0, ptr::null()), 0);
                // Still the host's /proc.
                assert_eq!(libc::mount(own_dir.as_ptr(), piece.as_ptr(), ptr::null(), libc::MS_BIND, ptr::null()), 0);
                enter(&root);
                if is_inside {
                    assert_eq!(libc::chdir(c"/piece".as_ptr()), 0);
                }
            }
        };
        let questions = [
            Read(c"/proc/self/status"), Read(c"/dir/me"), Read(c"/proc/thread-self/status"), Path(c"/proc/self"), Path(c"/proc/mounts"),
        ];
        let answers = ask_all(flags, libc::AT_FDCWD, prepare(false), &questions);
        let pid = |status: &str| status.lines().find_map(|line| line.strip_prefix("Pid:\t")).map(str::to_owned);
        let me = answers[3].strip_prefix("/proc/").unwrap_or_else(|| panic!("{answers:?}")).to_owned();
        assert_ne!(me, own.to_string());
        assert_eq!(me == "1", has_pids);
        assert!(answers[..3].iter().all(|status| pid(status).as_deref() == Some(&me)), "{answers:?}");
        assert_eq!(answers[4], format!("/proc/{me}/mounts"));
        check_all(flags, libc::AT_FDCWD, prepare(false), &[
            (Read(&environ), other),
            (Read(&task), other),
            (Read(c"/proc/self/fd/0"), "ELOOP"),
            (Read(c"/proc/self/root/etc/passwd"), "ELOOP"),
            (Read(c"/proc/self/cwd/f"), "ELOOP"),
            (Read(c"/proc/self/exe"), "ELOOP"),
            (Read(c"/piece/environ"), "EACCES"),
            (Path(c"/piece"), "EACCES"),
            (Open(c"/proc/self/oom_score_adj", libc::O_WRONLY, 0), "EACCES"),
            (Open(c"/proc/self/oom_score_adj", libc::O_TRUNC, 0), "EACCES"),
            (Open(c"/proc/sys/kernel/hostname", libc::O_RDWR, 0), "EACCES"),
            (Parent(c"/proc/self/x"), "EACCES"),
        ]);
        check_all(flags, libc::AT_FDCWD, prepare(true), &[(Read(c"environ"), "EACCES"), (Read(c"../dir/f"), "EACCES"), (Read(c"/dir/f"), "")]);
    }
}

fn become_nobody() {
    unsafe {
        assert_eq!(libc::syscall(libc::SYS_setgroups, 0, 0), 0);
        assert_eq!(libc::syscall(libc::SYS_setresgid, 65534, 65534, 65534), 0);
        assert_eq!(libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534), 0);
        libc::umask(0o027);
    }
}

#[test]
fn a_supervisor_with_more_rights_does_not_lend_them() {
    if needs_root("a_supervisor_with_more_rights_does_not_lend_them") {
        return;
    }
    let tree = Tree::new();
    tree.file("shadow", "secret").mode("shadow", 0o600).file("public", "public").mode("public", 0o644).file("group", "group").mode("group", 0o640);
    tree.dir("closed").file("closed/public", "public").mode("closed", 0o700).dir("open").mode("open", 0o777).link("open/link", "../shadow");
    tree.dir("sticky").mode("sticky", 0o1777).dir("listed").mode("listed", 0o744).file("listed/f", "x").file("locked", "mine").mode("locked", 0o077);
    std::os::unix::fs::chown(tree.0.join("group"), None, Some(65534)).unwrap();
    std::os::unix::fs::chown(tree.0.join("locked"), Some(65534), None).unwrap();
    let at = |path: &str| c(format!("{}/{path}", tree.0.display()));
    let [shadow, public, group, closed, link, new, closed_new, listed, locked] =
        ["shadow", "public", "group", "closed/public", "open/link", "open/new", "closed/new", "listed/f", "locked"].map(at);
    let made = format!("{}/open/new", tree.0.display());
    let write = libc::O_WRONLY | libc::O_CREAT;
    check_all(0, libc::AT_FDCWD, become_nobody, &[
        (Read(&shadow), "EACCES"),
        (Read(&link), "EACCES"),
        (Read(&public), "public"),
        (Open(&public, libc::O_WRONLY, 0), "EACCES"),
        (Open(&public, libc::O_TRUNC, 0), "EACCES"),
        (Read(&group), "group"),
        (Read(&closed), "EACCES"),
        (Path(&closed), "EACCES"),
        (Read(&listed), "EACCES"),
        (Read(&locked), "EACCES"), // the owner's bits count, not the others'
        (Open(&shadow, libc::O_PATH, 0), "read: 9"), // EBADF: only a place
        (Open(&closed_new, write, 0o666), "EACCES"),
        (Parent(&closed_new), "EACCES"),
        (Open(&new, write, 0o4666), ""),
        (Path(&new), &made),
        (Read(c"/proc/kallsyms"), "EACCES"),
    ]);
    let new = fs::metadata(made).unwrap();
    assert_eq!((new.uid(), new.gid(), new.mode() & 0o7777), (65534, 65534, 0o4640));
    assert_eq!(fs::read_to_string(tree.0.join("public")).unwrap(), "public");
}

#[test]
fn opening_a_fifo_holds_no_supervisor_up() {
    let tree = Tree::new();
    tree.fifo("fifo").file("file", "");
    let [fifo, file] = ["fifo", "file"].map(|path| c(format!("{}/{path}", tree.0.display())));
    check_all(0, libc::AT_FDCWD, || (), &[
        (Read(&fifo), ""),
        (Open(&fifo, libc::O_WRONLY, 0), "ENXIO"),
        (Open(&file, libc::O_WRONLY | libc::O_NONBLOCK, 0), ""),
    ]);
}
