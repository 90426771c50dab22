-- Children set up ahead.

local ffi = require "ffi"
local library = require "sandbox_spawn.library"
local started, around = require "sandbox_spawn.child", require("sandbox_spawn.callbacks").around
local C, lib, failure, owned = library.C, library.lib, library.failure, library.owned

local EINVAL = 22

---@class sandbox.Pool
local Pool = {}
Pool.__index = Pool
---Children of one command, set up ahead: 1 to 4096.
local function pool(command, size)
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

return pool
