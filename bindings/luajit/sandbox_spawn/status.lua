-- How a program ended and what it used.

local plain = require("sandbox_spawn.values").plain

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

---Of the C struct.
local function status_of(s)
  local exited = s.kind == 1
  return setmetatable({ exit_code = exited and s.code or nil, signal = not exited and s.code or nil, cause = CAUSES[s.cause] or "none",
    core_dumped = s.core_dumped ~= 0, syscall = s.syscall >= 0 and tonumber(s.syscall) or nil,
    user_time = tonumber(s.user_time_us) / 1e6, system_time = tonumber(s.system_time_us) / 1e6, wall_time = tonumber(s.wall_time_us) / 1e6,
    peak_memory = plain(s.peak_memory_bytes), left_out = plain(s.left_out), pids_peak = plain(s.pids_peak), oom_kills = plain(s.oom_kills) }, Status)
end

return status_of
