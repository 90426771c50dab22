-- The host in LuaJIT: see hosts.py. host.lua MiB
local ffi = require "ffi"
local folder = arg[0]:match("^(.*)/[^/]*$") or "."
package.path = folder .. "/../../bindings/luajit/?.lua;" .. folder .. "/../../bindings/luajit/?/init.lua;" .. package.path

local TRUE = "/bin/true"
local function quoted(text) return '"' .. tostring(text):gsub("\n.*", ""):gsub('[\\"]', "\\%0"):gsub("%c", " ") .. '"' end
local function say(text) io.stdout:write(text, "\n") io.stdout:flush() end

local found, sandbox = pcall(require, "sandbox_spawn")
if not found then
  say('{"skip": ' .. quoted("no binding: " .. tostring(sandbox)) .. "}")
  os.exit(0)
end

ffi.cdef [[
  struct host_time { long seconds, nanoseconds; };
  int clock_gettime(int clock, struct host_time *time);
  int posix_spawn(int *pid, const char *path, const void *actions, const void *attributes, char *const *argv, char *const *envp);
  int waitpid(int pid, int *status, int options);
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

local name = ffi.new("char[?]", #TRUE + 1, TRUE)
local argv = ffi.new("char *[2]")
argv[0] = name
local pid, status = ffi.new("int[1]"), ffi.new("int[1]")
local function posix_spawn()
  assert(C.posix_spawn(pid, TRUE, nil, nil, argv, C.environ) == 0)
  assert(C.waitpid(pid[0], status, 0) == pid[0] and status[0] == 0)
end

local ways = {
  { "posix_spawn", "posix_spawn by ffi, waitpid", nil, posix_spawn },
  { "ours", "sandbox_spawn: spawn, wait", "posix_spawn", function()
    local child = sandbox.spawn { TRUE }
    child:wait()
    child:close()
  end },
  { "popen", "io.popen, read to its end", nil, function()
    local pipe = io.popen(TRUE)
    pipe:read("*a")
    pipe:close()
  end },
  { "our_run", "sandbox_spawn: run", "popen", function() sandbox.run { TRUE } end },
  { "execute", "os.execute (a shell's)", nil, function() assert(os.execute(TRUE) == 0) end },
}

local hello, known = {}, {}
for _, way in ipairs(ways) do
  local key, title, against, once = unpack(way, 1, 4)
  known[key] = once
  local good, why = pcall(once)
  hello[#hello + 1] = '{"key": ' .. quoted(key) .. ', "title": ' .. quoted(title) .. (against and ', "against": ' .. quoted(against) or "") ..
    (good and "" or ', "skipped": ' .. quoted(why)) .. "}"
end
say('{"runtime": ' .. quoted(jit.version) .. ', "ways": [' .. table.concat(hello, ", ") .. "]}")
for key in io.lines() do
  local before = now_us()
  known[key]()
  say(('{"us": %.1f}'):format(now_us() - before))
end
