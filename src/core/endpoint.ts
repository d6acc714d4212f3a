/** One address of a registered process, as balancers and wires see it. */
export interface Endpoint {
  /** Identity: instance id and address. A new process on an old address is another endpoint. */
  readonly id: string;
  /** Where to connect: `http://10.0.0.7:8080`, `grpc://[::1]:9000`. */
  readonly url: string;
  /** Relative share of the traffic; above 0, 100 is the usual. */
  readonly weight: number;
  /** Failure domain: data centre, availability zone. */
  readonly zone?: string | undefined;
  /** Version of the service that runs there. */
  readonly version?: string | undefined;
  /** Labels from the registry. */
  readonly metadata: Readonly<Record<string, string>>;
}
