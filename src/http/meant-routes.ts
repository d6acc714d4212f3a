import { METHODS } from 'node:http';
import { aboutOption } from '../core/in-name-of.js';
import { criteriaOf, type OperationMatch } from '../core/operation-pattern.js';
import { wrongKind } from '../core/options.js';
import { routeTable } from './routes.js';

const path = /^(?:[^/\s]+ )?\//;

/** The templates under which operations have to be named for a pattern to find them. */
function templatesOf(pattern: string): readonly string[] {
  if (!path.test(pattern)) return [];
  if (!pattern.endsWith('*') || pattern.endsWith('/*')) return [pattern];
  const base = pattern.slice(0, -1);
  return [base, `${base}/*`];
}

function isTemplate(text: string): boolean {
  try {
    routeTable([text]);
    return true;
  } catch {
    // A name that is given call by call.
    return false;
  }
}

/** Whether a pattern is for none of the methods, as a policy reads it. */
function fitsNoMethod(field: string, pattern: RegExp): boolean {
  const { byName } = criteriaOf(field, pattern);
  return !METHODS.some(byName);
}

/**
 * The routes of a client, and behind them those that a policy of it means by their names: for operations that have no name
 * a policy would never be.
 *
 * @param field - what the policy calls them, for messages
 * @param meant - which operations the policy is for
 * @throws TypeError for a RegExp that fits none, as long as no routes give names
 */
export function meantRoutes(
  field: string,
  routes: readonly string[] | undefined = [],
  meant: OperationMatch | readonly OperationMatch[] | undefined = [],
): readonly string[] {
  if (!Array.isArray(routes)) throw wrongKind('routes', 'an array', routes);
  const list: readonly unknown[] = Array.isArray(meant) ? meant : [meant];
  const more = list.flatMap((one) => (typeof one === 'string' ? templatesOf(one) : [])).filter(isTemplate);
  const named = [...routes, ...more];
  const lost = list.find((one) => one instanceof RegExp && fitsNoMethod(field, one));
  if (lost === undefined || named.length > 0) return named;
  throw aboutOption(
    new TypeError(
      `${field}: ${String(lost)} fits no operation, for without routes they have the names of methods; give the client \`routes\`, or a function here`,
    ),
  );
}
