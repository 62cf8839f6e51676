-- A gateway process is alive: renew the leases of its running requests, and hear of rebuilds under way.
-- KEYS: procs, since, lease, rebuild, expired. ARGV: process, lease in ms, then the requests to renew.
-- Answer: now in ms, since when processes are known, how many requests have expired, then the rebuilds.
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
call('SETNX', KEYS[2], now)
call('HSET', KEYS[1], ARGV[1], now)
for i = 3, #ARGV do call('ZADD', KEYS[3], 'XX', now + tonumber(ARGV[2]), ARGV[i]) end
local procs = call('HGETALL', KEYS[1])
for i = 1, #procs, 2 do
    if now - procs[i + 1] > 60000 then call('HDEL', KEYS[1], procs[i]) end
end
local rebuilds = call('HGETALL', KEYS[4])
local answer = {now, tonumber(call('GET', KEYS[2])), call('HLEN', KEYS[5])}
for i = 1, #rebuilds, 2 do
    if now - rebuilds[i + 1] > 60000 then
        call('HDEL', KEYS[4], rebuilds[i]) -- whoever began it has gone
    else
        answer[#answer + 1] = rebuilds[i]
    end
end
return answer
