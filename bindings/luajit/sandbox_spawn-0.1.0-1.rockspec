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
  modules = { sandbox_spawn = "sandbox_spawn.lua", sandbox_spawn_cdef = "sandbox_spawn_cdef.lua" },
}
