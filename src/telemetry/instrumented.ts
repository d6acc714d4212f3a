import diagnosticsChannel from 'node:diagnostics_channel';
import http from 'node:http';

interface Wrapped {
  readonly __wrapped?: unknown;
}

/** What Node keeps of whoever listens to a channel; an array in all versions so far. */
interface Heard {
  readonly _subscribers?: unknown;
}

// On the function itself, where every copy of the package finds it.
const brand = Symbol.for('keelson.listener.v1');

/** Says of a listener that it gives way to spans of ours, so that nobody has to be silent for it. */
export function givesWay<Listener extends object>(listener: Listener): Listener {
  return Object.assign(listener, { [brand]: true });
}

function isOther(listener: unknown): boolean {
  return typeof listener !== 'function' || !(brand in listener);
}

/** Whether anybody listens who may make spans of what is told there; one that cannot be looked at may. */
function isWatched(channel: diagnosticsChannel.Channel): boolean {
  if (!channel.hasSubscribers) return false;
  const { _subscribers: all } = channel as Heard;
  return Array.isArray(all) ? all.some(isOther) : true;
}

const created = 'undici:request:create';

/**
 * Whether an auto-instrumentation traces outgoing HTTP in this process: undici's (which `fetch` is made of) listens on a
 * channel, that of `node:http` has wrapped `request`. Looked up at each call, since both can come late and go again.
 */
export function httpInstrumented(): boolean {
  return isWatched(diagnosticsChannel.channel(created)) || (http.request as Wrapped).__wrapped === true;
}
