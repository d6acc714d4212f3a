const servers = new WeakSet<object>();

/** From now on what a server is asked makes no spans: whoever scrapes metrics has no trace. */
export function leaveUntraced<Server extends object>(server: Server): Server {
  servers.add(server);
  return server;
}

/** Whether that was said of a server. */
export function isUntraced(server: object): boolean {
  return servers.has(server);
}
