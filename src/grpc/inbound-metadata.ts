import type { Metadata } from '@grpc/grpc-js';
import { MetadataCarrier } from './metadata-carrier.js';

const timeoutName = 'grpc-timeout';
/** Eight digits are what the header holds; whoever has more time than these 27 hours is as good as without a deadline. */
const mostMs = 99_999_999;

/**
 * What a client sent, with the time that is left under the name by which it came: grpc-js takes that header out, and knows
 * the deadline on the clock of the wall.
 */
export class InboundMetadata extends MetadataCarrier {
  private readonly timeout: string | undefined;

  constructor(metadata: Metadata, leftMs: number) {
    super(metadata);
    this.timeout = leftMs <= mostMs ? `${Math.max(0, Math.floor(leftMs))}m` : undefined;
  }
  override get(name: string): string | undefined {
    return name === timeoutName ? this.timeout : super.get(name);
  }
}
