-- A request whose hold had expired did cost something after all: its record says so. Or it will never be known.
-- KEYS: expired. ARGV: request, nano-USD (-1: forget it), the store's run id.
local call = redis.call
local taken = call('HGET', KEYS[1], ARGV[1])
if not taken then return 0 end
call('HDEL', KEYS[1], ARGV[1])
local cost = tonumber(ARGV[2])
if cost <= 0 then return 1 end
local budgets = string.match(taken, ';([^;]*)$')
for key, window, days in string.gmatch(budgets, '([^,=]+)=(%d+)=(%d+)') do
    local held = call('HMGET', key, 'e', 'w', 'r')
    if held[3] then
        call('HSET', key .. ':late', ARGV[1], ARGV[2] .. ';' .. window)
        call('EXPIRE', key .. ':late', 120)
    elseif held[1] == ARGV[3] then
        if days ~= '0' then
            if tonumber(window) > tonumber(held[2]) - tonumber(days) then
                call('HINCRBY', key, 's', ARGV[2])
                call('HINCRBY', key, 'd' .. window, ARGV[2])
            end
        elseif held[2] == window then
            call('HINCRBY', key, 's', ARGV[2])
        end
    end
end
return 1
