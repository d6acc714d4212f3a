// An alias of version 4 without types of its own; what the tests use of it is the same in both.
declare module 'express4' {
  export { default } from 'express';
}
