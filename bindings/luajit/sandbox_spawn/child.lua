-- The child that was started.

local ffi = require "ffi"
local library, values = require "sandbox_spawn.library", require "sandbox_spawn.values"
local stream, status_of = require "sandbox_spawn.stream", require "sandbox_spawn.status"
local C, lib, failure, checked, owned = library.C, library.lib, library.failure, library.checked, library.owned
local constant, milliseconds = values.constant, values.milliseconds

local ETIMEDOUT = 110

---@class sandbox.Child
---@field pid integer
---@field stdin sandbox.Stream?
---@field stdout sandbox.Stream?
---@field stderr sandbox.Stream?
---@field pty sandbox.Stream?
local Child = {}
Child.__index = Child

---What a spawn gives: a child, or nil and an error.
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

return started
