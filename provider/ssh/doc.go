// Package ssh rotates what lives on Unix hosts, and delivers to them: files,
// commands that reload a service, and the connection they share. On a host it
// needs a POSIX shell and nothing else: scripts and values go to its standard
// input, so that no value is ever in an argument or the environment. Host keys are
// always verified.
package ssh
