-- C functions that call Lua's: the library is given one of them, and a number by which the Lua function is found. They are
-- made when the first is needed, and live as long as the process. What a Lua function raises goes around C, not through it.

local ffi = require "ffi"

local ECANCELED = 125

local callbacks = {}
local functions, last_function = {}, 0
local raised -- what a Lua function raised below C

---Its number: as userdata, and to forget it by.
function callbacks.register(fn)
  last_function = last_function + 1
  functions[last_function] = fn
  return ffi.cast("void *", last_function), last_function
end
function callbacks.forget(id) functions[id] = nil end
function callbacks.of(userdata) return functions[tonumber(ffi.cast("intptr_t", userdata))] end

---What the C function returns of a Lua function that it calls: 0; or -ECANCELED after what that raised was kept.
function callbacks.code_of(fn, ...)
  local well, why = pcall(fn, ...)
  if well then return 0 end
  raised = { why }
  return -ECANCELED
end

local ready_callback
---The sandbox_ready_fn.
function callbacks.ready()
  ready_callback = ready_callback or ffi.cast("sandbox_ready_fn", function(pid, pidfd, id)
    return callbacks.code_of(callbacks.of(id), pid, pidfd)
  end)
  return ready_callback
end

---Calls a C function that may call back: never from compiled code, which no callback may interrupt.
function callbacks.around(fn, ...)
  local before = raised
  raised = nil
  local code = fn(...)
  local why = raised
  raised = before
  if code < 0 and why then error(why[1], 0) end
  return code
end
jit.off(callbacks.around)

return callbacks
