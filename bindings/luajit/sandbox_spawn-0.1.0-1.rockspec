package = "sandbox_spawn"
version = "0.1.0-1"
source = { url = "." }
description = {
  summary = "Start Linux processes already confined, through libsandbox_spawn",
  license = "MIT OR Apache-2.0",
}
supported_platforms = { "linux" }
dependencies = { "lua == 5.1" }
external_dependencies = { SANDBOX_SPAWN = { header = "sandbox_spawn.h" } }
build = {
  type = "builtin",
  modules = {
    sandbox_spawn = "sandbox_spawn.lua",
    ["sandbox_spawn.call"] = "sandbox_spawn/call.lua",
    ["sandbox_spawn.callbacks"] = "sandbox_spawn/callbacks.lua",
    ["sandbox_spawn.cdef"] = "sandbox_spawn/cdef.lua",
    ["sandbox_spawn.child"] = "sandbox_spawn/child.lua",
    ["sandbox_spawn.command"] = "sandbox_spawn/command.lua",
    ["sandbox_spawn.filter"] = "sandbox_spawn/filter.lua",
    ["sandbox_spawn.library"] = "sandbox_spawn/library.lua",
    ["sandbox_spawn.pool"] = "sandbox_spawn/pool.lua",
    ["sandbox_spawn.run"] = "sandbox_spawn/run.lua",
    ["sandbox_spawn.setters"] = "sandbox_spawn/setters.lua",
    ["sandbox_spawn.status"] = "sandbox_spawn/status.lua",
    ["sandbox_spawn.stream"] = "sandbox_spawn/stream.lua",
    ["sandbox_spawn.supervisor"] = "sandbox_spawn/supervisor.lua",
    ["sandbox_spawn.values"] = "sandbox_spawn/values.lua",
  },
}
