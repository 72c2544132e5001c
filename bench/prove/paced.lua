-- A steady load: each connection waits between two requests, so long as PACE says (milliseconds).
dofile(debug.getinfo(1, "S").source:sub(2):match("(.*/)") .. "../report.lua")
local pace = tonumber(os.getenv("PACE"))

function delay()
  return math.floor(math.random() * 2 * pace + 0.5)
end
