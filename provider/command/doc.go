// Package command is a reloader and a notifier that run a program on this
// machine. The program never gets a secret's value: not in its arguments,
// which are fixed in the configuration, nor in its environment, nor on its
// standard input. If it needs the value, it reads a target.
package command
