-- Lua's values as the library takes them, and back: numbers, names of constants, strings, times, fds.

local ffi = require "ffi"
local C = require("sandbox_spawn.library").C

---A constant of the header by its name in lower case.
local function constant(prefix, name)
  local found, value = pcall(function() return C["SANDBOX_" .. prefix .. name:upper()] end)
  if not found then error(("sandbox: no %s%q"):format(prefix:lower():gsub("_", " "), name), 0) end
  return tonumber(value)
end

---A number, a name, or a list of names: the sum of their bits.
local function bits(prefix, value)
  if value == nil then return 0 end
  if type(value) ~= "table" then return type(value) == "string" and constant(prefix, value) or value end
  local sum = 0ULL
  local bor = bit.bor
  for _, name in ipairs(value) do sum = bor(sum, ffi.cast("uint64_t", type(name) == "string" and constant(prefix, name) or name)) end
  return sum
end

---Any integer as 64 bits: -1 is all of them.
local function u64(value)
  if type(value) == "boolean" then value = value and 1 or 0 end
  return ffi.cast("uint64_t", type(value) == "number" and ffi.cast("int64_t", value) or value)
end

---A number where that is exact.
local function plain(value)
  return value < 2 ^ 53 and tonumber(value) or value
end

local function text(value)
  if value == nil then return nil end
  value = tostring(value)
  if value:find("\0", 1, true) then error("sandbox: a NUL inside of a string", 0) end
  return value
end

---An array of C strings, and what keeps them alive.
local function strings(list)
  local array = ffi.new("const char *[?]", #list + 1)
  local kept = {}
  for i, each in ipairs(list) do
    kept[i] = text(each)
    array[i - 1] = kept[i]
  end
  return array, kept
end

---As pairs, in the order of the keys, numbers first: a table's own order differs from run to run.
local function sorted(of, rank)
  local keys, i = {}, 0
  rank = rank or {}
  for key in pairs(of) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b)
    if type(a) ~= type(b) then return type(a) == "number" end
    local ra, rb = rank[a] or 0, rank[b] or 0
    if ra ~= rb then return ra < rb end
    return a < b
  end)
  return function()
    i = i + 1
    return keys[i], of[keys[i]]
  end
end

local function milliseconds(seconds)
  if seconds == nil then return -1 end
  if not (seconds >= 0) then error("sandbox: a negative time", 0) end
  return math.min(math.ceil(seconds * 1000), 2 ^ 52)
end

---An fd: a number, or what has a fileno method.
local function fd_of(file)
  if type(file) == "number" then return file end
  return file:fileno()
end

---An int argument as it comes in a 64-bit register.
local function int(value) return tonumber(ffi.cast("int32_t", ffi.cast("uint64_t", u64(value)))) end

return { constant = constant, bits = bits, u64 = u64, int = int, plain = plain, text = text, strings = strings, sorted = sorted,
  milliseconds = milliseconds, fd_of = fd_of }
