import type { Call } from './call.js';
import { compose, type Handler, type Middleware } from './handler.js';
import { type Criteria, criteriaOf, type OperationMatch } from './operation-pattern.js';
import { resolveOptions } from './options.js';

/** Which middlewares for which operations. */
export interface SelectorRule<Req, Res> {
  /**
   * The operations that the rule is for: one criterion, or several of which one is enough.
   *
   * @defaultValue `'*'`
   */
  readonly match?: OperationMatch | readonly OperationMatch[] | undefined;
  /**
   * The operations that it is not for, although they match.
   *
   * @defaultValue none
   */
  readonly except?: OperationMatch | readonly OperationMatch[] | undefined;
  /** What is applied to them, the first outermost. An empty list applies nothing, and ends the search for a rule. */
  readonly use: readonly Middleware<Req, Res>[];
}

/** How many operations are remembered; on a server their names may come from peers. */
const mostKnown = 1000;

/** Which operations a rule is for. */
interface Where {
  readonly match: Criteria;
  readonly except: Criteria | undefined;
}

interface Rule<Req, Res> extends Where {
  readonly use: readonly Middleware<Req, Res>[];
}

const known = { match: '*', except: undefined, use: undefined } as const;

function ruleOf<Req, Res>(given: SelectorRule<Req, Res>, field: string): Rule<Req, Res> {
  type Open = { [Field in keyof SelectorRule<Req, Res>]-?: SelectorRule<Req, Res>[Field] | undefined };
  if (given === undefined) throw new TypeError(`${field} must be a rule, got undefined`);
  const { match, except, use } = resolveOptions<Open>(field, known, given);
  if (!Array.isArray(use)) throw new TypeError(`${field}.use must be an array of middlewares`);
  for (const [at, middleware] of use.entries()) {
    if (typeof middleware !== 'function')
      throw new TypeError(`${field}.use[${at}] must be a middleware, got ${String(middleware)}`);
  }
  return {
    match: criteriaOf(`${field}.match`, match ?? known.match),
    except: except === undefined ? undefined : criteriaOf(`${field}.except`, except),
    use,
  };
}

/** A rule in front of its handler. */
interface Branch<Req, Res> {
  readonly rule: Rule<Req, Res>;
  readonly handler: Handler<Req, Res>;
}

/** What is known of one operation: the branches that have to be asked call by call, and where it goes if none takes it. */
interface Way<Req, Res> {
  readonly ask: readonly Branch<Req, Res>[];
  readonly handler: Handler<Req, Res>;
}

/** Whether a rule is for an operation, as far as its name can tell; `undefined` for "ask the call". */
function fits({ match, except }: Where, operation: string): boolean | undefined {
  if (except?.byName(operation)) return false;
  const named = match.byName(operation);
  if (!named && match.byCall.length === 0) return false;
  return named && (except === undefined || except.byCall.length === 0) ? true : undefined;
}

function takes({ match, except }: Where, call: Call): boolean {
  const yes = (test: (call: Call) => boolean): boolean => test(call) === true;
  return (match.byName(call.operation) || match.byCall.some(yes)) && !except?.byCall.some(yes);
}

/** Finds the handler of a call; what a name alone can tell is worked out once for each. */
class Fork<Req, Res> {
  private readonly ways = new Map<string, Way<Req, Res>>();

  constructor(
    private readonly branches: readonly Branch<Req, Res>[],
    private readonly otherwise: Handler<Req, Res>,
  ) {}

  handlerFor(call: Call): Handler<Req, Res> {
    const way = this.ways.get(call.operation) ?? this.learn(call.operation);
    for (const { rule, handler } of way.ask) if (takes(rule, call)) return handler;
    return way.handler;
  }

  private learn(operation: string): Way<Req, Res> {
    const ask: Branch<Req, Res>[] = [];
    let sure: Branch<Req, Res> | undefined;
    for (const branch of this.branches) {
      const fit = fits(branch.rule, operation);
      if (fit === undefined) ask.push(branch);
      if (fit !== true) continue;
      sure = branch;
      break;
    }
    const way = { ask, handler: sure?.handler ?? this.otherwise };
    // All at once: keeping an order of use would cost each call more than learning again costs a few.
    if (this.ways.size >= mostKnown) this.ways.clear();
    this.ways.set(operation, way);
    return way;
  }
}

/**
 * Applies middlewares to the operations that match, and to no other.
 *
 * Use it for what only part of a service needs: authentication of everything but health checks, validation of one
 * method, a longer timeout for a report. Of several rules the first that fits is applied, and no other; calls that none
 * fits go straight on. Rules are compiled when the selector is made; a call costs one look into a Map.
 *
 * On a server the operation is what the wire knows when the call arrives: gRPC its method, HTTP the first match of
 * `routes`, without one the method alone (`GET`). What routing names later (`nameOperation`) comes too late for a
 * selector. So where a middleware protects, name what is left out (`except`) rather than what is protected: an operation
 * that nobody named is then protected too.
 *
 * @param rules - one rule or several
 * @throws TypeError for a rule that cannot be understood. Calls are rejected with what a function of theirs throws
 * @example
 * ```ts
 * const use = [selector({ except: ['/health*', '/pkg.Public/*'], use: [jwt({ jwks })] })];
 * ```
 *
 * Source: go-kratos/kratos `middleware/selector`. There a pattern that does not compile matches nothing without a word,
 * and there is no first rule that wins.
 */
export function selector<Req, Res>(
  rules: SelectorRule<Req, Res> | readonly SelectorRule<Req, Res>[],
): Middleware<Req, Res> {
  const compiled = Array.isArray(rules)
    ? rules.map((rule: SelectorRule<Req, Res>, at) => ruleOf(rule, `selector[${at}]`))
    : [ruleOf(rules as SelectorRule<Req, Res>, 'selector')];
  if (compiled.length === 0) throw new TypeError('selector: there must be at least one rule');
  return (next) => {
    const branches = compiled.map((rule) => ({ rule, handler: compose(rule.use, next) }));
    const fork = new Fork(branches, next);
    return (request, call) => {
      let handler: Handler<Req, Res>;
      try {
        handler = fork.handlerFor(call);
      } catch (fault) {
        return Promise.reject(fault);
      }
      return handler(request, call);
    };
  };
}
