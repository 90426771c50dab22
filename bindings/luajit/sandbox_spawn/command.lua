-- The command: made of a table, looked at, spawned. Its setters are in sandbox_spawn.setters, its run in sandbox_spawn.run.

local ffi = require "ffi"
local library, values = require "sandbox_spawn.library", require "sandbox_spawn.values"
local Command, started, around = require "sandbox_spawn.setters", require "sandbox_spawn.child", require("sandbox_spawn.callbacks").around
local lib, failure = library.lib, library.failure
local sorted, text = values.sorted, values.text

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
local function command(how)
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

return command
