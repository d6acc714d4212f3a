// The house rules that biome.json cannot express. Run by `npm run lint`; `node scripts/check-house.mjs [root]`.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import ts from 'typescript';

const CAP = 300;
const MEDIAN = 80;
const MAX_PARAMETERS = 3;
/** Words that say where a thing was put down, not what it is. */
const EMPTY_WORDS = /^(utils?|common|helpers?|types?|misc|shared|managers?|providers?|impl)$/;
/** Floors that may know another one's nouns and never its code. */
const TYPES_ONLY = [
  ['balancer', 'discovery'],
  ['http', 'discovery'],
  ['otlp', 'tracer'],
  ['otlp', 'meter'],
  // Adapters of other people's clients and servers are handed an app; they load no policy themselves.
  ...['grpc', 'connect', 'axios', 'express', 'fastify', 'koa', 'hono'].flatMap((adapter) =>
    ['discovery', 'telemetry', 'stack'].map((floor) => [adapter, floor]),
  ),
];
/** Folders with many implementations of one contract, which bears the folder's singular. */
const CONTRACTS = ['balancer', 'breaker', 'limiter'];
/** Folders that no subpath of the package shows. */
const INTERNAL = ['stats', 'tracer', 'meter', 'otlp', 'topology'];
/** Programs run; everything else waits to be called. */
const RUNS_ON_IMPORT = [/^cli\/main\.ts$/, /^register\//];

/** @typedef {{ file: string, line: number, rule: string, message: string }} Problem */
/** @typedef {{ name: string, source: ts.SourceFile }} Module */

/** @param {string} src @returns {Module[]} */
function modulesOf(src) {
  return readdirSync(src, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.[cm]?tsx?$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((path) => ({
      name: relative(src, path).split(sep).join('/'),
      source: ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true),
    }));
}

/** Lines that hold a token: neither blank nor comment alone. @param {ts.SourceFile} source */
export function linesOfCode(source) {
  const lines = new Set();
  /** @param {ts.Node} node */
  const visit = (node) => {
    if (node.kind === ts.SyntaxKind.EndOfFileToken || ts.isJSDoc(node)) return;
    const children = node.getChildren(source);
    if (children.length > 0) return children.forEach(visit);
    if (node.getEnd() === node.getStart(source)) return;
    const first = source.getLineAndCharacterOfPosition(node.getStart(source)).line;
    const last = source.getLineAndCharacterOfPosition(node.getEnd()).line;
    for (let line = first; line <= last; line++) lines.add(line);
  };
  visit(source);
  return lines.size;
}

/** @param {ts.Statement} statement @returns {{ specifier: string, typeOnly: boolean } | undefined} */
function edgeOf(statement) {
  if (ts.isImportDeclaration(statement) && ts.isStringLiteral(statement.moduleSpecifier)) {
    const clause = statement.importClause;
    const named = clause?.namedBindings;
    const allTypes =
      clause !== undefined &&
      clause.name === undefined &&
      named !== undefined &&
      ts.isNamedImports(named) &&
      named.elements.every((element) => element.isTypeOnly);
    const whole = clause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
    return { specifier: statement.moduleSpecifier.text, typeOnly: whole || allTypes };
  }
  if (
    ts.isExportDeclaration(statement) &&
    statement.moduleSpecifier &&
    ts.isStringLiteral(statement.moduleSpecifier)
  ) {
    const clause = statement.exportClause;
    const allTypes =
      clause !== undefined &&
      ts.isNamedExports(clause) &&
      clause.elements.every((element) => element.isTypeOnly);
    return { specifier: statement.moduleSpecifier.text, typeOnly: statement.isTypeOnly || allTypes };
  }
  return undefined;
}

/** `Object.defineProperty(Own.prototype, …)` finishes a declaration of the same file. @param {ts.Statement} statement */
function finishesOwn(statement) {
  if (!ts.isExpressionStatement(statement) || !ts.isCallExpression(statement.expression)) return false;
  const { expression, arguments: given } = statement.expression;
  if (!/^Object\.(definePropert(y|ies)|freeze)$/.test(expression.getText())) return false;
  const owner = given[0]?.getText().split('.')[0];
  return statement
    .getSourceFile()
    .statements.some((other) =>
      ts.isVariableStatement(other)
        ? other.declarationList.declarations.some((declaration) => declaration.name.getText() === owner)
        : (ts.isClassDeclaration(other) || ts.isFunctionDeclaration(other)) && other.name?.text === owner,
    );
}

/** @param {ts.Statement} statement */
function isDeclaration(statement) {
  return (
    ts.isImportDeclaration(statement) ||
    ts.isExportDeclaration(statement) ||
    ts.isFunctionDeclaration(statement) ||
    ts.isClassDeclaration(statement) ||
    ts.isInterfaceDeclaration(statement) ||
    ts.isTypeAliasDeclaration(statement) ||
    ts.isVariableStatement(statement) ||
    ts.isModuleDeclaration(statement) ||
    ts.isEmptyStatement(statement) ||
    finishesOwn(statement)
  );
}

/**
 * @param {string} root folder that holds `src` and `biome.json`
 * @returns {Problem[]}
 */
export function checkHouse(root) {
  const src = join(root, 'src');
  const modules = modulesOf(src);
  const byName = new Map(modules.map((module) => [module.name, module]));
  /** @type {Problem[]} */
  const problems = [];

  /** @param {Module} module @param {ts.Node | number} at @param {string} rule @param {string} message */
  const report = (module, at, rule, message) => {
    const position = typeof at === 'number' ? at : at.getStart(module.source);
    const line = module.source.getLineAndCharacterOfPosition(position).line + 1;
    problems.push({ file: `src/${module.name}`, line, rule, message });
  };
  /** @param {Module} module @param {string} specifier */
  const target = (module, specifier) =>
    relative(src, resolve(src, dirname(module.name), specifier))
      .split(sep)
      .join('/')
      .replace(/\.js$/, '.ts');

  const biome = join(root, 'biome.json');
  const floors = existsSync(biome) ? readFileSync(biome, 'utf8') : '';

  for (const module of modules) {
    const segments = module.name.split('/');
    const folder = segments.length > 1 ? String(segments[0]) : '';
    checkNames(module, segments, folder);
    for (const statement of module.source.statements) {
      checkEdge(module, statement, folder);
      checkStatement(module, statement);
    }
    if (segments.at(-1) === 'index.ts' && !INTERNAL.includes(folder)) checkIndex(module);
    const size = linesOfCode(module.source);
    if (size > CAP) report(module, 0, 'size', `${size} lines of code, the cap is ${CAP}: split by meaning`);
  }
  checkMedian();
  return problems;

  /** @param {Module} module @param {string[]} segments @param {string} folder */
  function checkNames(module, segments, folder) {
    for (const segment of segments) {
      const word = segment
        .replace(/\.[cm]?tsx?$/, '')
        .split(/[-.]/)
        .find((part) => EMPTY_WORDS.test(part));
      if (word) report(module, 0, 'name', `"${word}" says nothing: name the file or folder for what it is`);
    }
    if (folder === '') {
      if (module.name !== 'index.ts') report(module, 0, 'floor', 'only index.ts lives at the top of src');
    } else if (!floors.includes(`"src/${folder}/**"`)) {
      report(module, 0, 'floor', `folder "${folder}" has no floor: add its imports to biome.json`);
    }
  }

  /** @param {Module} module @param {ts.Statement} statement @param {string} folder */
  function checkEdge(module, statement, folder) {
    const edge = edgeOf(statement);
    if (!edge?.specifier.startsWith('.')) return;
    const to = target(module, edge.specifier);
    const toFolder = String(to.split('/')[0]);
    if (!edge.typeOnly && TYPES_ONLY.some(([from, into]) => from === folder && into === toFolder)) {
      report(module, statement, 'types only', `${folder} may import types of ${toFolder}, not its code`);
    }
    const contract = CONTRACTS.some((name) => module.name === `${name}/${name}.ts`);
    if (contract && !edge.typeOnly && toFolder === folder) {
      report(module, statement, 'contract', `a contract never names an implementation (${edge.specifier})`);
    }
  }

  /** @param {Module} module @param {ts.Statement} statement */
  function checkStatement(module, statement) {
    if (!isDeclaration(statement) && !RUNS_ON_IMPORT.some((pattern) => pattern.test(module.name))) {
      report(module, statement, 'import runs', 'nothing runs on import: only declarations at the top');
    }
  }

  /** @param {Module} module */
  function checkIndex(module) {
    for (const statement of module.source.statements) {
      if (!ts.isExportDeclaration(statement)) {
        report(module, statement, 'index', 'an index only re-exports');
        continue;
      }
      const clause = statement.exportClause;
      const edge = edgeOf(statement);
      const origin = edge && byName.get(target(module, edge.specifier));
      if (!origin || edge.typeOnly || !clause || !ts.isNamedExports(clause)) continue;
      for (const element of clause.elements) if (!element.isTypeOnly) checkPublic(module, element, origin);
    }
  }

  /** @param {Module} module @param {ts.ExportSpecifier} element @param {Module} origin */
  function checkPublic(module, element, origin) {
    const name = (element.propertyName ?? element.name).text;
    for (const declared of origin.source.statements) {
      const isClass = ts.isClassDeclaration(declared);
      if (!(isClass || ts.isFunctionDeclaration(declared)) || declared.name?.text !== name) continue;
      if (isClass && name !== 'GovernanceError') {
        report(module, element, 'class', `${name} is a public class: export a factory and an interface`);
      }
      if (!isClass && declared.parameters.length > MAX_PARAMETERS) {
        const message = `${name} takes more than ${MAX_PARAMETERS} parameters: make it an options object`;
        report(module, element, 'parameters', message);
      }
    }
  }

  function checkMedian() {
    const sizes = modules
      .filter((module) => !/(^|\/)index\.ts$/.test(module.name))
      .map((module) => linesOfCode(module.source))
      .sort((a, b) => a - b);
    const median = sizes[Math.floor(sizes.length / 2)] ?? 0;
    if (median <= MEDIAN) return;
    const message = `median file has ${median} lines of code, the aim is ${MEDIAN} at most`;
    problems.push({ file: 'src', line: 0, rule: 'size', message });
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(resolve(process.argv[1])).href) {
  const root = process.argv[2] ?? dirname(dirname(fileURLToPath(import.meta.url)));
  const problems = checkHouse(resolve(root));
  for (const { file, line, rule, message } of problems) console.error(`${file}:${line} [${rule}] ${message}`);
  console.log(`house: ${problems.length === 0 ? 'in order' : `${problems.length} problems`}`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
