-- The library, the few functions of C's that the modules need beside it, its handles and its errors.

local ffi = require "ffi"
ffi.cdef(require "sandbox_spawn.cdef")
ffi.cdef [[
long read(int fd, void *buffer, size_t size);
long write(int fd, const void *data, size_t size);
int close(int fd);
int getpid(void);
char *strerror(int errnum);
typedef struct { unsigned long bits[16]; } sandbox_lua_sigset;
int sigemptyset(sandbox_lua_sigset *set);
int sigaddset(sandbox_lua_sigset *set, int signal);
int sigpending(sandbox_lua_sigset *set);
int sigismember(const sandbox_lua_sigset *set, int signal);
int pthread_sigmask(int how, const sandbox_lua_sigset *set, sandbox_lua_sigset *old);
int sigwait(const sandbox_lua_sigset *set, int *signal);
]]
local C = ffi.C
local lib = ffi.load(os.getenv("SANDBOX_SPAWN_LIBRARY") or "libsandbox_spawn.so.0")

local library = { C = C, lib = lib }

---@class sandbox.Error
---@field errno integer
---@field stage string   which step: "exec", "mount", ...
---@field index integer  which item of that step, from 0
---@field message string
local Error = {}
Error.__index = Error
Error.__tostring = function(e) return ("%s[%d]: %s"):format(e.stage, e.index, e.message) end

---nil and an error: the library's own, else what the errno says.
function library.failure(code, e, doing)
  if e and e.code ~= 0 then
    return nil, setmetatable({ errno = -e.code, stage = ffi.string(lib.sandbox_stage_name(e.stage)), index = tonumber(e.index), message = ffi.string(e.message) }, Error)
  end
  return nil, setmetatable({ errno = -code, stage = "none", index = 0, message = (doing or "call") .. ": " .. ffi.string(C.strerror(-code)) }, Error)
end

---The result of a call without a sandbox_error: itself, or nil and an error.
function library.checked(code, doing)
  if code < 0 then return library.failure(code, nil, doing) end
  return tonumber(code)
end

---Has C's function free the handle when it is collected, or when it is called: only in the process that made it. What runs
---is the parent's, and a forked copy of this process is not to end it.
function library.owned(handle, free)
  local owner = C.getpid()
  return ffi.gc(handle, function(it) if C.getpid() == owner then free(it) end end)
end

return library
