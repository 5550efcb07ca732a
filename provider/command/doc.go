// Package command runs programs on this machine: as issuers and targets, which
// speak a protocol of JSON on standard input and output, and as reloaders and
// notifiers.
//
// A value reaches an issuer or a target on its standard input alone: not in its
// arguments, which are fixed in the configuration, and not in its environment.
// Reloaders and notifiers never get one. If they need it, they read a target.
package command
