/**
 * GCRA as a leaky bucket of debt: what was granted and has not drained yet. A key holds `debt stamp refunded born`: the
 * debt at that time, the sum of all refunds, and when the key was made; times in microseconds of Redis's clock. Without
 * a key nothing is owed, so it expires when its debt is gone.
 *
 * KEYS: the key. ARGV: perSecond, burst, least and most that is wanted, what is given back, and the mark of the grant
 * that it came with. Answers `granted debt now refunded`; the last three are the mark of this grant.
 *
 * - TIME decides, so no client's clock matters. Redis replicates what a script wrote and not the script (always since
 *   Redis 5), so a replica needs no clock either. After a failover to a server whose clock is behind no time has
 *   passed, and it goes on from there; hence the write even when nothing is granted.
 * - A refund may not exceed what its grant still adds to the debt, or more would pass than the rate allows: had the
 *   bucket run dry meanwhile, the grant no longer matters. `owed - drained - refunded since` is a lower bound of that. A
 *   grant from before the key was made was forgotten with the old key.
 * - Beyond `least` only whole tokens are granted: a fraction is of more use to all in the bucket than to one outside.
 * - What is no such state was written by somebody else, and is left alone.
 */
export const script = `local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local perUs = ARGV[1] / 1000000
local least, most, back = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local debt, stamp, refunded, born = 0, now, 0, now
local held = redis.call('GET', KEYS[1])
if held then
  local d, s, r, b = string.match(held, '^([%d.e+-]+) (%d+) ([%d.e+-]+) (%d+)$')
  debt, stamp, refunded, born = tonumber(d), tonumber(s), tonumber(r), tonumber(b)
  if not (debt and stamp and refunded and born) then
    return redis.error_reply('WRONGTYPE ' .. KEYS[1] .. ' holds no rate')
  end
  debt = math.max(0, debt - math.max(0, now - stamp) * perUs)
end
if back > 0 then
  local o, a, g = string.match(ARGV[6], '^(%S+) (%S+) (%S+)$')
  local owed, at, given = tonumber(o), tonumber(a), tonumber(g)
  if at < born or at > now or given > refunded then
    back = 0
  else
    back = math.max(0, math.min(back, debt, owed - (now - at) * perUs - (refunded - given)))
  end
  debt = debt - back
  refunded = refunded + back
end
local granted = 0
local free = ARGV[2] - debt
if most > 0 and free + 0.000001 >= least then
  granted = least + math.max(0, math.floor(math.min(most, free) - least + 0.000001))
  debt = debt + granted
end
if granted > 0 or back > 0 or stamp > now then
  local ttl = math.min(1e12, math.ceil(debt / ARGV[1] * 1000) + 1000)
  local state = string.format('%.17g %.0f %.17g %.0f', debt, now, refunded, born)
  redis.call('SET', KEYS[1], state, 'PX', string.format('%.0f', ttl))
end
return string.format('%.17g %.17g %.0f %.17g', granted, debt, now, refunded)`;

/** SHA-1 of {@link script}: a constant, for the platform's own would be a promise. A test compares them. */
export const scriptSha = '2c74b8032bc2b5c30da04c10f504e57937411afe';

/** What Redis answers. */
export interface Grant {
  /** How much this process may let pass. */
  readonly granted: number;
  /** What all processes together owe, this grant included. */
  readonly debt: number;
  /** Goes back with what is given back. */
  readonly mark: string;
}

const answer = /^(\S+) ((\S+) \d+ \S+)$/;

/**
 * Reads an answer of the script.
 *
 * @throws TypeError when it is none
 */
export function readGrant(reply: unknown): Grant {
  // A string, or a Buffer if the client was told so.
  const parts = answer.exec(String(reply));
  const granted = Number(parts?.[1]);
  const debt = Number(parts?.[3]);
  if (parts === null || !(granted >= 0 && debt >= 0))
    throw new TypeError(`Redis answered something else: ${String(reply).slice(0, 80)}`);
  return { granted, debt, mark: parts[2] as string };
}
