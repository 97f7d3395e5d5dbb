// What changes a job in Redis, each as one script: nothing comes in between, and nothing is half done. Keys of jobs, queues and tenants are
// made from a prefix that is given as a key, as the connection may put one of its own before it.

/**
 * The first job of a queue, now running here, with the times it was begun; false when none waits. What was cancelled or has expired is dropped.
 * KEYS: queue, work list, prefix of jobs, prefix of tenants.
 */
export const takeScript = `
while true do
  local id = redis.call('LMOVE', KEYS[1], KEYS[2], 'LEFT', 'RIGHT')
  if not id then return false end
  local key = KEYS[3] .. id
  local found = redis.call('HMGET', key, 'status', 'job', 'tenant')
  if found[2] and (found[1] == 'Queued' or found[1] == 'Running') then
    redis.call('HSET', key, 'status', 'Running')
    redis.call('ZREM', KEYS[4] .. found[3], id)
    return {found[2], redis.call('HINCRBY', key, 'attempts', 1)}
  end
  redis.call('LREM', KEYS[2], 1, id)
end`;

/**
 * A job of a work list back to the front of its own queue. It stays Running, so that a replica that was thought dead may still finish it.
 * KEYS: work list, job, prefix of queues. ARGV: id, what is added to the times it was begun.
 */
export const putBackScript = `
local priority = redis.call('HGET', KEYS[2], 'priority')
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 or not priority then return 0 end
redis.call('HINCRBY', KEYS[2], 'attempts', ARGV[2])
redis.call('LPUSH', KEYS[3] .. priority, ARGV[1])
return 1`;

/** Cancels a job that has not ended. KEYS: job, its tenant's waiting ones. ARGV: id. */
export const cancelScript = `
local status = redis.call('HGET', KEYS[1], 'status')
if status ~= 'Queued' and status ~= 'Running' then return 0 end
redis.call('HSET', KEYS[1], 'status', 'Cancelled')
redis.call('HDEL', KEYS[1], 'job')
redis.call('ZREM', KEYS[2], ARGV[1])
return 1`;

/**
 * Ends a job and keeps its outcome, unless it was cancelled; then drops the oldest outcomes beyond the bounds.
 * KEYS: job, work list, finished (sorted by time), size of all kept, prefix of jobs. ARGV: id, status, field, outcome, retention, now,
 * most characters, most results.
 */
export const finishScript = `
local kept = 0
redis.call('HDEL', KEYS[1], 'job')
if redis.call('HGET', KEYS[1], 'status') == 'Running' then
  redis.call('HSET', KEYS[1], 'status', ARGV[2], ARGV[3], ARGV[4])
  kept = #ARGV[4]
end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('LREM', KEYS[2], 1, ARGV[1])
redis.call('ZADD', KEYS[3], ARGV[6], ARGV[1] .. ' ' .. kept)
local size = redis.call('INCRBY', KEYS[4], kept)
while true do
  local oldest = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
  if not oldest[1] then break end
  local expired = tonumber(oldest[2]) + tonumber(ARGV[5]) < tonumber(ARGV[6])
  if not expired and size <= tonumber(ARGV[7]) and redis.call('ZCARD', KEYS[3]) <= tonumber(ARGV[8]) then break end
  redis.call('ZREM', KEYS[3], oldest[1])
  local id, length = string.match(oldest[1], '^(%S+) (%d+)$')
  if not expired then redis.call('DEL', KEYS[5] .. id) end
  size = redis.call('DECRBY', KEYS[4], length)
end
return 1`;
