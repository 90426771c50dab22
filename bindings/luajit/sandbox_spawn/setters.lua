-- What a command may be asked for: a method each, which are also the keys of a command's table. Each returns the command.

local ffi = require "ffi"
local lib, callbacks, values = require("sandbox_spawn.library").lib, require "sandbox_spawn.callbacks", require "sandbox_spawn.values"
local bits, constant, fd_of, sorted, strings, text, u64 = values.bits, values.constant, values.fd_of, values.sorted, values.strings, values.text, values.u64

---@class sandbox.Command
local Command = {}
Command.__index = Command
local RLIMITS = { cpu = 0, fsize = 1, data = 2, stack = 3, core = 4, rss = 5, nproc = 6, nofile = 7, memlock = 8, as = 9, locks = 10,
  sigpending = 11, msgqueue = 12, nice = 13, rtprio = 14, rttime = 15 }
local MODES = { inherit = 0, null = 1, pipe = 2, pty = 4 }

local function setter(name, fn)
  Command[name] = function(self, ...)
    fn(self._cmd, ...)
    return self
  end
end
setter("arg", function(cmd, arg) lib.sandbox_cmd_arg(cmd, text(arg)) end)
setter("args", function(cmd, list)
  local array, kept = strings(list)
  lib.sandbox_cmd_args(cmd, array)
  return kept
end)
setter("arg0", function(cmd, name) lib.sandbox_cmd_arg0(cmd, text(name)) end)
---{NAME = "value", OTHER = false}: false unsets.
setter("env", function(cmd, env)
  for name, value in sorted(env) do lib.sandbox_cmd_env(cmd, text(name), value ~= false and text(value) or nil) end
end)
setter("clear_env", function(cmd) lib.sandbox_cmd_env_clear(cmd) end)
setter("cwd", function(cmd, path) lib.sandbox_cmd_cwd(cmd, text(path)) end)
---A list of directories: the first that it can enter; PWD says which.
setter("cwd_first", function(cmd, paths)
  local array, kept = strings(paths)
  lib.sandbox_cmd_cwd_first(cmd, array)
  return kept
end)
setter("exec_fd", function(cmd, file) lib.sandbox_cmd_exec_fd(cmd, fd_of(file)) end)
for target, name in pairs { [0] = "stdin", "stdout", "stderr" } do
  ---"inherit", "null", "pipe", "pty", an fd, or what has a fileno method.
  setter(name, function(cmd, where)
    if type(where) == "string" then
      lib.sandbox_cmd_stdio(cmd, target, MODES[where] or error("sandbox: no stream " .. where, 0), -1)
    else
      lib.sandbox_cmd_stdio(cmd, target, 3, fd_of(where))
    end
  end)
end
---{[number in the child] = file}
setter("pass_fds", function(cmd, fds) for target, file in sorted(fds) do lib.sandbox_cmd_pass_fd(cmd, fd_of(file), target) end end)
---{nofile = {20, 40}, core = 0}; -1 is none.
setter("rlimits", function(cmd, limits)
  for name, limit in sorted(limits) do
    local pair = type(limit) == "table" and limit or { limit, limit }
    lib.sandbox_cmd_rlimit(cmd, RLIMITS[name] or error("sandbox: no rlimit " .. tostring(name), 0), u64(pair[1]), u64(pair[2]))
  end
end)
---Scalar options by their names in lower case: {nice = 5, init = true}.
setter("set", function(cmd, options) for name, value in sorted(options) do lib.sandbox_cmd_set(cmd, constant("OPT_", name), u64(value)) end end)
---A list of numbers.
setter("cpus", function(cmd, cpus)
  local words = 1
  for _, cpu in ipairs(cpus) do words = math.max(words, math.floor(cpu / 64) + 1) end
  local mask = ffi.new("uint64_t[?]", words)
  for _, cpu in ipairs(cpus) do
    local word = math.floor(cpu / 64)
    mask[word] = bit.bor(mask[word], bit.lshift(1ULL, cpu % 64))
  end
  lib.sandbox_cmd_cpus(cmd, mask, words)
end)
---{"user", "net"}
setter("unshare", function(cmd, namespaces) lib.sandbox_cmd_unshare(cmd, bits("NS_", namespaces)) end)
setter("join", function(cmd, file) lib.sandbox_cmd_join(cmd, fd_of(file)) end)
setter("map_uid", function(cmd, inside, outside, count) lib.sandbox_cmd_map_uid(cmd, inside, outside, count or 1) end)
setter("map_gid", function(cmd, inside, outside, count) lib.sandbox_cmd_map_gid(cmd, inside, outside, count or 1) end)
setter("user", function(cmd, uid, gid) lib.sandbox_cmd_user(cmd, uid, gid) end)
setter("groups", function(cmd, gids) lib.sandbox_cmd_groups(cmd, ffi.new("uint32_t[?]", math.max(#gids, 1), gids), #gids) end)
setter("hostname", function(cmd, name) lib.sandbox_cmd_hostname(cmd, text(name)) end)
setter("domainname", function(cmd, name) lib.sandbox_cmd_domainname(cmd, text(name)) end)
setter("time_offset", function(cmd, clock, seconds, nanoseconds) lib.sandbox_cmd_time_offset(cmd, clock, seconds, nanoseconds or 0) end)
setter("caps", function(cmd, keep, ambient) lib.sandbox_cmd_caps(cmd, u64(keep), u64(ambient or 0)) end)
---"compute", "build", "network"
setter("preset", function(cmd, name) lib.sandbox_cmd_preset(cmd, bits("PRESET_", name)) end)
setter("root", function(cmd, directory, flags) lib.sandbox_cmd_root(cmd, text(directory), bits("MOUNT_", flags)) end)
setter("bind", function(cmd, source, target, flags) lib.sandbox_cmd_bind(cmd, text(source), text(target or source), bits("MOUNT_", flags)) end)
setter("bind_fd", function(cmd, file, target, flags) lib.sandbox_cmd_bind_fd(cmd, fd_of(file), text(target), bits("MOUNT_", flags)) end)
setter("tmpfs", function(cmd, target, bytes, mode) lib.sandbox_cmd_tmpfs(cmd, text(target), bytes or 0, mode or 493) end)
setter("proc", function(cmd, target, flags) lib.sandbox_cmd_proc(cmd, text(target or "/proc"), bits("PROC_", flags)) end)
setter("mqueue", function(cmd, target) lib.sandbox_cmd_mqueue(cmd, text(target or "/dev/mqueue")) end)
setter("dev", function(cmd, target) lib.sandbox_cmd_dev(cmd, text(target or "/dev")) end)
setter("devpts", function(cmd, target) lib.sandbox_cmd_devpts(cmd, text(target or "/dev/pts")) end)
---Two directories or more, the topmost first, that nobody can write to.
setter("overlay_ro", function(cmd, lowers, target)
  local array, kept = strings(lowers)
  lib.sandbox_cmd_overlay_ro(cmd, array, text(target))
  return kept
end)
setter("overlay", function(cmd, lowers, target, upper, work)
  local array, kept = strings(lowers)
  lib.sandbox_cmd_overlay(cmd, array, text(upper), text(work), text(target))
  return kept
end)
setter("file", function(cmd, target, data, mode) lib.sandbox_cmd_file(cmd, text(target), data, #data, mode or 420) end)
---A file put there as flags say: "mount" (over what is there), "rw", "in_place" (into what is there).
setter("data", function(cmd, target, data, mode, flags) lib.sandbox_cmd_data(cmd, text(target), data, #data, mode or 420, bits("DATA_", flags)) end)
setter("dir", function(cmd, target, mode) lib.sandbox_cmd_dir(cmd, text(target), mode or 493) end)
setter("symlink", function(cmd, says, target) lib.sandbox_cmd_symlink(cmd, text(says), text(target)) end)
setter("mask", function(cmd, target) lib.sandbox_cmd_mask(cmd, text(target)) end)
---The mode of what is there by then.
setter("chmod", function(cmd, target, mode) lib.sandbox_cmd_chmod(cmd, text(target), mode) end)
---What is mounted there is read-only from there on; flags: "dev", "suid", "exec_off".
setter("remount", function(cmd, target, flags) lib.sandbox_cmd_remount(cmd, text(target), bits("MOUNT_", flags)) end)
---Its init holds this open, or a shared lock of this file, as long as it lives.
setter("init_fd", function(cmd, file) lib.sandbox_cmd_init_fd(cmd, fd_of(file)) end)
setter("init_lock", function(cmd, path) lib.sandbox_cmd_init_lock(cmd, text(path)) end)
setter("landlock_path", function(cmd, path, access) lib.sandbox_cmd_landlock_path(cmd, text(path), bits("LANDLOCK_", access)) end)
setter("landlock_port", function(cmd, port, access) lib.sandbox_cmd_landlock_port(cmd, port, bits("LANDLOCK_", access)) end)
setter("landlock_scope", function(cmd, scopes) lib.sandbox_cmd_landlock_scope(cmd, bits("LANDLOCK_", scopes)) end)
setter("cgroup", function(cmd, parent) lib.sandbox_cmd_cgroup(cmd, text(parent)) end)
---A list of pairs, in order: {{"pids.max", 10}}.
setter("cgroup_set", function(cmd, settings) for _, pair in ipairs(settings) do lib.sandbox_cmd_cgroup_set(cmd, text(pair[1]), text(pair[2])) end end)
setter("filter", function(cmd, filter) lib.sandbox_cmd_filter(cmd, filter._filter) end)
setter("ptrace", function(cmd, options) lib.sandbox_cmd_ptrace(cmd, options or 0) end)
local function hook(self, fn)
  local userdata, id = callbacks.register(fn)
  self._keep = { id = id, before = self._keep, guard = ffi.gc(ffi.new("char[1]"), function() callbacks.forget(id) end) }
  return userdata
end
---function(pid, pidfd), called while the child is held. What it raises ends the child, and comes out of the spawn.
function Command:on_ready(fn)
  local userdata = hook(self, fn)
  lib.sandbox_cmd_on_ready(self._cmd, callbacks.ready(), userdata)
  return self
end
---The same, which writes the uid_map and gid_map of its user namespace, in the library's place.
function Command:on_maps(fn)
  local userdata = hook(self, fn)
  lib.sandbox_cmd_on_maps(self._cmd, callbacks.ready(), userdata)
  return self
end

return Command
