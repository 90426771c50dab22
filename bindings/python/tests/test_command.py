"""Command: what is asked for, what goes wrong, and that the whole C interface is within reach."""
import os
import pickle
import re
import resource
from pathlib import Path

import pytest

import sandbox_spawn as sandbox
from sandbox_spawn import NULL, PIPE, Child, Command, Namespace, SandboxError, run


def test_errors_name_the_step():
    with pytest.raises(SandboxError, match="/no/such/program") as caught:
        run(["/no/such/program"])
    error = caught.value
    assert isinstance(error, OSError) and (error.errno, error.stage, error.index) == (2, "exec", 0)
    assert str(error).startswith("exec[0]: ")
    with pytest.raises(SandboxError) as caught:
        Child(["true"], cwd="/no/such/directory")
    assert (caught.value.stage, caught.value.errno) == ("cwd", 2)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.errno) == (str(caught.value), 2)


def test_a_setter_that_fails_raises_and_the_command_is_spoiled():
    command = Command("true")
    with pytest.raises(SandboxError, match="NICE takes -20 to 19"):
        command.set(nice=99)
    with pytest.raises(SandboxError, match="NICE"):
        command.run()
    with pytest.raises(SandboxError, match="fd 7 is asked for twice"):
        Command("true", pass_fds={7: 0}).pass_fds({7: 1})
    with pytest.raises(SandboxError, match="name"):
        Command("true", env={"A=B": "C"})


def test_wrong_words_are_refused():
    with pytest.raises(TypeError, match="no option 'colour'"):
        Command("true", colour=1)
    with pytest.raises(TypeError):
        Command("true", spawn=1)
    with pytest.raises(TypeError):
        Command("true", _call=1)
    with pytest.raises(ValueError, match="null byte"):
        Command("true", "a\0b")
    with pytest.raises(ValueError, match="a stream is"):
        Command("true", stdin="terminal")
    with pytest.raises(ValueError, match="no program"):
        run([])


def test_options_by_name_and_negative_numbers():
    lower = min(os.nice(0) + 3, 19)
    assert run(["nice"], nice=lower, text=True).stdout == f"{lower}\n"
    assert Command("true").set(oom_score_adj=500, umask=0o22).run().returncode == 0


def test_chaining_and_clone():
    command = Command("echo").arg("a").args("b", "c").env({"LC_ALL": "C"})
    copy = command.clone().arg("d")
    del command
    assert copy.run().stdout == b"a b c d\n"


def test_explain_lists_the_steps():
    text = Command("/bin/true", unshare=Namespace.USER | Namespace.PID).explain()
    assert "clone3" in text and "exec[0]" in text and "pid" in text


def test_bytes_and_paths_are_arguments():
    assert run(["printf", "%s", b"\xff\xfe"]).stdout == b"\xff\xfe"
    assert run([Path("/bin/echo"), Path("/tmp")]).stdout == b"/tmp\n"
    assert run(["/bin/sh", "-c", "echo $0"], arg0="other").returncode == 0


def test_limits_are_pairs_or_numbers():
    result = run(["sh", "-c", "ulimit -Sn; ulimit -Hn"], rlimits={resource.RLIMIT_NOFILE: (20, 40)})
    assert result.stdout == b"20\n40\n"


def test_cpus():
    cpu = min(os.sched_getaffinity(0))
    assert run(["nproc"], cpus={cpu}).stdout == b"1\n"


def test_on_ready_sees_the_child_and_may_refuse_it():
    seen = []
    with Command("true", on_ready=lambda pid, pidfd: seen.append((pid, os.readlink(f"/proc/self/fd/{pidfd}")))).spawn() as child:
        assert child.wait().exit_code == 0
        assert seen[0][0] == child.pid and "pidfd" in seen[0][1]

    def refuse(pid, pidfd):
        raise KeyError("not this one")

    with pytest.raises(KeyError, match="not this one"):
        Command("true").on_ready(refuse).spawn()
    with pytest.raises(KeyError, match="not this one"):
        Command("true").on_ready(refuse).run()
    # The exception is gone with its spawn: the next failure is its own.
    with pytest.raises(SandboxError):
        Command("/no/such/program").run()


def test_namespaces():
    try:
        result = run(["sh", "-c", "id -u; echo $$"], unshare=Namespace.USER | Namespace.PID, map_uid=[(0, os.getuid(), 1)], init=1)
    except SandboxError as error:
        if error.stage in ("clone", "userns"):
            pytest.skip(f"no user namespaces here: {error}")
        raise
    assert result.stdout == b"0\n2\n"


def test_probe_tells_what_there_is():
    features = sandbox.probe()
    assert features.spawn == 1 and features["clone3"] in (0, 1)
    with pytest.raises(AttributeError):
        features.colour


def test_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+", sandbox.__version__)


def test_every_function_of_the_library_is_used():
    package = Path(sandbox.__file__).parent
    code = "\n".join(path.read_text() for path in package.glob("*.py"))
    declared = set(re.findall(r"\b(sandbox_\w+)\(", (package / "_cdef.h").read_text()))
    used = set(re.findall(r"lib\.(sandbox_\w+)", code)) | {"sandbox_cmd_" + name for name in re.findall(r'_call\("(\w+)"', code)}
    # Code between fork and exec is not for an interpreter; Supervisor.run waits in slices, for Python's signal handlers.
    # Handlers answer before they return, and runs have a thread of their own: no need of what event loops are given.
    loops = {"sandbox_notify_keep", "sandbox_notify_free", "sandbox_run_start", "sandbox_run_step", "sandbox_running_free"}
    assert declared - used - loops - {"sandbox_cmd_pre_exec", "sandbox_supervisor_run"} == set()


def test_streams_of_the_command():
    assert run(["echo", "a"], stdout=NULL).stdout == b""
    with Child(["cat"], stdin=NULL, stdout=PIPE) as child:
        assert child.stdout.read() == b""


def in_a_new_root(**more):
    """The system's programs, read-only, in a root of its own; without a user namespace skips."""
    binds = [(path,) for path in ("/usr", "/bin", "/lib", "/lib64") if os.path.exists(path)] + more.pop("more_binds", [])
    try:
        return run(["sh", "-c", more.pop("line")], unshare=Namespace.USER | Namespace.MOUNT | Namespace.PID, init=1, bind=binds, text=True, **more)
    except SandboxError as error:
        if error.stage in ("clone", "userns"):
            pytest.skip(f"no user namespaces here: {error}")
        raise


def test_a_root_of_its_own():
    result = in_a_new_root(line="ls /; cat /data/file; readlink /link; touch /usr/x", tmpfs=["/tmp"], dir=["/empty"], file=[("/data/file", "content\n")],
                           symlink=[("/data/file", "/link")], env={"LC_ALL": "C"})
    assert {"data", "empty", "link", "tmp", "usr"} <= set(result.stdout.split()) and "home" not in result.stdout
    assert "content\n/data/file\n" in result.stdout
    assert "Read-only file system" in result.stderr


def test_a_writable_bind(tmp_path):
    tmp_path.chmod(0o777)
    result = in_a_new_root(line="echo from inside > /out/file", bind_fd=[], overlay=[], mask=[], tmpfs=["/tmp"], dir=[])
    assert result.returncode != 0
    binds = [(path,) for path in ("/usr", "/bin", "/lib", "/lib64") if os.path.exists(path)] + [(tmp_path, "/out", sandbox.Mount.RW)]
    result = run(["sh", "-c", "echo from inside > /out/file"], unshare=Namespace.USER | Namespace.MOUNT, bind=binds)
    assert result.returncode == 0 and (tmp_path / "file").read_text() == "from inside\n"


def test_files_over_what_is_there(tmp_path):
    tmp_path.chmod(0o777)
    (tmp_path / "there").write_text("host\n")
    with open("/dev/null") as held:
        result = in_a_new_root(line="pwd; cat /data/a/there; stat -c %a /mine; echo x > /data/a/new; ls /both | sort; touch /t/x; ls /dev/pts", tmpfs=["/t"], proc="/proc",
                               more_binds=[(tmp_path, "/data/a", sandbox.Mount.RW)], data=[("/data/a/there", "mounted\n", 0o644, sandbox.Data.MOUNT), ("/mine", b"own")],
                               chmod=[("/mine", 0o600)], dir=[("/data/a/dir", 0o755)], remount=["/t"], devpts="/dev/pts", cwd_first=["/no/such", "/usr"],
                               init_lock=["/mine"], init_fd=[held], env={"LC_ALL": "C"})
    assert result.stdout.startswith("/usr\nmounted\n600\n") and "ptmx" in result.stdout
    assert "/t/x" in result.stderr and "Read-only" in result.stderr
    assert (tmp_path / "there").read_text() == "host\n" and (tmp_path / "new").read_text() == "x\n"


def test_a_read_only_overlay_is_asked_for():
    assert "overlay" in Command("true", unshare=Namespace.USER | Namespace.MOUNT, overlay_ro=[(["/usr", "/bin"], "/both")]).explain()
    with pytest.raises(SandboxError):
        Command("true").overlay_ro(["/usr"], "/both").spawn()


def test_maps_by_the_caller():
    def maps(pid, pidfd):
        Path(f"/proc/{pid}/setgroups").write_text("deny")
        Path(f"/proc/{pid}/uid_map").write_text(f"7 {os.getuid()} 1")
        Path(f"/proc/{pid}/gid_map").write_text(f"8 {os.getgid()} 1")

    try:
        result = run(["sh", "-c", "id -u; id -g"], unshare=Namespace.USER, on_maps=maps)
    except (SandboxError, OSError) as error:
        pytest.skip(f"no user namespaces here: {error}")
    assert result.stdout == b"7\n8\n"


def test_landlock():
    if sandbox.probe().landlock_abi == 0:
        pytest.skip("this kernel has no Landlock")
    rights = [(path, sandbox.Access.READ_EXECUTE) for path in ("/usr", "/bin", "/lib", "/lib64") if os.path.exists(path)]
    result = run(["cat", "/etc/passwd"], landlock_path=rights, env={"LC_ALL": "C"}, text=True)
    assert result.returncode == 1 and "Permission denied" in result.stderr


def test_kill_all_where_something_holds_it():
    with Child(["sleep", "1000"], init=1) as child:
        child.kill_all()
        assert child.wait(20).signal == 9
    with Child(["sleep", "1000"]) as child:
        with pytest.raises(OSError):
            child.kill_all()
        with pytest.raises(OSError):
            child.freeze()


def test_the_enumerations_are_the_librarys():
    from sandbox_spawn._library import constants

    for kind, prefix in ((sandbox.Preset, "SANDBOX_PRESET_"), (sandbox.Mount, "SANDBOX_MOUNT_"), (sandbox.Proc, "SANDBOX_PROC_"), (sandbox.Data, "SANDBOX_DATA_"), (Namespace, "SANDBOX_NS_"),
                         (sandbox.Cause, "SANDBOX_CAUSE_"), (sandbox.Limit, "SANDBOX_LIMIT_")):
        assert {name: int(member) for name, member in kind.__members__.items()} == constants(prefix)
    rest = dict(constants("SANDBOX_LANDLOCK_"))
    for kind in (sandbox.Access, sandbox.PortAccess, sandbox.Scope):
        for name, member in kind.__members__.items():
            assert rest.pop(name) == member
    assert all(name.startswith("LOG_") for name in rest)


def test_a_preset_is_a_container():
    try:
        result = run(["sh", "-c", "id -u; ls /home /etc/passwd; grep -c : /proc/net/dev"], preset=sandbox.Preset.COMPUTE, text=True)
    except SandboxError as error:
        pytest.skip(f"this machine allows less: {error}")
    assert "No such file" in result.stderr and result.stdout.endswith("\n1\n")
