-- Put back what running requests hold, where the store has lost it.
-- KEYS: lease, hold. ARGV: lease in ms, then request and what it took, in turns.
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local again = 0
for i = 2, #ARGV, 2 do
    if call('HSETNX', KEYS[2], ARGV[i], now .. ';' .. ARGV[i + 1]) == 1 then
        again = again + 1
        call('ZADD', KEYS[1], now + tonumber(ARGV[1]), ARGV[i])
        local limits = string.match(ARGV[i + 1], '^%d+;[^;]*;[^;]*;([^;]*);')
        for key in string.gmatch(limits, '[^,]+') do call('HINCRBY', key, 'c', 1) end
    end
end
return again
