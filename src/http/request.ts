/** One HTTP request on its way through a client stack: not yet bound to an endpoint. */
export interface HttpRequest {
  /** As it goes out: `GET`. */
  readonly method: string;
  /** Path and query, beginning with `/`; no origin and no fragment. */
  readonly path: string;
  /**
   * Everything else, as the caller gave it: headers, body, cache mode. `method`, `redirect` and `signal` in it are not
   * read: the first stands above, redirects are followed outside of the stack, and the call knows whether it was aborted.
   */
  readonly init: RequestInit | undefined;
}
