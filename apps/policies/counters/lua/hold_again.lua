-- Put back what running requests hold, where the store has lost it.
-- KEYS: lease, hold, expired. ARGV: lease in ms, then request and what it took, in turns.
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local again = 0
for i = 2, #ARGV, 2 do
    if call('HSETNX', KEYS[2], ARGV[i], now .. ';' .. ARGV[i + 1]) == 1 then
        again = again + 1
        call('HDEL', KEYS[3], ARGV[i])
        call('ZADD', KEYS[1], now + tonumber(ARGV[1]), ARGV[i])
        local amount, limits, budgets = string.match(ARGV[i + 1], '^(%d+);[^;]*;[^;]*;([^;]*);([^;]*)$')
        for key in string.gmatch(limits, '[^,]+') do
            -- As admit leaves them: buckets that have taken nothing.
            for _, field in ipairs({'r', 'rt', 'k', 'kt'}) do call('HSETNX', key, field, 0) end
            call('HINCRBY', key, 'c', 1)
            if call('TTL', key) < 0 and string.sub(key, 1, 7) == 'tg:l:e:' then call('EXPIRE', key, 3600) end
        end
        for key, window, days in string.gmatch(budgets, '([^,=]+)=(%d+)=(%d+)') do
            local held = call('HMGET', key, 'w', 'r')
            if held[1] and not held[2] and (days ~= '0' or held[1] == window) then call('HINCRBY', key, 'h', amount) end
        end
    end
end
return again
