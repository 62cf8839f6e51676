-- Take back what requests hold whose lease is over, or that an operator names. What they cost is charged in the same step where
-- it is known; else they are remembered as expired, until their records say.
-- KEYS: lease, hold, expired. ARGV: the store's run id, whether their leases are asked about (1) or not (0), then request and
--       nano-USD (-1: not known) in turns.
-- Answer: the requests released.
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local released = {}
for i = 3, #ARGV, 2 do
    local request, cost = ARGV[i], tonumber(ARGV[i + 1])
    local taken = call('HGET', KEYS[2], request)
    local lease = tonumber(call('ZSCORE', KEYS[1], request) or 0)
    if taken and (ARGV[2] == '0' or lease <= now) then
        call('ZREM', KEYS[1], request)
        call('HDEL', KEYS[2], request)
        if cost < 0 then call('HSET', KEYS[3], request, taken) end
        released[#released + 1] = request
        local amount, limits, budgets = string.match(taken, '^%d+;(%d+);[^;]*;[^;]*;([^;]*);([^;]*)$')
        for key in string.gmatch(limits, '[^,]+') do
            if call('HEXISTS', key, 'c') == 1 and call('HINCRBY', key, 'c', -1) < 0 then call('HSET', key, 'c', 0) end
        end
        for key, window, days in string.gmatch(budgets, '([^,=]+)=(%d+)=(%d+)') do
            local held = call('HMGET', key, 'e', 'w', 'r')
            if held[3] then
                if cost >= 0 then
                    call('HSET', key .. ':late', request, ARGV[i + 1] .. ';' .. window)
                    call('EXPIRE', key .. ':late', 120)
                end
            elseif held[2] and (days ~= '0' or held[2] == window) then
                if amount ~= '0' then call('HINCRBY', key, 'h', '-' .. amount) end -- HINCRBY refuses -0
                if cost > 0 and held[1] == ARGV[1] then
                    if days == '0' then
                        call('HINCRBY', key, 's', ARGV[i + 1])
                    elseif tonumber(window) > tonumber(held[2]) - tonumber(days) then
                        call('HINCRBY', key, 's', ARGV[i + 1])
                        call('HINCRBY', key, 'd' .. window, ARGV[i + 1])
                    end
                end
            end
        end
    elseif not taken then
        call('ZREM', KEYS[1], request)
    end
end
return released
