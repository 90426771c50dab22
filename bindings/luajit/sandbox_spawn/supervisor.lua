-- The supervisor: answers a child's notified calls by Lua functions.

local library, callbacks, values = require "sandbox_spawn.library", require "sandbox_spawn.callbacks", require "sandbox_spawn.values"
local notify, ffi = require "sandbox_spawn.call", require "ffi"
local C, lib, failure, checked, owned = library.C, library.lib, library.failure, library.checked, library.owned
local around, fd_of, milliseconds, text = callbacks.around, values.fd_of, values.milliseconds, values.text

local EINVAL = 22

---@class sandbox.Supervisor
local Supervisor = {}
Supervisor.__index = Supervisor
local function supervisor(handle)
  if handle == nil then return failure(-EINVAL, nil, "supervisor: no filter that notifies, or its listener was taken") end
  return setmetatable({ _sup = owned(handle, lib.sandbox_supervisor_free), _owner = C.getpid(), _ids = {} }, Supervisor)
end
---Answers the notified calls of a child.
local function of_child(child) return supervisor(lib.sandbox_supervisor_new(child:_handle())) end
---Of a listener that came from elsewhere; both fds are borrowed.
local function of_listener(listener, pidfd) return supervisor(lib.sandbox_supervisor_from_fd(fd_of(listener), pidfd and fd_of(pidfd) or -1)) end
function Supervisor:_handle() return self._sup or error("sandbox: the supervisor is closed", 3) end
---Has function(call) called for a system call by name; nil as the name: for all others; nil as the function: none.
---What it raises has the call denied with EPERM, and comes out of run or dispatch.
function Supervisor:on(syscall, fn)
  local userdata, id
  if fn then
    userdata, id = callbacks.register(fn)
    self._ids[#self._ids + 1] = id
  end
  local code = lib.sandbox_supervisor_on(self:_handle(), text(syscall), fn and notify() or nil, userdata)
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
  for _, id in ipairs(self._ids) do callbacks.forget(id) end
  self._sup, self._ids = nil, {}
end

return { of_child = of_child, of_listener = of_listener }
