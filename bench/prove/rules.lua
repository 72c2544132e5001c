-- Browser-like requests with a user id. Ten users have a rule in either config, guests in neither, so both proxies do
-- the same work but for the number of rules.
local count = 0
local fields = table.concat({
  "Host: shop.example.com",
  "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)",
  "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
  "Accept-Language: en-US,en;q=0.5",
  "Cookie: session=0123456789abcdef",
}, "\r\n")

request = function()
  count = count + 1
  local user = (count % 3 == 0 and "user-" or "guest-") .. (count % 10)
  return "GET /products/" .. count .. " HTTP/1.1\r\n" .. fields .. "\r\nX-User: " .. user .. "\r\n\r\n"
end

dofile(debug.getinfo(1, "S").source:match("@(.*/)") .. "../report.lua")
