import { type Balancer, type Lease, type LoadMeter, type PickHint, p2c } from 'keelson/balancer';
import type { Endpoint, Random } from 'keelson/core';

export function endpoint(id: string, more: Partial<Endpoint> = {}): Endpoint {
  return { id, url: `http://${id}`, weight: 100, metadata: {}, ...more };
}

/** `e0`, `e1`, … */
export function endpoints(count: number, more: (at: number) => Partial<Endpoint> = () => ({})): Endpoint[] {
  return Array.from({ length: count }, (_, at) => endpoint(`e${at}`, more(at)));
}

/** Random numbers from a list, over and over. */
export function sequence(numbers: readonly number[]): Random {
  let at = 0;
  return () => numbers[at++ % numbers.length] as number;
}

/** Which part of the calls each endpoint gets, one call at a time. */
export function shares(balancer: Balancer, calls: number, hint?: PickHint): Map<string, number> {
  const counts = new Map<string, number>();
  for (let call = 0; call < calls; call++) {
    const lease = balancer.pick(call, hint);
    if (lease === null) continue;
    counts.set(lease.endpoint.id, (counts.get(lease.endpoint.id) ?? 0) + 1);
    lease.release('success', call);
  }
  return new Map(Array.from(counts, ([id, count]) => [id, count / calls]));
}

/** A call of the endpoint of this meter, which is told of it as it always is: by a lease. */
export function begin(meter: LoadMeter, now: number): Lease<Endpoint> {
  const balancer = p2c({ meter: () => meter });
  balancer.update(endpoints(1), now);
  return balancer.pick(now) as Lease<Endpoint>;
}
