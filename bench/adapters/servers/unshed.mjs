import { bbr } from 'keelson/limiter';

/**
 * The limiter that a server has anyway, but not the load of this machine: one that begins to refuse is not what is measured.
 */
export const unshed = () => ({ limits: [bbr({ load: () => 0.5 })], queue: /** @type {false} */ (false) });
