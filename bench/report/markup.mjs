/** Text that is HTML already. */
export class Markup {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
  }
}

/** @type {Readonly<Record<string, string>>} */
const entities = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** @param {unknown} value @returns {string} */
function shown(value) {
  if (value instanceof Markup) return value.text;
  if (Array.isArray(value)) return value.map(shown).join('');
  if (value === undefined || value === null || value === false) return '';
  return String(value).replace(/[&<>"']/g, (sign) => entities[sign] ?? sign);
}

/** HTML in which every value is escaped that is not {@link Markup} itself. @param {TemplateStringsArray} strings @param {...unknown} values */
export const html = (strings, ...values) =>
  new Markup(String.raw({ raw: strings }, ...values.map((value) => shown(value))));
