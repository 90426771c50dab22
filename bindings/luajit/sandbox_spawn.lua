-- sandbox-spawn for LuaJIT: start processes already confined, through libsandbox_spawn.
--
--   local sandbox = require "sandbox_spawn"
--   print(sandbox.run{"sh", "-c", "echo hello", timeout = 5}.stdout)
--
-- What fails at run time gives nil and an error: a table with errno, stage, index, message. Misuse (an option that does
-- not exist) raises. Setters of commands and filters return the object: what the library refuses is kept by it, and comes
-- out of whatever uses the command.

local ffi = require "ffi"
local library = require "sandbox_spawn.library"
local lib, failure = library.lib, library.failure
local supervisor = require "sandbox_spawn.supervisor"
require "sandbox_spawn.run"

---@class sandbox
local sandbox = { version = ffi.string(lib.sandbox_version()), lib = lib,
  ALLOW = 0x7fff0000, LOG = 0x7ffc0000, NOTIFY = 0x7fc00000, TRAP = 0x00030000, KILL_THREAD = 0, KILL_PROCESS = 0x80000000 }

---The call returns -1 with this errno.
function sandbox.ERRNO(number) return 0x00050000 + number end
---A tracer decides, and is given this number.
function sandbox.TRACE(number) return 0x7ff00000 + number end

sandbox.filter, sandbox.command, sandbox.pool = require "sandbox_spawn.filter", require "sandbox_spawn.command", require "sandbox_spawn.pool"
sandbox.supervisor, sandbox.supervisor_of = supervisor.of_child, supervisor.of_listener

---A command and its spawn in one.
function sandbox.spawn(how) return sandbox.command(how):spawn() end
---A command and its run in one: the keys of both.
function sandbox.run(how) return sandbox.command(how):run(how) end

---What this kernel allows this process, by name, found by trying.
function sandbox.probe()
  local f = ffi.new("sandbox_features")
  local code = lib.sandbox_probe(f, ffi.sizeof(f))
  if code < 0 then return failure(code, nil, "probe") end
  return f
end

return sandbox
