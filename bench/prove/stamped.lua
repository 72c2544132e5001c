-- Every request says in its path when it was made, in nanoseconds since the epoch, just before it is sent.
local ffi = require("ffi")
ffi.cdef[[ struct ts { long s; long ns; }; int clock_gettime(int clock, struct ts *at); ]]
local at = ffi.new("struct ts")

request = function()
  ffi.C.clock_gettime(0, at)
  return string.format("GET /at/%d%09d HTTP/1.1\r\nHost: shop.test\r\n\r\n", tonumber(at.s), tonumber(at.ns))
end

dofile(debug.getinfo(1, "S").source:match("@(.*/)") .. "../report.lua")
