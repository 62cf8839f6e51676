"""The counters of limits and budgets in Valkey or Redis: what is kept there, and the scripts that alone change it.

    tg:l:…       a place's limits: token buckets `r` (requests) and `k` (tokens) with their
                 times `rt` and `kt`, `c` running requests
    tg:b:…       a budget in one window: `s` spent, `h` held (nano-USD), `w` the window, `e` the store's run it was built in,
                 `d<day>` spent by day where the window is rolling; `r` while it is being built
    tg:b:…:late  what was settled while it is being built
    tg:hold      request → what it holds, and where (`Taken`); tg:lease: request → until when, in milliseconds
    tg:expired   request → what it held when its lease ran out, until its record says what it cost
    tg:procs     gateway process → when it was last heard of; tg:since: since when that is known; the store's run
    tg:rebuild   a rebuild under way → its beginning; tg:acks:…: the processes that have brought it all they know

Every script runs in one step, so a request takes from all its limits and budgets or from none. Nothing here is the truth: the
ledger in PostgreSQL is, and what the store loses is built anew from it (rebuild.py).
"""
