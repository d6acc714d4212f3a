import { type LosslessJson, parse, stringify } from '../discovery/lossless-json.js';
import { badRequest } from './refused.js';

/** Names and the values given for each, in order. A Map, so that no name reaches a prototype. */
export type Params = Map<string, string[]>;

function add(params: Params, name: string, value: string): void {
  const values = params.get(name);
  if (values === undefined) params.set(name, [value]);
  else values.push(value);
}

/** Reads a query string or a form. Never fails: what is no proper escape stays as it is. */
export function readForm(text: string, params: Params): void {
  if (text === '') return;
  for (const [name, value] of new URLSearchParams(text)) add(params, name, value);
}

/** A JSON body names the same parameters; a list is a repeated one, an object (metadata) its own text. */
function texts(value: LosslessJson): readonly string[] {
  if (value === null) return [];
  if (Array.isArray(value)) return value.flatMap((item: LosslessJson) => (item === null ? [] : scalar(item)));
  return [scalar(value)];
}

function scalar(value: LosslessJson): string {
  if (typeof value === 'object') return stringify(value);
  return String(value);
}

/**
 * Reads a JSON body.
 *
 * @throws Refused when it is not a JSON object
 */
export function readJson(text: string, params: Params): void {
  let body: LosslessJson;
  try {
    body = parse(text);
  } catch (error) {
    throw badRequest(`body: is not JSON (${(error as Error).message})`, error);
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw badRequest('body: is not a JSON object');
  for (const [name, value] of Object.entries(body)) for (const item of texts(value)) add(params, name, item);
}
