-- wrk script: one chat completion per request, and its figures as one line of JSON at the end.
-- BENCH_TOKEN: bearer token. BENCH_STREAM: a streamed answer. BENCH_MODEL: of which model. BENCH_PAUSE_MS: mean time that a connection rests between two
-- requests, exponentially distributed, so that arrivals are those of many independent clients; without it, it never rests.

local stream = os.getenv("BENCH_STREAM") and ',"stream":true,"stream_options":{"include_usage":true}' or ""
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. (os.getenv("BENCH_TOKEN") or "none")
-- 0.7 KB, which is what a short question below a short system prompt weighs.
wrk.body = '{"model":"' .. (os.getenv("BENCH_MODEL") or "gpt-4o-mini") .. '","messages":[{"role":"system","content":"You answer the questions of travellers about trains,'
  .. ' ferries and buses. Name the operator, the line and the time, say where to change, and say so when you do not know.'
  .. ' Answer in the language of the question, in three sentences at most, and never guess a price."},'
  .. '{"role":"user","content":"I am in Hamburg and want to be in Visby on Thursday evening, without flying and with a bicycle.'
  .. ' Which connections are there, where do I have to reserve a place for the bicycle, and which of the changes is so short'
  .. ' that a late train would make me miss the ferry?"}],"temperature":0.2,"max_tokens":256' .. stream .. "}"

local pause = tonumber(os.getenv("BENCH_PAUSE_MS") or "")
if pause then
  function init() math.randomseed(20) end
  function delay() return math.floor(-pause * math.log(1 - math.random()) + 0.5) end
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"seconds":%.6f,"p50_us":%.1f,"p99_us":%.1f,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    e.status, e.connect + e.read + e.write + e.timeout))
end
