std = "ngx_lua"
max_line_length = 140
exclude_files = { "lua/vendor", "node_modules", "run" }
files["lua/configure.lua"].globals = { "arg" }
files["test/lua"].std = "ngx_lua+busted"
files["lua/framegate"].not_globals = { "ngx.log" } -- runtime/log.lua: no line has the query of a request
