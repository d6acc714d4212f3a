/** A registered process. What a registry stores, whatever its wire form. */
export interface ServiceInstance {
  /** Unique among all instances of the service; a restarted process has a new one. */
  readonly id: string;
  /** Logical name of the service. */
  readonly service: string;
  /**
   * Host part of its identity in registries that key by host: `<os.hostname()>-<port>` unless told otherwise, with the
   * address before the port where a server is bound to one.
   */
  readonly hostname: string;
  /** Where it listens: `http://10.0.0.7:8080`, `grpc://[::1]:9000`. */
  readonly addresses: readonly string[];
  /** Version of the service; empty when unknown. */
  readonly version: string;
  /** Failure domain. */
  readonly zone: string;
  /** Deployment environment: `prod`, `uat`. Services of different environments do not see each other. */
  readonly env: string;
  /** Geographic region; may be empty. */
  readonly region: string;
  /** Relative share of the traffic; 100 is the usual. */
  readonly weight: number;
  /** `up` takes traffic, `waiting` is registered only. */
  readonly status: 'up' | 'waiting';
  /** Labels. */
  readonly metadata: Readonly<Record<string, string>>;
}
