-- The tests, and the scenarios: a line each. usage: luajit run.lua scenarios.json
local sandbox, ffi = require "sandbox_spawn", require "ffi"
ffi.cdef "int open(const char *path, int flags, ...); int waitpid(int pid, int *status, int options); char *realpath(const char *, char *); int getuid(void); int getgid(void); int fork(void); void _exit(int);"

-- A JSON reader for what this project writes; null is json_null.
local null = {}
local function decode(text)
  local at, value = 1, nil
  local function space() at = text:find("%S", at) end
  local function str()
    local out = {}
    at = at + 1
    while text:sub(at, at) ~= '"' do
      local c = text:sub(at, at)
      if c == "\\" then
        at = at + 1
        c = text:sub(at, at)
        c = ({ n = "\n", t = "\t", r = "\r", b = "\b", f = "\f" })[c] or assert(c ~= "u" and c, "no \\u here")
      end
      out[#out + 1], at = c, at + 1
    end
    at = at + 1
    return table.concat(out)
  end
  local function several(close, fill)
    local all = {}
    at = at + 1
    space()
    while text:sub(at, at) ~= close do
      fill(all)
      space()
      if text:sub(at, at) == "," then at = at + 1 space() end
    end
    at = at + 1
    return all
  end
  function value()
    space()
    local c = text:sub(at, at)
    if c == '"' then return str() end
    if c == "[" then return several("]", function(all) all[#all + 1] = value() end) end
    if c == "{" then
      return several("}", function(all)
        local key = str()
        at = text:find(":", at, true) + 1
        all[key] = value()
      end)
    end
    local word = text:match("^[%w%.+-]+", at)
    at = at + #word
    if word == "true" or word == "false" then return word == "true" end
    if word == "null" then return null end
    return assert(tonumber(word), word)
  end
  return value()
end

local function equal(seen, wanted, what)
  if seen ~= wanted then error(("%s is %q, not %q"):format(what or "it", tostring(seen), tostring(wanted)), 2) end
end
local function has(text, part) if not tostring(text):find(part, 1, true) then error(("%q lacks %q"):format(tostring(text), part), 2) end end
local function fds()
  local count = 0
  for fd = 0, 200 do if ffi.C.realpath("/proc/self/fd/" .. fd .. "/.", nil) ~= nil or io.open("/proc/self/fdinfo/" .. fd) then count = count + 1 end end
  return count
end
local function raises(part, fn, ...)
  local well, why = pcall(fn, ...)
  if well then error("it raised nothing", 2) end
  has(why, part)
end

local failed = false
local function test(name, fn)
  collectgarbage() collectgarbage()
  local before = fds()
  local well, why = pcall(fn)
  if well then
    collectgarbage() collectgarbage()
    well, why = pcall(function()
      equal(fds(), before, "open fds")
      equal(ffi.C.waitpid(-1, nil, 1), -1, "waitpid, a child that is left")
    end)
  end
  if type(why) == "table" and why.skip then
    print("skip - " .. name .. ": " .. why.skip)
  else
    print(well and "ok - " .. name or "not ok - " .. name .. ": " .. tostring(why):gsub("\n", "~"))
    failed = failed or not well
  end
  io.stdout:flush()
end

-- --- the scenarios ---

local function action(name) return type(name) == "number" and sandbox.ERRNO(name) or assert(sandbox[name], name) end
local SIGNS = { EQ = "==", NE = "~=", LT = "<", LE = "<=", GE = ">=", GT = ">", MASKED_EQ = "&" }
local function take(from, key, default)
  local value = from[key]
  from[key] = nil
  if value == nil then return default end
  return value
end
local function nothing_else(from) if next(from) ~= nil then error("an unknown key: " .. tostring(next(from)), 0) end end
local function filter_of(entry)
  local filter = sandbox.filter(action(take(entry, "default")))
  for _, rule in ipairs(take(entry, "rules", {})) do
    local conditions = {}
    for i, arg in ipairs(take(rule, "args", {})) do
      local op = SIGNS[arg.op] or error("an unknown op", 0)
      conditions[i] = op == "&" and { take(arg, "index"), op, take(arg, "mask"), take(arg, "value") } or { take(arg, "index"), op, take(arg, "value") }
      arg.op = nil
      nothing_else(arg)
    end
    filter:rule(action(take(rule, "action")), take(rule, "syscall"), unpack(conditions))
    nothing_else(rule)
  end
  local policy = take(entry, "policy")
  if policy then filter:policy(policy) end
  nothing_else(entry)
  return filter
end
local function lower(names)
  local all = {}
  for key, value in pairs(names) do if type(key) == "number" then all[key] = value:lower() else all[key:lower()] = value end end
  return all
end
local function command_of(s)
  local command = sandbox.command { take(s, "program"), unpack(take(s, "args", {})) }
  if take(s, "env_clear") then command:clear_env() end
  local env = take(s, "env", {})
  for name, value in pairs(env) do env[name] = value ~= null and value end
  command:env(env)
  local cwd = take(s, "cwd")
  if cwd then command:cwd(cwd) end
  command:set(lower(take(s, "options", {}))):rlimits(lower(take(s, "rlimits", {})))
  for _, name in ipairs(take(s, "namespaces", {})) do command:unshare(name:lower()) end
  for _, entry in ipairs(take(s, "filters", {})) do command:filter(filter_of(entry)) end
  return command
end
local function do_run(command, how)
  local options = { input = how.input and take(how, "input"):rep(take(how, "input_times", 1)), stdout_limit = take(how, "stdout_limit"), stderr_limit = take(how, "stderr_limit"),
    merge_stderr = take(how, "merge_stderr"), kill_at_limit = take(how, "kill_at_limit") }
  for from, to in pairs { wall_time_ms = "timeout", cpu_time_ms = "cpu_time" } do
    local ms = take(how, from)
    options[to] = ms and ms / 1000
  end
  nothing_else(how)
  return command:run(options)
end
local function do_spawn(command, signal, supervise)
  local child, err = command:stdin("null"):stdout("pipe"):stderr("pipe"):spawn()
  if not child then return nil, err end
  if signal then assert(child:kill(signal)) end
  if supervise then
    local supervisor = assert(sandbox.supervisor(child))
    assert(supervisor:on(nil, function(call) assert(supervise == 0 and call:continue_unsafe() or supervise ~= 0 and call:errno(supervise)) end):run())
    supervisor:close()
  end
  local result = { stdout = child.stdout:read("a"), stderr = child.stderr:read("a"), stdout_cut = 0, stderr_cut = 0, limits = {} }
  result.status = assert(child:wait(60))
  child:close()
  return result
end
local function scenario(s)
  local how, expect, skips, kill, supervise = take(s, "how"), take(s, "expect"), take(s, "skip_stages", {}), take(s, "kill"), take(s, "supervise")
  local run = take(s, "run", {})
  local command = command_of(s)
  nothing_else(s)
  local seen, err
  if how == "run" then seen, err = do_run(command, run) elseif how == "spawn" then seen, err = do_spawn(command, kill, supervise) else error("how?") end
  for _, stage in ipairs(skips) do if err and err.stage == stage then error { skip = tostring(err) } end end
  local wanted = take(expect, "error")
  if wanted then
    if not err then error("it did not fail") end
    for _, key in ipairs { "errno", "stage", "index" } do equal(err[key], take(wanted, key), key) end
    has(err.message, take(wanted, "has"))
    nothing_else(wanted)
    return nothing_else(expect)
  end
  if err then error(tostring(err)) end
  equal(seen.status.exit_code, take(expect, "exit"), "exit code")
  equal(seen.status.signal, take(expect, "signal"), "signal")
  equal(seen.status.cause, take(expect, "cause", "NONE"):lower(), "cause")
  local times, out, errs = take(expect, "stdout_times", 1), take(expect, "stdout"), take(expect, "stderr")
  if out and seen.stdout ~= out:rep(times) then error(("stdout is %q"):format(seen.stdout:sub(1, 200))) end
  if errs then equal(seen.stderr, errs, "stderr") end
  has(seen.stderr, take(expect, "stderr_has", ""))
  for _, key in ipairs { "stdout_cut", "stderr_cut" } do
    local cut = take(expect, key, 0)
    if cut == "some" then assert(seen[key] > 0, key) else equal(seen[key], cut, key) end
  end
  for _, name in ipairs(take(expect, "limits", {})) do
    assert(seen.limits[name:lower()], name)
    seen.limits[name:lower()] = nil
  end
  equal(next(seen.limits), nil, "a limit more")
  nothing_else(expect)
end
local entries = decode(io.open(arg[1]):read("*a"))
assert(#entries > 30)
for _, entry in ipairs(entries) do
  local name = take(entry, "name")
  test(name, function() scenario(entry) end)
end
test("a key that no driver knows is a failure", function() raises("unknown key: colour", scenario, { how = "run", program = "true", colour = 1, expect = { exit = 0 } }) end)

-- --- the binding's own ---

local function asking(how, ...)
  local filter = sandbox.filter()
  for _, name in ipairs { ... } do filter:rule(sandbox.NOTIFY, name) end
  how.filter, how.stderr, how.stdout, how.env = { filter }, "pipe", "pipe", { LC_ALL = "C" }
  return sandbox.command(how)
end
local function mkdir_asking() return asking({ "mkdir", "/tmp/must-not-be" }, "mkdir", "mkdirat") end

test("errors are tables that name the step", function()
  local child, err = sandbox.spawn { "/no/such/program" }
  equal(child, nil)
  equal(err.errno, 2) equal(err.stage, "exec") equal(err.index, 0)
  has(tostring(err), "exec[0]: ") has(err.message, "/no/such/program")
  local spoiled = sandbox.command { "true", nice = 99, cwd = "/" }
  for _, use in ipairs { "check", "spawn", "run", "explain" } do
    local none, why = spoiled[use](spoiled)
    equal(none, nil) has(why, "NICE takes -20 to 19")
  end
end)
test("misuse raises", function()
  raises("no opt \"colour\"", sandbox.command, { "true", colour = 1 })
  raises("no key spawn", sandbox.command, { "true", spawn = 1 })
  raises("no program", sandbox.command, {})
  raises("NUL", sandbox.command, { "true", "a\0b" })
  raises("no stream", sandbox.command, { "true", stdin = "terminal" })
  raises("negative time", sandbox.run, { "true", timeout = -1 })
end)
test("streams are read and written", function()
  local child = assert(sandbox.spawn { "cat", stdin = "pipe", stdout = "pipe" })
  child.stdin:write("one\ntwo\nthree")
  child.stdin:close()
  equal(child.stdout:read("l"), "one") equal(child.stdout:read(2), "tw") equal(child.stdout:read("L"), "o\n")
  equal(child.stdout:read("a"), "three") equal(child.stdout:read("l"), nil)
  equal(tostring(child:wait(20)), "exit code 0")
  child:close()
  raises("closed", child.wait, child)
end)
test("a reader that has gone is an error, no signal", function()
  local child = assert(sandbox.spawn { "true", stdin = "pipe" })
  child:wait()
  local none, err = child.stdin:write("x")
  equal(none, nil) equal(err.errno, 32)
  child:close()
end)
test("waiting has a limit, killing a cause", function()
  local child = assert(sandbox.spawn { "sleep", "1000" })
  local none, err = child:wait(0.02)
  equal(none, nil) equal(err.timeout, true) equal(child:poll(), nil)
  assert(child:fds().pidfd > 2)
  assert(child:wait_exec(1)) assert(child:kill(15))
  equal(tostring(child:wait(20)), "signal 15 (killed)")
  equal(select(2, child:kill()).errno, 3)
  equal(select(2, child:kill_all()).errno, 95) equal(select(2, child:freeze()).errno, 95)
end)
test("a terminal", function()
  local child = assert(sandbox.spawn { "sh", "-c", "test -t 0 && echo terminal", stdin = "pty", stdout = "pty" })
  equal(child.pty:read("a"), "terminal\r\n")
end)
test("forgotten children are ended", function()
  for _ = 1, 50 do sandbox.spawn { "sleep", "1000", stdout = "pipe" } end
end)
test("every kind of setting reaches the library", function()
  local command = sandbox.command { "true", arg0 = "x", clear_env = true, env = { A = "1", B = false }, cwd = "/", stdin = "null", rlimits = { nofile = { 10, 20 }, core = 0, as = -1 },
    cpus = { 0 }, unshare = { "user", "mount", "uts", "time" }, map_uid = { { 0, 1000 } }, map_gid = { { 0, 1000, 1 } }, user = { 0, 0 }, groups = { 0, 1 }, hostname = "h", domainname = "d",
    time_offset = { { 1, 5 } }, cwd_first = { "/a", "/b" }, data = { { "/df", "text", 420, "mount" } }, chmod = { { "/df", 384 } }, remount = { "/t" }, devpts = true, overlay_ro = { { { "/usr", "/bin" }, "/oo" } }, init_fd = { 0 }, init_lock = { "/f" }, caps = { -1 }, root = true, bind = { "/usr", { "/bin", "/x", { "rw", "dev" } } }, tmpfs = { "/t", { "/u", 4096, 448 } }, proc = true, dev = true,
    mqueue = true, overlay = { { { "/usr" }, "/o" } }, file = { { "/f", "text" } }, dir = { "/d" }, symlink = { { "a", "/l" } }, mask = { "/m" },
    landlock_path = { { "/", "read" } }, landlock_port = { { 80, "connect_tcp" } }, landlock_scope = "signal", cgroup = "/sys/fs/cgroup", cgroup_set = { { "pids.max", 10 } }, ptrace = true, init = true }
  assert(command:check())
  has(sandbox.command { "true" }:clone():arg("a"):args { "b" }:explain(), "exec[0]")
  equal(select(2, command:clone():join(-1):check()).errno, 9)
  equal(select(2, sandbox.command { "true", preset = "compute" }:preset("build"):check()).errno, 22)
end)
local function in_a_root(line, more)
  local how = { "sh", "-c", line, unshare = { "user", "mount", "pid" }, init = true, env = { LC_ALL = "C" }, bind = {} }
  for _, path in ipairs { "/usr", "/bin", "/lib", "/lib64" } do if ffi.C.realpath(path, nil) ~= nil then how.bind[#how.bind + 1] = path end end
  for key, value in pairs(more) do how[key] = value end
  local result, err = sandbox.run(how)
  if not result and (err.stage == "clone" or err.stage == "userns") then error { skip = tostring(err) } end
  return assert(result, err)
end
test("files, modes, mounts and locks of its own", function()
  local result = in_a_root("pwd; cat /f /m; stat -c %a /f; ls /dev/pts; touch /t/x", { tmpfs = { "/t" }, data = { { "/f", "in a file\n" }, { "/m", "mounted\n", 420, "mount" } }, chmod = { { "/f", 384 } },
    remount = { "/t" }, devpts = true, cwd_first = { "/no/such", "/usr" }, init_fd = { 0 }, init_lock = { "/f" } })
  equal(result.stdout, "/usr\nin a file\nmounted\n600\nptmx\n") has(result.stderr, "Read-only")
end)
test("the caller maps the ids", function()
  local result, err = sandbox.run { "sh", "-c", "id -u; id -g", unshare = "user", on_maps = function(pid)
    for file, text in pairs { setgroups = "deny", uid_map = "7 " .. ffi.C.getuid() .. " 1", gid_map = "8 " .. ffi.C.getgid() .. " 1" } do
      if file == "gid_map" then local f = assert(io.open(("/proc/%d/setgroups"):format(pid), "w")) f:write("deny") f:close() end
      if file ~= "setgroups" then local f = assert(io.open(("/proc/%d/%s"):format(pid, file), "w")) f:write(text) f:close() end
    end
  end }
  if not result and (err.stage == "clone" or err.stage == "userns") then error { skip = tostring(err) } end
  equal(assert(result, err).stdout, "7\n8\n")
end)
test("tables are taken in one order", function()
  local names, env, wanted = {}, {}, {}
  for i = 1, 40 do names[i] = ("V%02d"):format((i * 7) % 41) env[names[i]] = i end
  local result = assert(sandbox.run { "env", clear_env = true, env = env })
  for i = 1, 40 do wanted[i] = ("V%02d=%d\n"):format(i, env[("V%02d"):format(i)]) end
  equal(result.stdout, table.concat(wanted))
end)
test("a forked copy leaves its parent's children alone", function()
  local child = assert(sandbox.spawn { "sleep", "1000" })
  local other = assert(sandbox.spawn { "sleep", "1000" })
  local pool = assert(sandbox.pool(sandbox.command { "echo", "usual", stdout = "pipe" }, 1))
  local copy = ffi.C.fork()
  if copy == 0 then
    pool:close() child:close()
    other = nil
    collectgarbage() collectgarbage()
    ffi.C._exit(0)
  end
  equal(ffi.C.waitpid(copy, nil, 0), copy)
  equal(child:poll(), nil) equal(other:poll(), nil)
  equal(pool:spawn().stdout:read("a"), "usual\n")
  pool:close()
end)
test("on_ready sees the child; what it raises comes out", function()
  local seen
  local child = assert(sandbox.spawn { "true", on_ready = function(pid, pidfd) seen = pidfd >= 0 and pid end })
  equal(seen, child.pid)
  child:wait()
  local refused = sandbox.command { "true", on_ready = function() error("not this one", 0) end }
  raises("not this one", refused.spawn, refused)
  raises("not this one", refused.run, refused)
end)
test("filters: conditions, simulation, refusals, export", function()
  local close = jit.arch == "x64" and 3 or 57
  local filter = sandbox.filter():rule(sandbox.ERRNO(1), "close", { 0, "==", 2 }):rule(sandbox.ERRNO(2), "close", { 0, "&", 0xff00, 0x100 }):deny("bpf", "io_uring")
  equal(filter:simulate(close, { 2 }), sandbox.ERRNO(1)) equal(filter:simulate(close, { 0x1aa }), sandbox.ERRNO(2)) equal(filter:simulate(close, { 7 }), sandbox.ALLOW)
  assert(filter:arch("x86"):flags("log"):deny_ioctl(1):deny_setsockopt(1, 2):oci_capabilities(1):policy_directory("/"):check())
  has(select(2, sandbox.filter():rule(sandbox.ALLOW, "no_such_call"):check()), "no_such_call")
  equal(select(2, sandbox.filter():policy("read: nonsense("):check()).errno, 22)
  equal(select(2, sandbox.filter():oci("{"):check()).errno, 22)
  equal(select(2, sandbox.filter():bpf(""):check()).errno, 22)
  equal(select(2, filter:export(-1)).errno, 9)
end)
test("a Lua function answers", function()
  local child, seen = assert(mkdir_asking():spawn())
  local supervisor = assert(sandbox.supervisor(child))
  supervisor:on(nil, function(call)
    local at = (jit.arch == "x64" and call.nr == 83) and 0 or 1
    local dirfd = at == 1 and call.args[1] or -100
    seen = call:path(dirfd, call.args[at + 1])
    equal(call:string(call.args[at + 1]), seen) equal(call:read(call.args[at + 1], 4), "/tmp")
    assert(call:is_alive() and call:pid() > 0 and call:tid() > 0 and call:pidfd() > 0)
    equal(select(2, call:read(1, 4)).errno, 14)
    local directory, name = call:parent(dirfd, call.args[at + 1])
    equal(name, "must-not-be")
    ffi.C.close(directory)
    assert(call:errno(28))
  end):run()
  equal(seen, "/tmp/must-not-be") assert(supervisor:ended() and supervisor:fileno() >= 0)
  has(child.stderr:read("a"), "No space left")
  equal(child:wait(20).exit_code, 1)
  equal(select(2, sandbox.supervisor(child)).errno, 22)
  raises("no system call", supervisor.on, supervisor, "no_such_call", print)
  supervisor:close()
end)
test("what a handler raises comes out, and the call is denied", function()
  local child = assert(mkdir_asking():spawn())
  local supervisor = assert(sandbox.supervisor(child))
  supervisor:on(nil, function() error("wrong", 0) end)
  raises("wrong", supervisor.run, supervisor)
  supervisor:run()
  has(child.stderr:read("a"), "Operation not permitted")
end)
test("thousands of calls from a hot loop", function()
  local child = assert(asking({ "sh", "-c", "i=0; while [ $i -lt 1000 ]; do umask 022; i=$((i+1)); done" }, "umask"):spawn())
  local supervisor, count = assert(sandbox.supervisor(child)), 0
  supervisor:on("umask", function(call) count = count + 1 call:return_value(18) end)
  while not supervisor:ended() do supervisor:dispatch(0.05) end
  assert(count >= 1000, count) -- a shell may ask several times
end)
test("a pool's children run their own programs", function()
  local pool = assert(sandbox.pool(sandbox.command { "echo", "usual", stdout = "pipe" }, 2))
  equal(pool:spawn().stdout:read("a"), "usual\n")
  equal(pool:spawn(sandbox.command { "sh", "-c", "echo $A", env = { A = "other" } }).stdout:read("a"), "other\n")
  equal(pool:refill(), 2) equal(pool:refill(), 0)
  equal(select(2, pool:spawn(sandbox.command { "/no/such/program" })).errno, 2)
  equal(select(2, sandbox.pool(sandbox.command { "true" }, 0)).errno, 22)
  pool:close()
  raises("closed", pool.spawn, pool)
end)
test("probe finds what there is", function() equal(sandbox.probe().spawn, 1) end)
test("every function of the library is used", function()
  local code = ""
  for name in pairs(package.loaded) do
    if name:find("^sandbox_spawn") then code = code .. io.open(assert(package.searchpath and package.searchpath(name, package.path))):read("*a") end
  end
  -- Code between fork and exec is not for an interpreter; run drives the supervisor in slices.
  local left_out = { sandbox_cmd_pre_exec = true, sandbox_supervisor_run = true }
  -- What event loops are given: handlers answer before they return, and run has its thread to itself.
  for _, name in ipairs { "notify_keep", "notify_free", "run_start", "run_step", "running_free" } do left_out["sandbox_" .. name] = true end
  local count = 0
  for name in require("sandbox_spawn.cdef"):gmatch("(sandbox_[%w_]+)%(") do
    count = count + 1
    if not left_out[name] and not code:find("lib." .. name .. "%f[^%w_]") then error("not used: " .. name) end
  end
  assert(count > 100)
end)
os.exit(failed and 1 or 0)
