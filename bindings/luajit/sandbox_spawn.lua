-- sandbox-spawn for LuaJIT: start processes already confined, through libsandbox_spawn.
--
--   local sandbox = require "sandbox_spawn"
--   print(sandbox.run{"sh", "-c", "echo hello", timeout = 5}.stdout)
--
-- What fails at run time gives nil and an error: a table with errno, stage, index, message. Misuse (an option that does
-- not exist) raises. Setters of commands and filters return the object: what the library refuses is kept by it, and comes
-- out of whatever uses the command.

local ffi = require "ffi"
ffi.cdef(require "sandbox_spawn_cdef")
ffi.cdef [[
long read(int fd, void *buffer, size_t size);
long write(int fd, const void *data, size_t size);
int close(int fd);
int getpid(void);
char *strerror(int errnum);
typedef struct { unsigned long bits[16]; } sandbox_lua_sigset;
int sigemptyset(sandbox_lua_sigset *set);
int sigaddset(sandbox_lua_sigset *set, int signal);
int sigpending(sandbox_lua_sigset *set);
int sigismember(const sandbox_lua_sigset *set, int signal);
int pthread_sigmask(int how, const sandbox_lua_sigset *set, sandbox_lua_sigset *old);
int sigwait(const sandbox_lua_sigset *set, int *signal);
]]
local C = ffi.C
local lib = ffi.load(os.getenv("SANDBOX_SPAWN_LIBRARY") or "libsandbox_spawn.so.0")

local EPERM, ESRCH, EINTR, EIO, EINVAL, EPIPE, SIGPIPE, ETIMEDOUT, ECANCELED = 1, 3, 4, 5, 22, 32, 13, 110, 125

---@class sandbox
local sandbox = { version = ffi.string(lib.sandbox_version()), lib = lib,
  ALLOW = 0x7fff0000, LOG = 0x7ffc0000, NOTIFY = 0x7fc00000, TRAP = 0x00030000, KILL_THREAD = 0, KILL_PROCESS = 0x80000000 }

---The call returns -1 with this errno.
function sandbox.ERRNO(number) return 0x00050000 + number end
---A tracer decides, and is given this number.
function sandbox.TRACE(number) return 0x7ff00000 + number end

-- --- errors ---

---@class sandbox.Error
---@field errno integer
---@field stage string   which step: "exec", "mount", ...
---@field index integer  which item of that step, from 0
---@field message string
local Error = {}
Error.__index = Error
Error.__tostring = function(e) return ("%s[%d]: %s"):format(e.stage, e.index, e.message) end

local function failure(code, e, doing)
  if e and e.code ~= 0 then
    return nil, setmetatable({ errno = -e.code, stage = ffi.string(lib.sandbox_stage_name(e.stage)), index = tonumber(e.index), message = ffi.string(e.message) }, Error)
  end
  return nil, setmetatable({ errno = -code, stage = "none", index = 0, message = (doing or "call") .. ": " .. ffi.string(C.strerror(-code)) }, Error)
end

---The result of a call without a sandbox_error: itself, or nil and an error.
local function checked(code, doing)
  if code < 0 then return failure(code, nil, doing) end
  return tonumber(code)
end

---Has C's function free the handle when it is collected, or when it is called: only in the process that made it. What runs
---is the parent's, and a forked copy of this process is not to end it.
local function owned(handle, free)
  local owner = C.getpid()
  return ffi.gc(handle, function(it) if C.getpid() == owner then free(it) end end)
end

-- --- numbers and names ---

---A constant of the header by its name in lower case.
local function constant(prefix, name)
  local found, value = pcall(function() return C["SANDBOX_" .. prefix .. name:upper()] end)
  if not found then error(("sandbox: no %s%q"):format(prefix:lower():gsub("_", " "), name), 0) end
  return tonumber(value)
end

---A number, a name, or a list of names: the sum of their bits.
local function bits(prefix, value)
  if value == nil then return 0 end
  if type(value) ~= "table" then return type(value) == "string" and constant(prefix, value) or value end
  local sum = 0ULL
  local bor = bit.bor
  for _, name in ipairs(value) do sum = bor(sum, ffi.cast("uint64_t", type(name) == "string" and constant(prefix, name) or name)) end
  return sum
end

---Any integer as 64 bits: -1 is all of them.
local function u64(value)
  if type(value) == "boolean" then value = value and 1 or 0 end
  return ffi.cast("uint64_t", type(value) == "number" and ffi.cast("int64_t", value) or value)
end

---A number where that is exact.
local function plain(value)
  return value < 2 ^ 53 and tonumber(value) or value
end

local function text(value)
  if value == nil then return nil end
  value = tostring(value)
  if value:find("\0", 1, true) then error("sandbox: a NUL inside of a string", 0) end
  return value
end

---An array of C strings, and what keeps them alive.
local function strings(list)
  local array = ffi.new("const char *[?]", #list + 1)
  local kept = {}
  for i, each in ipairs(list) do
    kept[i] = text(each)
    array[i - 1] = kept[i]
  end
  return array, kept
end

---As pairs, in the order of the keys, numbers first: a table's own order differs from run to run.
local function sorted(of, rank)
  local keys, i = {}, 0
  rank = rank or {}
  for key in pairs(of) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b)
    if type(a) ~= type(b) then return type(a) == "number" end
    local ra, rb = rank[a] or 0, rank[b] or 0
    if ra ~= rb then return ra < rb end
    return a < b
  end)
  return function()
    i = i + 1
    return keys[i], of[keys[i]]
  end
end

local function milliseconds(seconds)
  if seconds == nil then return -1 end
  if not (seconds >= 0) then error("sandbox: a negative time", 0) end
  return math.min(math.ceil(seconds * 1000), 2 ^ 52)
end

---An fd: a number, or what has a fileno method.
local function fd_of(file)
  if type(file) == "number" then return file end
  return file:fileno()
end

-- --- callbacks: two C functions for the whole process, which find the Lua function by a number ---

local functions, last_function = {}, 0
local raised -- what a Lua function raised below C

local function register(fn)
  last_function = last_function + 1
  functions[last_function] = fn
  return ffi.cast("void *", last_function), last_function
end

local Call
local notify_callback, ready_callback
local function callbacks()
  if notify_callback then return end
  notify_callback = ffi.cast("sandbox_notify_fn", function(n, id)
    local handle = setmetatable({ _n = n }, Call)
    local well, why = pcall(function()
      handle:_look()
      functions[tonumber(ffi.cast("intptr_t", id))](handle)
    end)
    handle._n = nil
    if well then return 0 end
    lib.sandbox_notify_errno(n, EPERM) -- nothing where it was answered
    raised = { why }
    return -ECANCELED
  end)
  ready_callback = ffi.cast("sandbox_ready_fn", function(pid, pidfd, id)
    local well, why = pcall(functions[tonumber(ffi.cast("intptr_t", id))], pid, pidfd)
    if well then return 0 end
    raised = { why }
    return -ECANCELED
  end)
end

---Calls a C function that may call back: never from compiled code, which no callback may interrupt.
local function around(fn, ...)
  local before = raised
  raised = nil
  local code = fn(...)
  local why = raised
  raised = before
  if code < 0 and why then error(why[1], 0) end
  return code
end
jit.off(around)

-- --- streams ---

---@class sandbox.Stream
local Stream = {}
Stream.__index = Stream

local function stream(fd)
  if fd < 0 then return nil end
  local self = setmetatable({ _fd = fd, _buffer = "" }, Stream)
  self._guard = ffi.gc(ffi.new("char[1]"), function() self.close(self) end)
  return self
end

function Stream:fileno() return self._fd end

function Stream:_more()
  local buffer = ffi.new("char[65536]")
  while true do
    local n = tonumber(C.read(self._fd, buffer, 65536))
    if n > 0 then return ffi.string(buffer, n) end
    if n == 0 then return nil end
    local errno = ffi.errno()
    if errno == EIO and self._is_pty then return nil end -- its other side is closed
    if errno ~= EINTR then return failure(-errno, nil, "read") end
  end
end

---As io's read: "a" (all, the default), "l", "L", or up to n bytes. nil at the end; nil and an error.
function Stream:read(what)
  what = type(what) == "string" and what:gsub("^%*", "") or what or "a"
  local parts = { self._buffer }
  local have = #self._buffer
  self._buffer = ""
  while true do
    local last = parts[#parts]
    if what == "l" or what == "L" then
      local at = last:find("\n", 1, true)
      if at then
        self._buffer = last:sub(at + 1)
        parts[#parts] = last:sub(1, what == "L" and at or at - 1)
        return table.concat(parts)
      end
    elseif type(what) == "number" then
      if have >= what then
        local all = table.concat(parts)
        self._buffer = all:sub(what + 1)
        return all:sub(1, what)
      end
    elseif what ~= "a" then
      error("sandbox: read takes \"a\", \"l\", \"L\" or a number", 2)
    end
    local more, err = self:_more()
    if err then return nil, err end
    if not more then
      local all = table.concat(parts)
      if what ~= "a" and all == "" then return nil end
      return all
    end
    parts[#parts + 1] = more
    have = have + #more
  end
end

function Stream:lines() return function() return self:read("l") end end

---Writes all of it. Where nobody reads any more: nil and EPIPE, without a SIGPIPE to this process.
function Stream:write(data)
  data = tostring(data)
  local pipe, old, pending = ffi.new("sandbox_lua_sigset"), ffi.new("sandbox_lua_sigset"), ffi.new("sandbox_lua_sigset")
  C.sigemptyset(pipe)
  C.sigaddset(pipe, SIGPIPE)
  C.sigpending(pending)
  local was_pending = C.sigismember(pending, SIGPIPE) == 1
  C.pthread_sigmask(0, pipe, old) -- SIG_BLOCK
  local at, size, errno = ffi.cast("const char *", data), #data, 0
  while size > 0 and errno == 0 do
    local n = tonumber(C.write(self._fd, at, size))
    if n >= 0 then
      at, size = at + n, size - n
    elseif ffi.errno() ~= EINTR then
      errno = ffi.errno()
    end
  end
  if errno == EPIPE and not was_pending then C.sigwait(pipe, ffi.new("int[1]")) end
  C.pthread_sigmask(2, old, nil) -- SIG_SETMASK
  if errno ~= 0 then return failure(-errno, nil, "write") end
  return self
end

function Stream:close()
  if self._fd >= 0 then C.close(self._fd) end
  self._fd = -1
end

-- --- how it ended ---

---@class sandbox.Status
---@field exit_code integer?  nil where a signal ended it
---@field signal integer?     nil where it exited
---@field cause string        "none", "filter", "memory", "timeout", "killed"
---@field core_dumped boolean
---@field syscall integer?    with cause "filter", where known
---@field user_time number    seconds
---@field system_time number
---@field wall_time number
---@field peak_memory integer bytes
---@field left_out integer
local Status = {}
Status.__index = Status
Status.__tostring = function(s)
  return (s.exit_code and "exit code " .. s.exit_code or "signal " .. s.signal) .. (s.cause ~= "none" and " (" .. s.cause .. ")" or "")
end
local CAUSES = { [0] = "none", "filter", "memory", "timeout", "killed" }

local function status_of(s)
  local exited = s.kind == 1
  return setmetatable({ exit_code = exited and s.code or nil, signal = not exited and s.code or nil, cause = CAUSES[s.cause] or "none",
    core_dumped = s.core_dumped ~= 0, syscall = s.syscall >= 0 and tonumber(s.syscall) or nil,
    user_time = tonumber(s.user_time_us) / 1e6, system_time = tonumber(s.system_time_us) / 1e6, wall_time = tonumber(s.wall_time_us) / 1e6,
    peak_memory = plain(s.peak_memory_bytes), left_out = plain(s.left_out), pids_peak = plain(s.pids_peak), oom_kills = plain(s.oom_kills) }, Status)
end

-- --- filters ---

---@class sandbox.Filter
local Filter = {}
Filter.__index = Filter
local OPS = { ["=="] = 1, ["~="] = 2, ["<"] = 3, ["<="] = 4, [">="] = 5, [">"] = 6, ["&"] = 7 }

---@param default integer?  an action: sandbox.ALLOW (the default), ERRNO(n), ...
function sandbox.filter(default)
  return setmetatable({ _filter = ffi.gc(lib.sandbox_filter_new(default or sandbox.ALLOW), lib.sandbox_filter_free) }, Filter)
end

---An action for a system call where all conditions hold: {0, "==", 5}, or {1, "&", mask, value}.
function Filter:rule(action, syscall, ...)
  local conditions = { ... }
  local args = ffi.new("sandbox_arg[?]", math.max(#conditions, 1))
  for i, condition in ipairs(conditions) do
    local op = OPS[condition[2]] or error("sandbox: no comparison " .. tostring(condition[2]), 2)
    local arg = args[i - 1]
    arg.index, arg.op = condition[1], op
    if op == 7 then arg.mask, arg.value = u64(condition[3]), u64(condition[4]) else arg.value = u64(condition[3]) end
  end
  lib.sandbox_filter_rule(self._filter, action, text(syscall), args, #conditions)
  return self
end
---Ready-made: names of SANDBOX_DENY_* in lower case, deny("io_uring", "bpf").
function Filter:deny(...) lib.sandbox_filter_deny(self._filter, bits("DENY_", { ... })) return self end
function Filter:deny_ioctl(request) lib.sandbox_filter_deny_ioctl(self._filter, request) return self end
function Filter:deny_setsockopt(level, option) lib.sandbox_filter_deny_setsockopt(self._filter, level, option) return self end
function Filter:arch(name) lib.sandbox_filter_arch(self._filter, text(name)) return self end
function Filter:flags(flags) lib.sandbox_filter_flags(self._filter, bits("FILTER_", flags)) return self end
function Filter:policy_directory(path) lib.sandbox_filter_policy_directory(self._filter, text(path)) return self end
function Filter:oci_capabilities(mask) lib.sandbox_filter_oci_capabilities(self._filter, u64(mask)) return self end
function Filter:bpf(program) lib.sandbox_filter_bpf(self._filter, program, #program / 8) return self end
---Rules in minijail's language. What can't be read is told by check, line and column too.
function Filter:policy(policy) return self:_read(lib.sandbox_filter_policy, policy) end
---A profile of the OCI runtime specification.
function Filter:oci(json) return self:_read(lib.sandbox_filter_oci, json) end
function Filter:_read(fn, data)
  local e = ffi.new("sandbox_error")
  local code = fn(self._filter, data, #data, e)
  if code < 0 and not self._error then self._error = select(2, failure(code, e)) end
  return self
end
---The filter; or nil and what a setter refused.
function Filter:check()
  if self._error then return nil, self._error end
  local cmd, err = sandbox.command { "filter" }:filter(self):check()
  if not cmd then return nil, err end
  return self
end
---What the kernel would do with a call: an action. `arch` is AUDIT_ARCH_*, the native one by default.
function Filter:simulate(nr, args, arch)
  local call, action = ffi.new("sandbox_syscall"), ffi.new("uint32_t[1]")
  call.arch, call.nr = arch or ({ x64 = 0xC000003E, arm64 = 0xC00000B7 })[jit.arch], nr
  for i, value in ipairs(args or {}) do call.args[i - 1] = u64(value) end
  local code = lib.sandbox_filter_simulate(self._filter, call, action)
  if code < 0 then return failure(code, nil, "simulate") end
  return action[0]
end
---Writes the compiled instructions to an fd; their number.
function Filter:export(file) return checked(lib.sandbox_filter_export(self._filter, fd_of(file)), "export") end

-- --- the child ---

---@class sandbox.Child
---@field pid integer
---@field stdin sandbox.Stream?
---@field stdout sandbox.Stream?
---@field stderr sandbox.Stream?
---@field pty sandbox.Stream?
local Child = {}
Child.__index = Child

local function started(code, out, e)
  if code < 0 then return failure(code, e, "spawn") end
  local handle = owned(out[0], lib.sandbox_child_free)
  local function taken(name) return stream(lib.sandbox_child_take_fd(handle, constant("FD_", name))) end
  local self = setmetatable({ _child = handle, _owner = C.getpid(), pid = lib.sandbox_child_pid(handle) }, Child)
  self.stdin, self.stdout, self.stderr, self.pty = taken "stdin", taken "stdout", taken "stderr", taken "pty"
  if self.pty then self.pty._is_pty = true end
  return self
end

function Child:_handle() return self._child or error("sandbox: the child is closed", 3) end
---The handle's own fds, by name; -1: none.
function Child:fds()
  local fds = ffi.new("sandbox_fds")
  lib.sandbox_child_fds(self:_handle(), fds, ffi.sizeof(fds))
  return { pidfd = fds.pidfd, seccomp = fds.seccomp_fd, cgroup = fds.cgroup_fd }
end
---Takes "pidfd" (a copy), "seccomp" or "cgroup": now the caller's to close.
function Child:take_fd(name) return checked(lib.sandbox_child_take_fd(self:_handle(), constant("FD_", name)), "take_fd") end
---Waits for the end, `timeout` seconds at most: its status; or nil and an error, whose timeout is true where it still runs.
---@return sandbox.Status?, sandbox.Error?
function Child:wait(timeout)
  local status = ffi.new("sandbox_status")
  local code = lib.sandbox_child_wait(self:_handle(), milliseconds(timeout), status, ffi.sizeof(status))
  if code >= 0 then return status_of(status) end
  local _, err = failure(code, nil, "wait")
  err.timeout = code == -ETIMEDOUT
  return nil, err
end
---The status, or nil while it runs.
function Child:poll() return (self:wait(0)) end
function Child:wait_exec(timeout)
  local e = ffi.new("sandbox_error")
  local code = lib.sandbox_child_wait_exec(self:_handle(), milliseconds(timeout), e)
  if code < 0 then return failure(code, e, "wait_exec") end
  return true
end
---Sends a signal, SIGKILL by default; true, or nil and an error: ESRCH, it has ended.
function Child:kill(signal)
  local code, err = checked(lib.sandbox_child_kill(self:_handle(), signal or 9), "kill")
  return code and true, err
end
function Child:kill_all()
  local code, err = checked(lib.sandbox_child_kill_all(self:_handle()), "kill_all")
  return code and true, err
end
function Child:freeze(on)
  local code, err = checked(lib.sandbox_child_freeze(self:_handle(), on == false and 0 or 1), "freeze")
  return code and true, err
end
---It is left running when this object goes.
function Child:detach() return checked(lib.sandbox_child_detach(self:_handle()), "detach") and true end
---Closes the streams; ends and reaps it if it still runs.
function Child:close()
  for _, name in ipairs { "stdin", "stdout", "stderr", "pty" } do
    if self[name] then self[name]:close() end
  end
  if self._child and C.getpid() == self._owner then lib.sandbox_child_free(self._child) end
  if self._child then ffi.gc(self._child, nil) end
  self._child = nil
end

-- --- the command ---

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
  callbacks()
  local userdata, id = register(fn)
  self._keep = { id = id, before = self._keep, guard = ffi.gc(ffi.new("char[1]"), function() functions[id] = nil end) }
  return userdata
end
---function(pid, pidfd), called while the child is held. What it raises ends the child, and comes out of the spawn.
function Command:on_ready(fn)
  local userdata = hook(self, fn)
  lib.sandbox_cmd_on_ready(self._cmd, ready_callback, userdata)
  return self
end
---The same, which writes the uid_map and gid_map of its user namespace, in the library's place.
function Command:on_maps(fn)
  local userdata = hook(self, fn)
  lib.sandbox_cmd_on_maps(self._cmd, ready_callback, userdata)
  return self
end

---A key's value is a list of calls, each a value or a list of arguments.
local MANY = { data = true, chmod = true, remount = true, overlay_ro = true, init_fd = true, init_lock = true, join = true, map_uid = true, map_gid = true, bind = true, bind_fd = true, tmpfs = true, overlay = true, file = true, dir = true, symlink = true,
  mask = true, landlock_path = true, landlock_port = true, filter = true, time_offset = true }
local SPREAD = { user = true, caps = true }
local NO_KEYS = { clone = true, check = true, explain = true, spawn = true, run = true, arg = true, args = true }
local RUN_KEYS = { input = true, timeout = true, cpu_time = true, stdout_limit = true, stderr_limit = true, merge_stderr = true, kill_at_limit = true, cancel_fd = true }

---Keys are taken in this order, all others before, by name: a mount hides what was put below it earlier.
local RANK = {}
for rank, key in ipairs { "tmpfs", "proc", "dev", "devpts", "mqueue", "dir", "file", "data", "symlink", "mask", "chmod", "remount" } do RANK[key] = rank end

---A command: a list of the program and its arguments, with methods as keys; a key that is no method's is an option.
---Where mounts need another order than of their keys (bind and the like, tmpfs, files, chmod, remount), call the methods.
---sandbox.command{"ls", "-l", cwd = "/tmp", env = {LANG = "C"}, unshare = {"user", "net"}, nice = 5}
---@return sandbox.Command
function sandbox.command(how)
  local program = how[1] or error("sandbox: no program", 2)
  local self = setmetatable({ _cmd = ffi.gc(lib.sandbox_cmd_new(text(program)), lib.sandbox_cmd_free) }, Command)
  for i = 2, #how do self:arg(how[i]) end
  if how.clear_env then self:clear_env() end
  for key, value in sorted(how, RANK) do
    if type(key) == "number" or RUN_KEYS[key] or key == "clear_env" then -- the words; what run takes
    elseif NO_KEYS[key] or type(key) ~= "string" or key:sub(1, 1) == "_" then
      error("sandbox: no key " .. tostring(key), 2)
    elseif not Command[key] then
      self:set { [key] = value }
    elseif MANY[key] then
      for _, each in ipairs(value) do
        if type(each) == "table" and getmetatable(each) == nil then self[key](self, unpack(each, 1, 5)) else self[key](self, each) end
      end
    elseif SPREAD[key] then
      self[key](self, unpack(value))
    elseif value == true then
      self[key](self)
    elseif value ~= false then
      self[key](self, value)
    end
  end
  return self
end

function Command:clone() return setmetatable({ _cmd = ffi.gc(lib.sandbox_cmd_clone(self._cmd), lib.sandbox_cmd_free), _keep = self._keep }, Command) end
---The command; or nil and the first refusal of a setter.
function Command:check()
  local e = ffi.new("sandbox_error")
  local code = lib.sandbox_cmd_error(self._cmd, e)
  if code < 0 then return failure(code, e) end
  return self
end
---What a spawn would do, in order; or nil and an error.
function Command:explain()
  local e = ffi.new("sandbox_error")
  local length = lib.sandbox_cmd_explain(self._cmd, nil, 0, e)
  if length < 0 then return failure(length, e) end
  local buffer = ffi.new("char[?]", length + 1)
  lib.sandbox_cmd_explain(self._cmd, buffer, length + 1, e)
  return ffi.string(buffer)
end
---Starts it: a child; or nil and an error.
---@return sandbox.Child?, sandbox.Error?
function Command:spawn()
  local out, e = ffi.new("sandbox_child *[1]"), ffi.new("sandbox_error")
  return started(around(lib.sandbox_spawn, self._cmd, out, e), out, e)
end

---@class sandbox.Result
---@field status sandbox.Status
---@field stdout string
---@field stderr string
---@field stdout_cut integer
---@field stderr_cut integer
---@field limits table<string, boolean>  "wall_time", "cpu_time", "stdout", "stderr", "canceled"

---Runs it to its end. `how`: input, timeout and cpu_time in seconds, stdout_limit, stderr_limit, merge_stderr, kill_at_limit, cancel_fd.
---@return sandbox.Result?, sandbox.Error?
function Command:run(how)
  how = how or {}
  local options, input = ffi.new("sandbox_run_options"), nil
  options.size = ffi.sizeof(options)
  if how.input then
    input = ffi.new("sandbox_bytes")
    input.data, input.length = ffi.cast("const char *", how.input), #how.input
  end
  options.flags = (how.merge_stderr and 1 or 0) + (how.kill_at_limit and 2 or 0) + (how.cancel_fd and 4 or 0)
  options.stdout_limit, options.stderr_limit = how.stdout_limit or 0, how.stderr_limit or 0
  if how.timeout then options.wall_time_ms = math.max(1, milliseconds(how.timeout)) end -- 0 would be no limit
  if how.cpu_time then options.cpu_time_ms = math.max(1, milliseconds(how.cpu_time)) end
  if how.cancel_fd then options.cancel_fd = fd_of(how.cancel_fd) end
  local out, e = ffi.new("sandbox_result *[1]"), ffi.new("sandbox_error")
  local code = around(lib.sandbox_run, self._cmd, input, options, out, e)
  if code < 0 then return failure(code, e, "run") end
  local handle, status, output = ffi.gc(out[0], lib.sandbox_result_free), ffi.new("sandbox_status"), ffi.new("sandbox_output")
  local result = { limits = {} }
  lib.sandbox_result_status(handle, status, ffi.sizeof(status))
  result.status = status_of(status)
  for target, name in ipairs { "stdout", "stderr" } do
    lib.sandbox_result_output(handle, target, output, ffi.sizeof(output))
    result[name], result[name .. "_cut"] = ffi.string(output.data, output.length), plain(output.cut)
  end
  local limits = lib.sandbox_result_limits(handle)
  for _, name in ipairs { "wall_time", "cpu_time", "stdout", "stderr", "canceled" } do
    if bit.band(limits, constant("LIMIT_", name)) ~= 0 then result.limits[name] = true end
  end
  lib.sandbox_result_free(ffi.gc(handle, nil))
  return result
end

---A command and its spawn in one.
function sandbox.spawn(how) return sandbox.command(how):spawn() end
---A command and its run in one: the keys of both.
function sandbox.run(how) return sandbox.command(how):run(how) end

-- --- the supervisor ---

---@class sandbox.Call
---@field nr integer
---@field arch integer
---@field args table<integer, integer>  from 1; an uint64_t where a number is not exact
Call = {}
Call.__index = Call
function Call:_look()
  local call = ffi.new("sandbox_syscall")
  lib.sandbox_notify_call(self._n, call, ffi.sizeof(call))
  self.nr, self.arch, self.args = call.nr, call.arch, {}
  for i = 0, 5 do self.args[i + 1] = plain(call.args[i]) end
end
function Call:_handle() return self._n or error("sandbox: the handler has returned", 3) end
---An int argument as it comes in a 64-bit register.
local function int(value) return tonumber(ffi.cast("int32_t", ffi.cast("uint64_t", u64(value)))) end
function Call:pid() return checked(lib.sandbox_notify_pid(self:_handle()), "pid") end
function Call:tid() return checked(lib.sandbox_notify_tid(self:_handle()), "tid") end
function Call:pidfd() return checked(lib.sandbox_notify_pidfd(self:_handle()), "pidfd") end
function Call:is_alive() return lib.sandbox_notify_check(self:_handle()) == 0 end
---Answers: 0; 1 where the caller has gone; or nil and an error.
function Call:errno(number) return checked(lib.sandbox_notify_errno(self:_handle(), number), "errno") end
function Call:return_value(value) return checked(lib.sandbox_notify_return(self:_handle(), value), "return_value") end
function Call:continue_unsafe() return checked(lib.sandbox_notify_continue_unsafe(self:_handle()), "continue_unsafe") end
function Call:return_fd(file, cloexec) return checked(lib.sandbox_notify_fd(self:_handle(), fd_of(file), cloexec == false and 0 or 1), "return_fd") end
function Call:add_fd(file, target, cloexec) return checked(lib.sandbox_notify_add_fd(self:_handle(), fd_of(file), target or -1, cloexec == false and 0 or 1), "add_fd") end
---A copy of one of the caller's fds, to close.
function Call:get_fd(fd) return checked(lib.sandbox_notify_get_fd(self:_handle(), fd), "get_fd") end
function Call:read(address, size)
  local buffer = ffi.new("char[?]", math.max(size, 1))
  local code, err = checked(lib.sandbox_notify_read(self:_handle(), address, buffer, size), "read")
  if not code then return nil, err end
  return ffi.string(buffer, size)
end
function Call:write(address, data) return checked(lib.sandbox_notify_write(self:_handle(), address, data, #data), "write") end
local function filled(size, fn, ...)
  local buffer = ffi.new("char[?]", size)
  local arguments = { ... }
  local code, err = checked(fn(buffer, unpack(arguments)))
  if not code then return nil, err end
  return buffer, code
end
function Call:string(address, size)
  local buffer, length = filled(size or 4096, function(b) return lib.sandbox_notify_string(self:_handle(), address, b, size or 4096) end)
  return buffer and ffi.string(buffer, length), not buffer and length or nil
end
function Call:sockaddr(address, size)
  local buffer, length = filled(128, function(b) return lib.sandbox_notify_sockaddr(self:_handle(), address, size, b, 128) end)
  return buffer and ffi.string(buffer, length), not buffer and length or nil
end
---Where a path of the caller's leads.
function Call:path(dirfd, address, flags)
  local buffer, length = filled(4096, function(b) return lib.sandbox_notify_path(self:_handle(), int(dirfd), address, flags or 0, b, 4096) end)
  return buffer and ffi.string(buffer, length), not buffer and length or nil
end
---An fd, to close, of what openat would open for the caller.
function Call:open(dirfd, address, flags, mode) return checked(lib.sandbox_notify_open(self:_handle(), int(dirfd), address, flags, mode or 0), "open") end
---The directory that a path's last name is in, as an fd to close, and that name.
function Call:parent(dirfd, address)
  local buffer, fd = filled(256, function(b) return lib.sandbox_notify_parent(self:_handle(), int(dirfd), address, b, 256) end)
  if not buffer then return nil, fd end
  return fd, ffi.string(buffer)
end

---@class sandbox.Supervisor
local Supervisor = {}
Supervisor.__index = Supervisor
local function supervisor(handle)
  if handle == nil then return failure(-EINVAL, nil, "supervisor: no filter that notifies, or its listener was taken") end
  return setmetatable({ _sup = owned(handle, lib.sandbox_supervisor_free), _owner = C.getpid(), _ids = {} }, Supervisor)
end
---Answers the notified calls of a child.
function sandbox.supervisor(child) return supervisor(lib.sandbox_supervisor_new(child:_handle())) end
---Of a listener that came from elsewhere; both fds are borrowed.
function sandbox.supervisor_of(listener, pidfd) return supervisor(lib.sandbox_supervisor_from_fd(fd_of(listener), pidfd and fd_of(pidfd) or -1)) end
function Supervisor:_handle() return self._sup or error("sandbox: the supervisor is closed", 3) end
---Has function(call) called for a system call by name; nil as the name: for all others; nil as the function: none.
---What it raises has the call denied with EPERM, and comes out of run or dispatch.
function Supervisor:on(syscall, fn)
  callbacks()
  local userdata, id
  if fn then
    userdata, id = register(fn)
    self._ids[#self._ids + 1] = id
  end
  local code = lib.sandbox_supervisor_on(self:_handle(), text(syscall), fn and notify_callback or nil, userdata)
  if code < 0 then error("sandbox: no system call " .. tostring(syscall), 2) end
  return self
end
function Supervisor:fileno() return lib.sandbox_supervisor_fd(self:_handle()) end
---Waits for a call, `timeout` seconds at most, then answers what is pending: how many; or nil and an error.
function Supervisor:dispatch(timeout) return checked(around(lib.sandbox_supervisor_dispatch, self:_handle(), milliseconds(timeout)), "dispatch") end
function Supervisor:ended() return lib.sandbox_supervisor_ended(self:_handle()) ~= 0 end
---Answers calls until the last program under the filter has ended.
function Supervisor:run()
  while not self:ended() do
    local count, err = self:dispatch(0.1) -- in slices: before Linux 6.11 the child's end is told by its pidfd
    if not count then return nil, err end
  end
  return true
end
function Supervisor:close()
  if self._sup and C.getpid() == self._owner then lib.sandbox_supervisor_free(self._sup) end
  if self._sup then ffi.gc(self._sup, nil) end
  for _, id in ipairs(self._ids) do functions[id] = nil end
  self._sup, self._ids = nil, {}
end

-- --- the pool ---

---@class sandbox.Pool
local Pool = {}
Pool.__index = Pool
---Children of one command, set up ahead: 1 to 4096.
function sandbox.pool(command, size)
  local handle = lib.sandbox_pool_new(command._cmd, size)
  if handle == nil then return failure(-EINVAL, nil, "a pool of 1 to 4096") end
  return setmetatable({ _pool = owned(handle, lib.sandbox_pool_free), _owner = C.getpid(), _keep = command._keep }, Pool)
end
function Pool:_handle() return self._pool or error("sandbox: the pool is closed", 3) end
---Runs a held child; `override`: a command with another program, arguments, environment, streams, passed fds, directory.
function Pool:spawn(override)
  local out, e = ffi.new("sandbox_child *[1]"), ffi.new("sandbox_error")
  return started(around(lib.sandbox_pool_spawn, self:_handle(), override and override._cmd or nil, out, e), out, e)
end
---Sets up what is missing: how many.
function Pool:refill()
  local e = ffi.new("sandbox_error")
  local code = lib.sandbox_pool_refill(self:_handle(), e)
  if code < 0 then return failure(code, e) end
  return code
end
function Pool:close()
  if self._pool and C.getpid() == self._owner then lib.sandbox_pool_free(self._pool) end
  if self._pool then ffi.gc(self._pool, nil) end
  self._pool = nil
end

---What this kernel allows this process, by name, found by trying.
function sandbox.probe()
  local f = ffi.new("sandbox_features")
  local code = lib.sandbox_probe(f, ffi.sizeof(f))
  if code < 0 then return failure(code, nil, "probe") end
  return f
end

return sandbox
