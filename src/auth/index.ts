/**
 * Tokens on both sides: clients attach and renew them, services sign their own, servers verify JWTs. Signing and verifying
 * need the package `jose`, version 6.
 *
 * @module
 */
export type { JwtAlgorithm } from './algorithm.js';
export { type BearerOptions, bearer, bearerDefaults } from './bearer.js';
export { claimsOf, type JwtClaims } from './claims.js';
export type { KeyFetch } from './fetch-keys.js';
export { jwt } from './jwt.js';
export { type JwtOptions, jwtDefaults } from './jwt-options.js';
export { type JwtSignerOptions, jwtSigner, jwtSignerDefaults } from './jwt-signer.js';
export type { Jwk, JwkSet, KeyInput, KeyLike, VerifyingKey } from './key.js';
export type { KeySource, TokenHeader } from './key-source.js';
export { type RemoteJwksOptions, remoteJwks, remoteJwksDefaults } from './remote-jwks.js';
export type { IssuedToken, TokenAnswer } from './token-keeper.js';
