-- A command's run from start to end, with limits; Command:run is this.

local ffi = require "ffi"
local library, values = require "sandbox_spawn.library", require "sandbox_spawn.values"
local Command, status_of, around = require "sandbox_spawn.setters", require "sandbox_spawn.status", require("sandbox_spawn.callbacks").around
local lib, failure = library.lib, library.failure
local constant, fd_of, milliseconds, plain = values.constant, values.fd_of, values.milliseconds, values.plain

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
