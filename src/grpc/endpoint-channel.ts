import { isIP } from 'node:net';
import { Channel, ChannelCredentials } from '@grpc/grpc-js';
import type { Endpoint } from '../core/endpoint.js';
import { refusal } from '../core/errors.js';
import type { GrpcWireSettings } from './wire-options.js';

function credentialsFor(endpoint: Endpoint, settings: GrpcWireSettings): ChannelCredentials {
  if (settings.credentials !== undefined) return settings.credentials;
  const { protocol, hostname } = new URL(endpoint.url);
  if (protocol === 'grpc:') return ChannelCredentials.createInsecure();
  const named = settings.channelOptions['grpc.ssl_target_name_override'] !== undefined;
  if (named || isIP(hostname.replace(/^\[|\]$/g, '')) === 0) return ChannelCredentials.createSsl();
  throw refusal(
    'BAD_ENDPOINT',
    `${endpoint.url}: an IP address has no name that a certificate could show; give credentials, or channelOptions with grpc.ssl_target_name_override`,
    { side: 'client' },
  );
}

/**
 * The channel of one endpoint: one connection, of its own, closed when its endpoint has left and its last call ended.
 *
 * Everything in grpc-js that would do what the stack does is off: service configs (retries and hedges among them) and
 * proxies from the environment, which cannot know instances. Only a call whose stream was refused before anybody saw it is
 * sent once more by grpc-js.
 *
 * @throws GovernanceError `BAD_ENDPOINT` when it cannot be called as configured
 */
export function channelTo(endpoint: Endpoint, settings: GrpcWireSettings): Channel {
  const { keepaliveTimeMs, keepaliveTimeoutMs, maxReconnectMs, channelOptions } = settings;
  return new Channel(new URL(endpoint.url).host, credentialsFor(endpoint, settings), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.service_config_disable_resolution': 1,
    'grpc.enable_http_proxy': 0,
    'grpc.keepalive_time_ms': keepaliveTimeMs,
    'grpc.keepalive_timeout_ms': keepaliveTimeoutMs,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': maxReconnectMs,
    ...channelOptions,
  });
}
