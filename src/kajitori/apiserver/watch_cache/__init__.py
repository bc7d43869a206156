"""Every object in memory, fed by one watch of the store, and everyone who watches it.

| queue | bound | when full |
|---|---|---|
| the store's watch | the store's own | the cache reads everything anew; watchers get 410 and list again |
| history of a kind | `HISTORY_EVENTS`, `HISTORY_S` | the oldest go; a watch from before them gets 410 |
| history from before the start, from the store | `HISTORY_EVENTS`, `PATIENCE_S` | a watch from before it gets 410 |
| lines of an audience | `LINES_MAX`, beyond what connections buffer | who has not read the oldest gets 410 and ends |
"""
