-- LuaJIT, through ffi: the header itself, preprocessed, is the declaration. A line a test, as tests/run wants them.
--
-- usage: luajit spawn.lua libsandbox_spawn.so.0 sandbox_spawn.i      (the .i by `cc -E -P sandbox_spawn.h`)

local ffi = require("ffi")
local path, declarations = arg[1], assert(io.open(arg[2])):read("*a")
ffi.cdef(declarations)
ffi.cdef("ssize_t read(int fd, void *buffer, size_t size); ssize_t write(int fd, const void *data, size_t size); int close(int fd);")
local lib = ffi.load(path)

local function command(program, ...)
    local cmd = ffi.gc(lib.sandbox_cmd_new(program), lib.sandbox_cmd_free)
    for _, argument in ipairs({...}) do lib.sandbox_cmd_arg(cmd, argument) end
    return cmd
end

local function spawn(cmd)
    local child, err = ffi.new("sandbox_child *[1]"), ffi.new("sandbox_error")
    local code = lib.sandbox_spawn(cmd, child, err)
    assert(code == err.code, "the error's code is not the function's")
    return child[0], err
end

local function started(cmd)
    local child, err = spawn(cmd)
    assert(err.code == 0, ffi.string(err.message))
    return child
end

local function ended(child)
    local status = ffi.new("sandbox_status")
    assert(lib.sandbox_child_wait(child, 10000, status, ffi.sizeof(status)) == 0, "wait")
    lib.sandbox_child_free(child)
    return status
end

local function equal(seen, expected)
    assert(seen == expected, tostring(seen) .. " instead of " .. tostring(expected))
end

local tests = {
    {"the declarations and the library are of one version", function()
        assert(ffi.string(lib.sandbox_version()):match("^%d+%.%d+%.%d+$"))
    end},
    {"a filter program is fed and read", function()
        local cmd = command("tr", "a-z", "A-Z")
        lib.sandbox_cmd_stdio(cmd, 0, ffi.C.SANDBOX_STDIO_PIPE, -1)
        lib.sandbox_cmd_stdio(cmd, 1, ffi.C.SANDBOX_STDIO_PIPE, -1)
        local child = started(cmd)
        local to, from = lib.sandbox_child_take_fd(child, ffi.C.SANDBOX_FD_STDIN), lib.sandbox_child_take_fd(child, ffi.C.SANDBOX_FD_STDOUT)
        ffi.C.write(to, "from lua\n", 9)
        ffi.C.close(to)
        local buffer, text = ffi.new("char[64]"), ""
        while true do
            local n = tonumber(ffi.C.read(from, buffer, 64))
            if n <= 0 then break end
            text = text .. ffi.string(buffer, n)
        end
        ffi.C.close(from)
        equal(text, "FROM LUA\n")
        equal(ended(child).code, 0)
    end},
    {"an exit code comes back", function()
        local status = ended(started(command("sh", "-c", "exit 7")))
        equal(status.kind, tonumber(ffi.C.SANDBOX_EXITED))
        equal(status.code, 7)
    end},
    {"a signal comes back", function()
        local status = ended(started(command("sh", "-c", "kill -TERM $$")))
        equal(status.kind, tonumber(ffi.C.SANDBOX_SIGNALED))
        equal(status.code, 15)
    end},
    {"a missing program is an error of stage exec, and its message names it", function()
        local child, err = spawn(command("/no/such/program"))
        assert(child == nil)
        equal(err.code, -2)
        equal(ffi.string(lib.sandbox_stage_name(err.stage)), "exec")
        assert(ffi.string(err.message):find("/no/such/program", 1, true), ffi.string(err.message))
    end},
    {"a setter's error refuses the spawn", function()
        local cmd = command("true")
        lib.sandbox_cmd_set(cmd, ffi.C.SANDBOX_OPT_UMASK, 512)
        local child, err = spawn(cmd)
        assert(child == nil)
        equal(err.code, -22)
        equal(ffi.string(lib.sandbox_stage_name(err.stage)), "setup")
    end},
    {"a lua function decides at the gate", function()
        local refuse = ffi.cast("sandbox_ready_fn", function() return -16 end)
        local cmd = command("true")
        lib.sandbox_cmd_on_ready(cmd, refuse, nil)
        local _, err = spawn(cmd)
        refuse:free()
        equal(err.code, -16)
        equal(ffi.string(lib.sandbox_stage_name(err.stage)), "callback")
    end},
}

local failed = false
for _, test in ipairs(tests) do
    local fine, why = pcall(test[2])
    print(fine and "ok - luajit: " .. test[1] or "not ok - luajit: " .. test[1] .. ": " .. tostring(why))
    io.stdout:flush()
    failed = failed or not fine
end
os.exit(failed and 1 or 0)
