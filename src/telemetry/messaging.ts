import { type Attributes, SpanKind } from '@opentelemetry/api';
import { checkChoice } from '../core/options.js';

/** What is done with a message. */
export type MessagingOperation = 'create' | 'send' | 'receive' | 'settle' | 'process';

const kinds: Readonly<Record<MessagingOperation, SpanKind>> = {
  create: SpanKind.PRODUCER,
  send: SpanKind.PRODUCER,
  receive: SpanKind.CLIENT,
  settle: SpanKind.CLIENT,
  process: SpanKind.CONSUMER,
};

/** What is known of a message, or of a job in a queue. */
export interface Messaging {
  /** `kafka`, `rabbitmq`, `bullmq`, `postgresql`. */
  readonly system: string;
  /**
   * What is done with it.
   *
   * @defaultValue `send` where it is made, `process` in `resume`
   */
  readonly operation?: MessagingOperation | undefined;
  /** Name of the queue or topic; of low cardinality. */
  readonly destination?: string | undefined;
  /** Template of the destination's name, where names are many. */
  readonly destinationTemplate?: string | undefined;
  /** Who consumes, as a group. */
  readonly consumerGroup?: string | undefined;
  /** Which part of the destination. */
  readonly partition?: string | undefined;
  /** Which message. */
  readonly messageId?: string | undefined;
  /** How many messages at a time. */
  readonly batchCount?: number | undefined;
}

/** A span of a message: what it is called, of which kind it is, what it says. */
export interface MessagingSpan {
  readonly name: string;
  readonly kind: SpanKind;
  readonly attributes: Attributes;
}

/** By the names of the attributes. */
function attributesOf(messaging: Messaging, operation: MessagingOperation): Attributes {
  const attributes: Attributes = {
    'messaging.system': messaging.system,
    'messaging.operation.name': operation,
    'messaging.operation.type': operation,
  };
  const optional = {
    'messaging.destination.name': messaging.destination,
    'messaging.destination.template': messaging.destinationTemplate,
    'messaging.consumer.group.name': messaging.consumerGroup,
    'messaging.destination.partition.id': messaging.partition,
    'messaging.message.id': messaging.messageId,
    'messaging.batch.message_count': messaging.batchCount,
  };
  for (const [name, value] of Object.entries(optional)) if (value !== undefined) attributes[name] = value;
  return attributes;
}

/**
 * Describes a span of a message.
 *
 * @param usual - what is done with it unless it says
 * @throws RangeError for an operation that is none
 *
 * Source: OpenTelemetry semantic conventions for messaging spans, in development.
 */
export function messagingSpan(messaging: Messaging, usual: MessagingOperation): MessagingSpan {
  const operation = checkChoice(
    'messaging.operation',
    messaging.operation ?? usual,
    Object.keys(kinds) as MessagingOperation[],
  );
  const where = messaging.destinationTemplate ?? messaging.destination;
  return {
    name: where === undefined ? operation : `${operation} ${where}`,
    kind: kinds[operation],
    attributes: attributesOf(messaging, operation),
  };
}
