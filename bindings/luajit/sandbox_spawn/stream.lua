-- Pipes and terminals of a child: this process's end.

local ffi = require "ffi"
local library = require "sandbox_spawn.library"
local C, failure = library.C, library.failure

local EINTR, EIO, EPIPE, SIGPIPE = 4, 5, 32, 13

---@class sandbox.Stream
local Stream = {}
Stream.__index = Stream

---Of an fd, which it owns; nil where that is negative.
local function stream(fd)
  if fd < 0 then return nil end
  local self = setmetatable({ _fd = fd, _buffer = "" }, Stream)
  self._guard = ffi.gc(ffi.new("char[1]"), function() self.close(self) end)
  return self
end

function Stream:fileno() return self._fd end

function Stream:_more()
  local buffer = ffi.new("char[65536]")
  while true do
    local n = tonumber(C.read(self._fd, buffer, 65536))
    if n > 0 then return ffi.string(buffer, n) end
    if n == 0 then return nil end
    local errno = ffi.errno()
    if errno == EIO and self._is_pty then return nil end -- its other side is closed
    if errno ~= EINTR then return failure(-errno, nil, "read") end
  end
end

---As io's read: "a" (all, the default), "l", "L", or up to n bytes. nil at the end; nil and an error.
function Stream:read(what)
  what = type(what) == "string" and what:gsub("^%*", "") or what or "a"
  local parts = { self._buffer }
  local have = #self._buffer
  self._buffer = ""
  while true do
    local last = parts[#parts]
    if what == "l" or what == "L" then
      local at = last:find("\n", 1, true)
      if at then
        self._buffer = last:sub(at + 1)
        parts[#parts] = last:sub(1, what == "L" and at or at - 1)
        return table.concat(parts)
      end
    elseif type(what) == "number" then
      if have >= what then
        local all = table.concat(parts)
        self._buffer = all:sub(what + 1)
        return all:sub(1, what)
      end
    elseif what ~= "a" then
      error("sandbox: read takes \"a\", \"l\", \"L\" or a number", 2)
    end
    local more, err = self:_more()
    if err then return nil, err end
    if not more then
      local all = table.concat(parts)
      if what ~= "a" and all == "" then return nil end
      return all
    end
    parts[#parts + 1] = more
    have = have + #more
  end
end

function Stream:lines() return function() return self:read("l") end end

---Writes all of it. Where nobody reads any more: nil and EPIPE, without a SIGPIPE to this process.
function Stream:write(data)
  data = tostring(data)
  local pipe, old, pending = ffi.new("sandbox_lua_sigset"), ffi.new("sandbox_lua_sigset"), ffi.new("sandbox_lua_sigset")
  C.sigemptyset(pipe)
  C.sigaddset(pipe, SIGPIPE)
  C.sigpending(pending)
  local was_pending = C.sigismember(pending, SIGPIPE) == 1
  C.pthread_sigmask(0, pipe, old) -- SIG_BLOCK
  local at, size, errno = ffi.cast("const char *", data), #data, 0
  while size > 0 and errno == 0 do
    local n = tonumber(C.write(self._fd, at, size))
    if n >= 0 then
      at, size = at + n, size - n
    elseif ffi.errno() ~= EINTR then
      errno = ffi.errno()
    end
  end
  if errno == EPIPE and not was_pending then C.sigwait(pipe, ffi.new("int[1]")) end
  C.pthread_sigmask(2, old, nil) -- SIG_SETMASK
  if errno ~= 0 then return failure(-errno, nil, "write") end
  return self
end

function Stream:close()
  if self._fd >= 0 then C.close(self._fd) end
  self._fd = -1
end

return stream
