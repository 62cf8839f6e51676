-- Take back what requests hold whose lease is over, or that an operator names, and remember it as expired.
-- KEYS: lease, hold, expired. ARGV: how many at most; then requests to release whatever their lease.
-- Answer: the requests released.
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = {}
for i = 2, #ARGV do due[#due + 1] = ARGV[i] end
if #due == 0 then due = call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, tonumber(ARGV[1])) end
local released = {}
for _, request in ipairs(due) do
    local taken = call('HGET', KEYS[2], request)
    call('ZREM', KEYS[1], request)
    if taken then
        call('HDEL', KEYS[2], request)
        call('HSET', KEYS[3], request, taken)
        released[#released + 1] = request
        local amount, limits, budgets = string.match(taken, '^%d+;(%d+);[^;]*;[^;]*;([^;]*);([^;]*)$')
        for key in string.gmatch(limits, '[^,]+') do
            if call('HEXISTS', key, 'c') == 1 and call('HINCRBY', key, 'c', -1) < 0 then call('HSET', key, 'c', 0) end
        end
        for key, window, days in string.gmatch(budgets, '([^,=]+)=(%d+)=(%d+)') do
            local held = call('HMGET', key, 'w', 'r')
            if held[1] and not held[2] and (days ~= '0' or held[1] == window) then
                call('HINCRBY', key, 'h', '-' .. amount)
            end
        end
    end
end
return released
