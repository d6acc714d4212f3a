/**
 * axios: an instance that exists, governed by one line.
 *
 * @module
 */
export type { AxiosAnswer } from './answer.js';
export { type GovernAxiosOptions, governAxios, governAxiosDefaults } from './govern-axios.js';
export type {
  AxiosConfig,
  AxiosErrorLike,
  AxiosLike,
  AxiosResponseLike,
  AxiosStaticLike,
} from './native.js';
export { axiosProtocol } from './protocol.js';
export type { AxiosRequest, AxiosTarget } from './request.js';
