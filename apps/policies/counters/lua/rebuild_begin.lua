-- Begin to build budgets anew: until the end they admit nothing, and what is settled meanwhile is kept apart.
-- KEYS: rebuild, procs, since, then budgets. ARGV: the rebuild's name, the store's run id, whether built ones are built again.
-- Answer: now, how many budgets were begun, which (by position).
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local begun = {}
if string.match(call('GET', KEYS[3]) or '', ';(.*)$') ~= ARGV[2] then
    call('SET', KEYS[3], now .. ';' .. ARGV[2]) -- whoever lives is heard of from now on
    call('DEL', KEYS[2])
end
for i = 4, #KEYS do
    local held = call('HMGET', KEYS[i], 'e', 'r')
    if not held[2] and (held[1] ~= ARGV[2] or ARGV[3] == '1') then
        call('DEL', KEYS[i], KEYS[i] .. ':late')
        call('HSET', KEYS[i], 'r', ARGV[1])
        call('PEXPIRE', KEYS[i], 60000) -- should whoever builds it die, the next one begins again
        begun[#begun + 1] = i - 3
    end
end
if #begun > 0 then call('HSET', KEYS[1], ARGV[1], now) end
local answer = {now, #begun}
for _, i in ipairs(begun) do answer[#answer + 1] = i end
return answer
