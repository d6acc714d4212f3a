import { Metadata } from '@grpc/grpc-js';
import { loadHeader } from '../http/load-header.js';
import type { LoadTeller } from '../http/load-teller.js';
import { orcaBinaryHeader, orcaRequestHeader } from '../http/orca.js';

/**
 * The metadata of an answer with what the server tells of its load, in place of what a callee of it said. The handler's own
 * stays as it is: several calls may share it.
 *
 * @param request - what the client sent along, by which it may ask for ORCA
 */
export function withLoad(
  metadata: Metadata | null | undefined,
  teller: LoadTeller,
  request: Metadata,
): Metadata {
  const told = typeof metadata?.clone === 'function' ? metadata.clone() : new Metadata();
  const text = teller.text();
  if (text === undefined) told.remove(loadHeader);
  else told.set(loadHeader, text);
  const report = teller.binary(request.get(orcaRequestHeader).length > 0);
  // Base64 of an empty report is an empty header.
  if (report !== undefined && report.length > 0 && told.get(orcaBinaryHeader).length === 0)
    told.set(orcaBinaryHeader, report);
  return told;
}

/** The metadata of an answer without what a callee of the server said of itself, where the server itself says nothing. */
export function withoutLoad<Given extends Metadata | null | undefined>(metadata: Given): Given | Metadata {
  if (typeof metadata?.clone !== 'function' || metadata.get(loadHeader).length === 0) return metadata;
  const told = metadata.clone();
  told.remove(loadHeader);
  return told;
}
