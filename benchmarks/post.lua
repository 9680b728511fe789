-- Posts one question after the other; counts replies that are no 200, and the bytes of the others.
local bodies, path = {}, os.getenv("BENCH_PATH")
for line in io.lines(os.getenv("BENCH_BODIES")) do bodies[#bodies + 1] = line end
local sent, threads = 0, {}

function setup(thread) threads[#threads + 1] = thread end

function init() wrong, first = 0, "" end

function request()
  sent = sent + 1
  local method = os.getenv("BENCH_METHOD")
  local body = bodies[(sent - 1) % #bodies + 1]
  if method == "GET" then return wrk.format("GET", path .. body) end
  return wrk.format("POST", path, {["content-type"] = "application/json"}, body)
end

function response(status, _, body)
  if status ~= 200 or #body < 100 then
    wrong = wrong + 1
    if first == "" then first = status .. " " .. body:sub(1, 200) end
  end
end

function done(summary, latency)
  local wrongs, told = 0, ""
  for _, thread in ipairs(threads) do
    wrongs = wrongs + thread:get("wrong")
    told = thread:get("first")
  end
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "seconds": %.4f, "p50": %.3f, "p95": %.3f, "p99": %.3f, "wrong": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(95) / 1e3, latency:percentile(99) / 1e3,
    wrongs + errors.connect + errors.read + errors.write + errors.timeout))
  if wrongs > 0 then io.stderr:write(told, "\n") end
end
