/** What tells instances apart. */
export interface InstanceId {
  /** Deployment environment. */
  readonly env: string;
  /** Name of the service. */
  readonly appid: string;
  /** Failure domain. */
  readonly zone: string;
  /** Unique within env, appid and zone. */
  readonly hostname: string;
}
