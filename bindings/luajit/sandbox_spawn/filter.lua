-- Filters of system calls.

local ffi = require "ffi"
local library, values = require "sandbox_spawn.library", require "sandbox_spawn.values"
local lib, failure, checked = library.lib, library.failure, library.checked
local bits, fd_of, text, u64 = values.bits, values.fd_of, values.text, values.u64

local ALLOW = 0x7fff0000

---@class sandbox.Filter
local Filter = {}
Filter.__index = Filter
local OPS = { ["=="] = 1, ["~="] = 2, ["<"] = 3, ["<="] = 4, [">="] = 5, [">"] = 6, ["&"] = 7 }

---@param default integer?  an action: sandbox.ALLOW (the default), ERRNO(n), ...
local function filter(default)
  return setmetatable({ _filter = ffi.gc(lib.sandbox_filter_new(default or ALLOW), lib.sandbox_filter_free) }, Filter)
end

---An action for a system call where all conditions hold: {0, "==", 5}, or {1, "&", mask, value}.
function Filter:rule(action, syscall, ...)
  local conditions = { ... }
  local args = ffi.new("sandbox_arg[?]", math.max(#conditions, 1))
  for i, condition in ipairs(conditions) do
    local op = OPS[condition[2]] or error("sandbox: no comparison " .. tostring(condition[2]), 2)
    local arg = args[i - 1]
    arg.index, arg.op = condition[1], op
    if op == 7 then arg.mask, arg.value = u64(condition[3]), u64(condition[4]) else arg.value = u64(condition[3]) end
  end
  lib.sandbox_filter_rule(self._filter, action, text(syscall), args, #conditions)
  return self
end
---Ready-made: names of SANDBOX_DENY_* in lower case, deny("io_uring", "bpf").
function Filter:deny(...) lib.sandbox_filter_deny(self._filter, bits("DENY_", { ... })) return self end
function Filter:deny_ioctl(request) lib.sandbox_filter_deny_ioctl(self._filter, request) return self end
function Filter:deny_setsockopt(level, option) lib.sandbox_filter_deny_setsockopt(self._filter, level, option) return self end
function Filter:arch(name) lib.sandbox_filter_arch(self._filter, text(name)) return self end
function Filter:flags(flags) lib.sandbox_filter_flags(self._filter, bits("FILTER_", flags)) return self end
function Filter:policy_directory(path) lib.sandbox_filter_policy_directory(self._filter, text(path)) return self end
function Filter:oci_capabilities(mask) lib.sandbox_filter_oci_capabilities(self._filter, u64(mask)) return self end
function Filter:bpf(program) lib.sandbox_filter_bpf(self._filter, program, #program / 8) return self end
---Rules in minijail's language. What can't be read is told by check, line and column too.
function Filter:policy(policy) return self:_read(lib.sandbox_filter_policy, policy) end
---A profile of the OCI runtime specification.
function Filter:oci(json) return self:_read(lib.sandbox_filter_oci, json) end
function Filter:_read(fn, data)
  local e = ffi.new("sandbox_error")
  local code = fn(self._filter, data, #data, e)
  if code < 0 and not self._error then self._error = select(2, failure(code, e)) end
  return self
end
---The filter; or nil and what a setter refused.
function Filter:check()
  if self._error then return nil, self._error end
  local cmd, err = require "sandbox_spawn.command" { "filter" }:filter(self):check()
  if not cmd then return nil, err end
  return self
end
---What the kernel would do with a call: an action. `arch` is AUDIT_ARCH_*, the native one by default.
function Filter:simulate(nr, args, arch)
  local call, action = ffi.new("sandbox_syscall"), ffi.new("uint32_t[1]")
  call.arch, call.nr = arch or ({ x64 = 0xC000003E, arm64 = 0xC00000B7 })[jit.arch], nr
  for i, value in ipairs(args or {}) do call.args[i - 1] = u64(value) end
  local code = lib.sandbox_filter_simulate(self._filter, call, action)
  if code < 0 then return failure(code, nil, "simulate") end
  return action[0]
end
---Writes the compiled instructions to an fd; their number.
function Filter:export(file) return checked(lib.sandbox_filter_export(self._filter, fd_of(file)), "export") end

return filter
