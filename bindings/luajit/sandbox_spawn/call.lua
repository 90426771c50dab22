-- A notified call, as a handler sees and answers it.

local ffi = require "ffi"
local library, callbacks, values = require "sandbox_spawn.library", require "sandbox_spawn.callbacks", require "sandbox_spawn.values"
local lib, checked = library.lib, library.checked
local fd_of, int, plain = values.fd_of, values.int, values.plain

local EPERM = 1

---@class sandbox.Call
---@field nr integer
---@field arch integer
---@field args table<integer, integer>  from 1; an uint64_t where a number is not exact
local Call = {}
Call.__index = Call
function Call:_look()
  local call = ffi.new("sandbox_syscall")
  lib.sandbox_notify_call(self._n, call, ffi.sizeof(call))
  self.nr, self.arch, self.args = call.nr, call.arch, {}
  for i = 0, 5 do self.args[i + 1] = plain(call.args[i]) end
end
function Call:_handle() return self._n or error("sandbox: the handler has returned", 3) end
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

local notify_callback
---The sandbox_notify_fn.
local function notify()
  notify_callback = notify_callback or ffi.cast("sandbox_notify_fn", function(n, id)
    local handle = setmetatable({ _n = n }, Call)
    local code = callbacks.code_of(function()
      handle:_look()
      callbacks.of(id)(handle)
    end)
    handle._n = nil
    if code ~= 0 then lib.sandbox_notify_errno(n, EPERM) end -- nothing where it was answered
    return code
  end)
  return notify_callback
end

return notify
