// Package command is a reloader and a notifier that run a program on this
// machine. The program never gets a secret's value: not in its arguments,
// which are fixed in the configuration, not in its environment and not on its
// standard input. Where it needs the value it reads a target.
package command
