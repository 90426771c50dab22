-- The host in LuaJIT: see hosts.py. host.lua MiB PROGRAM
local ffi = require "ffi"
local folder = arg[0]:match("^(.*)/[^/]*$") or "."
package.path = folder .. "/../../bindings/luajit/?.lua;" .. folder .. "/../../bindings/luajit/?/init.lua;" .. package.path

local PROGRAM = arg[2]
local function quoted(text) return '"' .. tostring(text):gsub("\n.*", ""):gsub('[\\"]', "\\%0"):gsub("%c", " ") .. '"' end
local function say(text) io.stdout:write(text, "\n") io.stdout:flush() end

local found, sandbox = pcall(require, "sandbox_spawn")
if not found then
  say('{"error": ' .. quoted("the binding: " .. tostring(sandbox)) .. "}")
  os.exit(0)
end

ffi.cdef [[
  struct host_time { long seconds, nanoseconds; };
  struct host_ended { int signal, error, code, pad, pid; unsigned user; int status, rest[32]; };
  int clock_gettime(int clock, struct host_time *time);
  int posix_spawn(int *pid, const char *path, const void *actions, const void *attributes, char *const *argv, char *const *envp);
  int waitpid(int pid, int *status, int options);
  int waitid(int type, unsigned id, struct host_ended *ended, int options);
  extern char **environ;
]]
local C = ffi.C
local time = ffi.new("struct host_time")
local function now_us()
  C.clock_gettime(1, time)
  return tonumber(time.seconds) * 1e6 + tonumber(time.nanoseconds) / 1e3
end
local memory -- of C's: a Lua string may be no longer than the collector likes
local size = tonumber(arg[1]) * 2 ^ 20
if size > 0 then
  memory = ffi.new("uint8_t[?]", size)
  ffi.fill(memory, size, 1)
end

-- Each way raises where the program did not run, or did not exit with 0.
local function judge(good, status) if not good then error("it ended with " .. tostring(status), 0) end end

local name = ffi.new("char[?]", #PROGRAM + 1, PROGRAM)
local argv = ffi.new("char *[2]")
argv[0] = name
local pid, status, ended = ffi.new("int[1]"), ffi.new("int[1]"), ffi.new("struct host_ended")
local function posix_spawn()
  local errno = C.posix_spawn(pid, PROGRAM, nil, nil, argv, C.environ)
  if errno ~= 0 then error("posix_spawn: errno " .. errno, 0) end
  assert(C.waitpid(pid[0], status, 0) == pid[0])
  judge(status[0] == 0, "wait status " .. status[0])
end
local function popen()
  local pipe = assert(io.popen(PROGRAM))
  pipe:read("*a")
  ended.pid = 0
  C.waitid(0, 0, ended, 0x1000004) -- P_ALL, WEXITED | WNOWAIT: Lua 5.1's close does not say how it ended
  pipe:close()
  judge(ended.pid > 0 and ended.code == 1 and ended.status == 0, "status " .. ended.status)
end
local function execute()
  local result = os.execute(PROGRAM)
  judge(result == 0 or result == true, result)
end

local ways = {
  { "posix_spawn", "posix_spawn by ffi, waitpid", nil, posix_spawn },
  { "ours", "sandbox_spawn: spawn, wait", "posix_spawn", function()
    local child = assert(sandbox.spawn { PROGRAM })
    local how = assert(child:wait())
    child:close()
    judge(how.exit_code == 0, how)
  end },
  { "popen", "io.popen (a shell's), read to its end", nil, popen },
  { "our_run", "sandbox_spawn: run", "popen", function()
    local how = assert(sandbox.run { PROGRAM }).status
    judge(how.exit_code == 0, how)
  end },
  { "execute", "os.execute (a shell's)", nil, execute },
}

local hello, known = {}, {}
for _, way in ipairs(ways) do
  local key, title, against, once = unpack(way, 1, 4)
  known[key] = once
  hello[#hello + 1] = '{"key": ' .. quoted(key) .. ', "title": ' .. quoted(title) .. (against and ', "against": ' .. quoted(against) or "") .. "}"
end
say('{"runtime": ' .. quoted(jit.version) .. ', "ways": [' .. table.concat(hello, ", ") .. "]}")
for key in io.lines() do
  local before = now_us()
  local good, why = pcall(known[key])
  local took = now_us() - before
  say(good and ('{"us": %.1f}'):format(took) or '{"error": ' .. quoted(why) .. "}")
end
