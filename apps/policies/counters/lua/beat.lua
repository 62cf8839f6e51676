-- A gateway process is alive: renew the leases of its running requests, and hear of rebuilds under way.
-- KEYS: procs, since, lease, rebuild, expired. ARGV: process, lease in ms, the store's run id, then the requests to renew.
-- Answer: now in ms, since when processes are known, how many requests have expired, how many leases are over, then the rebuilds.
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local since, run = string.match(call('GET', KEYS[2]) or '', '^(%d+);(.*)$')
if run ~= ARGV[3] then -- what an earlier run knew of processes says nothing of who lives now
    since = now
    call('SET', KEYS[2], now .. ';' .. ARGV[3])
    call('DEL', KEYS[1])
end
call('HSET', KEYS[1], ARGV[1], now)
for i = 4, #ARGV do call('ZADD', KEYS[3], 'XX', now + tonumber(ARGV[2]), ARGV[i]) end
local procs = call('HGETALL', KEYS[1])
for i = 1, #procs, 2 do
    if now - procs[i + 1] > 60000 then call('HDEL', KEYS[1], procs[i]) end
end
local rebuilds = call('HGETALL', KEYS[4])
local answer = {now, tonumber(since), call('HLEN', KEYS[5]), call('ZCOUNT', KEYS[3], '-inf', now)}
for i = 1, #rebuilds, 2 do
    if now - rebuilds[i + 1] > 60000 then
        call('HDEL', KEYS[4], rebuilds[i]) -- whoever began it has gone
    else
        answer[#answer + 1] = rebuilds[i]
    end
end
return answer
